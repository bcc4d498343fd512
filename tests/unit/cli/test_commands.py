# SPDX-License-Identifier: Apache-2.0
"""Commands as people type them: what they print, where, and with which exit status."""

import json
import re
import time
from pathlib import Path

import pytest

from ikeway.control.status import RetryStatus
from support.commands import Runner
from support.configured import CERTIFICATE, PSK, write
from support.control import OFFICE, running_daemon


def test_the_version_is_printed(ikeway: Runner) -> None:
    ran = ikeway("--version")
    assert ran.status == 0
    assert ran.out.startswith("ikeway ")


@pytest.mark.parametrize(
    "command",
    [
        ["demo"],
        ["serve"],
        ["up"],
        ["down"],
        ["status"],
        ["disconnect"],
        ["drain"],
        ["reload"],
        ["watch"],
        *(["user", verb] for verb in ("add", "list", "show", "change", "disable", "enable")),
        *(["user", verb] for verb in ("remove", "password", "import")),
        ["config", "check"],
        ["config", "show"],
        ["config", "schema"],
    ],
    ids=" ".join,
)
def test_every_command_has_help_with_an_example(ikeway: Runner, command: list[str]) -> None:
    ran = ikeway(*command, "--help")
    assert ran.status == 0
    assert f"Example: ikeway {' '.join(command)}" in ran.out


@pytest.mark.parametrize(
    "words", [["dance"], ["status", "--nonsense"], ["disconnect"], ["serve", "--log-level", "x"]]
)
def test_wrong_usage_is_status_2(ikeway: Runner, words: list[str]) -> None:
    assert ikeway(*words).status == 2


@pytest.mark.parametrize(
    "words", [["status"], ["status", "--json"], ["disconnect", "x"], ["watch"], ["down"]]
)
def test_without_a_daemon_the_status_is_3_and_the_error_one_line(
    ikeway: Runner, tmp_path: Path, words: list[str]
) -> None:
    ran = ikeway(*words, "--run-dir", tmp_path)
    assert ran.status == 3
    assert ran.out == ""
    assert ran.err.startswith(f"ikeway: no ikeway runs at {tmp_path}; ")
    assert ran.err.count("\n") == 1


NOTHING = {"ike_sas": [], "retries": [], "draining": [], "policies": []}


def test_status_shows_what_a_person_wants_to_know(ikeway: Runner, tmp_path: Path) -> None:
    with running_daemon(tmp_path):
        ran = ikeway("status", "--run-dir", tmp_path)
    assert ran.status == 0
    for words in (
        "office: established",
        "0102030405060708 (initiator, up for",
        "laptop@example.com at 192.0.2.1:4500\n",
        "NAT       detected in front of us\n",
        "vpn.example.com at 203.0.113.7:4500\n",
        "10.66.0.2, fd66::2",
        "10.66.0.2/32 === 10.0.0.0/8",
        "in  1.2 kB, 3 packets",
        "out 5.7 kB, 4 packets",
        "the path carries packets of 1280 octets",
        "stream of 900 packets a second, round trip 23.1 ms, loss event rate 1.25%, breaker closed",
        "IPComp in  nothing compressed",
        "IPComp out 2 packets compressed, 3.0 kB to 1.0 kB (33 %)",
    ):
        assert words in ran.out


def test_status_as_json_is_the_promised_object(ikeway: Runner, tmp_path: Path) -> None:
    with running_daemon(tmp_path):
        ran = ikeway("status", "--json", "--run-dir", tmp_path)
    assert json.loads(ran.out) == NOTHING | {"ike_sas": [OFFICE.model_dump()]}


def test_status_without_ike_sas_says_so(ikeway: Runner, tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        daemon.sas = []
        assert ikeway("status", "--run-dir", tmp_path).out == "no IKE SAs\n"
        printed = ikeway("status", "--json", "--run-dir", tmp_path).out
    assert json.loads(printed) == NOTHING


def test_status_says_when_a_connection_is_tried_again_and_why_it_is_down(
    ikeway: Runner, tmp_path: Path
) -> None:
    with running_daemon(tmp_path) as daemon:
        daemon.sas = []
        daemon.retries = [
            RetryStatus(
                connection="office", next_attempt_at=time.time() + 9, failures=3, reason="no route"
            )
        ]
        out = ikeway("status", "--run-dir", tmp_path).out
    assert re.search(r"office: down, next attempt in [6-9] s; failed 3 times in a row\n", out)
    assert "no route\n" in out


def test_a_peer_cannot_steer_the_terminal_with_its_name(ikeway: Runner, tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        evil = OFFICE.peer.model_copy(update={"id": "[red]x\x1b[2J\ny"})
        daemon.sas = [OFFICE.model_copy(update={"peer": evil})]
        out = ikeway("status", "--run-dir", tmp_path).out
    assert "[red]x\\x1b[2J\\ny at" in out


def test_the_run_directory_may_come_from_the_environment(
    ikeway: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IKEWAY_RUN_DIR", str(tmp_path))
    with running_daemon(tmp_path):
        assert ikeway("status").status == 0


def test_disconnect_takes_a_name_or_an_id(ikeway: Runner, tmp_path: Path) -> None:
    with running_daemon(tmp_path):
        ran = ikeway("disconnect", "nobody", "--run-dir", tmp_path)
        assert (ran.status, ran.err) == (1, "ikeway: there is no IKE SA 'nobody'\n")
        ran = ikeway("disconnect", "office", "--run-dir", tmp_path)
        assert (ran.status, ran.out) == (0, f"disconnecting {OFFICE.id}\n")


def test_watch_prints_events_until_the_daemon_ends(ikeway: Runner, tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        daemon.tell("Established", "IKE SA established with x\x1b[2J", connection="office")
        daemon.events.put_nowait(None)
        ran = ikeway("watch", "--run-dir", tmp_path)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.endswith("IKE SA established with x\\x1b[2J  connection=office\n")


def test_watch_as_json_prints_an_object_a_line(ikeway: Runner, tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        daemon.tell("Warned", "one")
        daemon.tell("Warned", "two")
        daemon.events.put_nowait(None)
        lines = ikeway("watch", "--json", "--run-dir", tmp_path).out.splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["one", "two"]


def test_down_ends_no_daemon_that_up_did_not_start(ikeway: Runner, tmp_path: Path) -> None:
    with running_daemon(tmp_path):
        ran = ikeway("down", "--run-dir", tmp_path)
        assert ran.status == 1
        assert "was not started by `ikeway up`" in ran.err
        assert ikeway("status", "--run-dir", tmp_path).status == 0


def test_a_good_configuration_is_ok(ikeway: Runner, tmp_path: Path) -> None:
    ran = ikeway("config", "check", "-c", write(tmp_path, PSK))
    assert (ran.status, ran.out, ran.err) == (0, "ok: 1 connection (b)\n", "")


def test_warnings_are_printed_and_stop_nothing(ikeway: Runner, tmp_path: Path) -> None:
    file = write(tmp_path, CERTIFICATE + "legacy = true\n")
    ran = ikeway("config", "check", "-c", file)
    assert ran.status == 0
    assert ran.out.splitlines() == [
        f"warning: {file}:8: connections.staff.legacy: old and weak algorithms are allowed here",
        "ok: 1 connection (staff)",
    ]


def test_errors_of_a_configuration_are_listed_and_counted(ikeway: Runner, tmp_path: Path) -> None:
    file = write(tmp_path, PSK + 'rol = "both"\nmode = "x"\n')
    ran = ikeway("config", "check", "-c", file)
    assert (ran.status, ran.out) == (1, "")
    first, second, count = ran.err.splitlines()
    assert first.startswith(
        f"ikeway: {file}:12: connections.b.rol: unknown key; did you mean 'role'?"
    )
    assert second.startswith(f"ikeway: {file}:13: connections.b.mode: ")
    assert count == "ikeway: 2 errors"


def test_check_speaks_json_too(ikeway: Runner, tmp_path: Path) -> None:
    good = ikeway("config", "check", "--json", "-c", write(tmp_path, PSK))
    assert json.loads(good.out) == {"ok": True, "errors": [], "warnings": []}
    file = write(tmp_path, PSK + 'mode = "x"\n')
    bad = ikeway("config", "check", "--json", "-c", file)
    assert bad.status == 1
    (error,) = json.loads(bad.out)["errors"]
    assert (error["file"], error["line"], error["key"]) == (str(file), 12, "connections.b.mode")


def test_show_and_schema_print_the_configuration_and_its_form(
    ikeway: Runner, tmp_path: Path
) -> None:
    shown = ikeway("config", "show", "-c", write(tmp_path, PSK))
    assert "[connections.b]" in shown.out
    assert json.loads(ikeway("config", "schema").out)["title"] == "Document"


@pytest.mark.parametrize("command", [["serve", "-c"], ["up"], ["config", "show", "-c"]])
def test_a_wrong_configuration_starts_nothing_and_has_no_traceback(
    ikeway: Runner, tmp_path: Path, command: list[str]
) -> None:
    file = write(tmp_path, PSK + 'mode = "x"\n')
    ran = ikeway(*command, file, *([] if "config" in command else ["--run-dir", tmp_path / "run"]))
    assert ran.status == 1
    assert ran.err.startswith(f"ikeway: {file}:12: connections.b.mode: 'x' is not known")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "words", "reason"),
    [
        (PSK, ["--connection", "c"], "has no connection 'c' to start; it has: b"),
        (CERTIFICATE, [], "has 0 connections to start (none)"),
        (
            PSK + PSK[PSK.index("[connections.b]") :].replace("ions.b]", "ions.c]"),
            [],
            "has 2 connections to start (b, c); choose one with --connection NAME",
        ),
    ],
)
def test_up_needs_to_know_which_connection(
    ikeway: Runner, tmp_path: Path, text: str, words: list[str], reason: str
) -> None:
    ran = ikeway("up", write(tmp_path, text), *words, "--run-dir", tmp_path / "run")
    assert ran.status == 1
    assert reason in ran.err


def test_up_with_a_file_does_not_disturb_a_daemon_that_runs(ikeway: Runner, tmp_path: Path) -> None:
    file = write(tmp_path, PSK)
    with running_daemon(tmp_path):
        ran = ikeway("up", file, "--run-dir", tmp_path)
    assert ran.status == 1
    assert "an ikeway already runs" in ran.err


def test_up_with_a_name_starts_a_connection_of_the_daemon_that_runs(
    ikeway: Runner, tmp_path: Path
) -> None:
    with running_daemon(tmp_path):
        ran = ikeway("up", "office", "--run-dir", tmp_path)
        assert ran.status == 0
        assert ran.out.splitlines()[0] == "office is up"
        assert "10.66.0.2, fd66::2" in ran.out
        ran = ikeway("up", "office", "--json", "--run-dir", tmp_path)
        assert json.loads(ran.out) == OFFICE.model_dump()
        ran = ikeway("up", "home", "--run-dir", tmp_path)
        assert (ran.status, ran.err.splitlines()[-1]) == (
            1,
            "ikeway: there is no connection 'home'",
        )


def test_a_plain_name_is_a_connection_even_beside_a_file_of_that_name(
    ikeway: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, PSK).rename(tmp_path / "b")
    monkeypatch.setattr("ikeway.cli.commands.up.DEFAULT_CONFIG", tmp_path / "default.toml")
    ran = ikeway("up", "b", "--run-dir", tmp_path / "run")
    assert (ran.status, "default.toml" in ran.err) == (1, True)


def test_draining_names_who_goes_and_who_stays(ikeway: Runner, tmp_path: Path) -> None:
    with running_daemon(tmp_path):
        ran = ikeway("drain", "--to", "vpn2.example.com", "office", "--run-dir", tmp_path)
        assert ran.status == 0
        assert "office: laptop.example.com at 192.0.2.1 (0102030405060708) sent\n" in ran.out
        assert "new clients are sent to vpn2.example.com" in ran.out
        shown = ikeway("status", "--run-dir", tmp_path)
        assert "office: drained to vpn2.example.com\n" in shown.out
        ran = ikeway("drain", "--to", "192.0.2.9", "--disconnect", "--json", "--run-dir", tmp_path)
        (sa,) = json.loads(ran.out)["ike_sas"]
        assert (sa["outcome"], sa["reason"]) == ("disconnected", "it does not follow redirects")
        ran = ikeway("drain", "--stop", "--run-dir", tmp_path)
        assert "new clients are served here" in ran.out
        assert "drained" not in ikeway("status", "--run-dir", tmp_path).out
        assert ikeway("drain", "--to", "x", "nobody", "--run-dir", tmp_path).status == 1


def test_reloading_names_what_changed(ikeway: Runner, tmp_path: Path) -> None:
    with running_daemon(tmp_path):
        ran = ikeway("reload", "--run-dir", tmp_path)
        assert ran.out.splitlines() == ["new: added", "office: changed", "old: removed"]
        ran = ikeway("reload", "--json", "--run-dir", tmp_path)
        assert json.loads(ran.out)["changed"] == ["office"]


@pytest.mark.parametrize(
    "words",
    [[], ["--stop", "--to", "a.b"], ["--stop", "--grace", "3"], ["--to", "a.b", "--grace", "-1"]],
)
def test_draining_needs_a_place_or_an_end(ikeway: Runner, words: list[str]) -> None:
    assert ikeway("drain", *words).status == 2

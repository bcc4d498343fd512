# SPDX-License-Identifier: Apache-2.0
"""`ikeway user` as a new user types it: what it takes, prints and refuses."""

import io
import json
import stat
import sys
from pathlib import Path

import pytest
from typing_extensions import override

from ikeway.cli import users
from ikeway.crypto.mschap import nt_hash
from ikeway.model.errors import UsageError
from ikeway.model.secret import Secret
from ikeway.policy.store import StoreSettings
from ikeway.runtime.entropy import SystemRandom
from ikeway.runtime.user_book import generate
from ikeway.store.users import UserStore
from support.commands import Runner
from support.configured import CERTIFICATE, write
from support.control import running_daemon

PASSWORD = "correct horse battery"


class Input(io.TextIOWrapper):
    """Standard input, which may look like a terminal."""

    is_terminal = False

    @override
    def isatty(self) -> bool:
        return self.is_terminal


class Desk:
    """Runs `ikeway user` with a configuration of its own."""

    is_terminal = False

    def __init__(self, run: Runner, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run, self.folder, self._monkeypatch = run, folder, monkeypatch
        self.config = folder / "ikeway.toml"
        self.config.write_text('[store]\nurl = "sqlite:users.db"\n')

    def __call__(self, *words: str, stdin: str | bytes = "", status: int = 0) -> str:
        """Run a command, which has to end so, and return what it said, or complained."""
        octets = stdin.encode() if isinstance(stdin, str) else stdin
        stdin_ = Input(io.BytesIO(octets))
        stdin_.is_terminal = self.is_terminal
        self._monkeypatch.setattr(sys, "stdin", stdin_)
        where = ["-c", str(self.config)]
        takes_run_dir = words[0] in {"disable", "remove", "password", "change"}
        where += ["--run-dir", str(self.folder / "run")] if takes_run_dir else []
        ran = self.run("user", *words, *where)
        assert ran.status == status, ran.err
        return ran.err if status else ran.out + ran.err

    def add(self, name: str, *more: str) -> str:
        return self("add", name, "--password-stdin", *more, stdin=PASSWORD + "\n")

    @property
    def store(self) -> UserStore:
        return UserStore(*self.settings, SystemRandom())

    @property
    def settings(self) -> tuple[Path, Path]:
        settings = StoreSettings(self.folder / "users.db", self.folder / "users.key")
        return settings.file, settings.key


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Desk:
    return Desk(Runner(monkeypatch, capfd), tmp_path, monkeypatch)


def test_a_user_is_added_listed_and_shown(desk: Desk) -> None:
    assert desk("list") == "no users; add one with `ikeway user add NAME`\n"
    assert not desk.settings[0].exists()
    assert desk.add("carol", "-g", "staff", "-g", "admins") == "carol: added\n"
    desk.add("dave@example.com", "--expires", "2020-01-31")
    lines = desk("list").splitlines()
    assert lines[0].split() == ["carol", "enabled", "admins,", "staff"]
    assert lines[1].startswith("dave@example.com  expired   until 2020-01-31 23:59")
    shown = desk("show", "CAROL")
    assert "name      carol\nstate     enabled\ngroups    admins, staff\n" in shown
    assert PASSWORD not in shown
    assert stat.S_IMODE(desk.settings[1].stat().st_mode) == 0o600


def test_programs_get_json(desk: Desk) -> None:
    desk.add("carol", "-g", "staff", "--keep-clear")
    (found,) = json.loads(desk("list", "--json"))
    assert found == json.loads(desk("show", "carol", "--json"))
    assert (found["name"], found["state"], found["groups"]) == ("carol", "enabled", ["staff"])
    assert (found["expires_at"], found["keeps_clear"]) == (None, True)
    made = json.loads(desk("add", "dave", "--generate", "--json"))
    assert made["name"] == "dave"
    assert len(made["password"]) == 24


def test_a_password_is_made_and_shown_once(desk: Desk) -> None:
    said = desk("add", "carol", "--generate")
    assert "carol: added\npassword: " in said
    assert "shown once" in said
    password = said.split("password: ")[1].split()[0]
    assert password not in desk("show", "carol")
    assert len({generate().octets for _ in range(9)}) == 9


def test_a_password_is_typed_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter([PASSWORD, "another", PASSWORD, PASSWORD])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    desk.is_terminal = True
    assert "the passwords are not the same; nothing was changed" in desk("add", "carol", status=1)
    assert desk("list").startswith("no users")
    assert desk("add", "carol") == "carol: added\n"


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (("add", "carol"), "", "use --password-stdin or --generate"),
        (("add", "carol", "--password-stdin"), "\n", "the password is empty"),
        (("add", "carol", "--password-stdin"), "one\ntwo\n", "no line breaks"),
        (("add", "carol", "--password-stdin"), b"\xff\xfe", "text in UTF-8"),
        (("add", "carol", "--password-stdin"), "x" * 257, "at most 256 characters, not 257"),
        (("add", "carol", "--password-stdin", "--generate"), "x", "do not go together"),
        (("add", " carol", "--generate"), "", "is no name"),
        (("add", "carol", "--generate", "-g", ""), "", "is no name of a group"),
        (("add", "carol", "--generate", "--expires", "soon"), "", "'soon' is no time"),
        (("show", "nobody"), "", "there is no user 'nobody'; `ikeway user list` shows all"),
        (("disable", "nobody"), "", "there is no user 'nobody'"),
        (("enable", "nobody"), "", "there is no user 'nobody'"),
        (("remove", "nobody"), "", "there is no user 'nobody'"),
        (("password", "nobody", "--generate"), "", "there is no user 'nobody'"),
        (("change", "nobody", "--no-groups"), "", "there is no user 'nobody'"),
        (("change", "carol"), "", "nothing to change"),
        (("change", "carol", "-g", "x", "--no-groups"), "", "do not go together"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(
    desk: Desk, words: tuple[str, ...], stdin: str | bytes, said: str
) -> None:
    assert said in desk(*words, stdin=stdin, status=1)
    assert not desk.settings[0].exists()


def test_a_password_is_no_argument(desk: Desk) -> None:
    assert "No such option" in desk("add", "carol", "--password", "x", status=2)
    assert "unexpected extra argument" in desk("add", "carol", "secret", status=2)


def test_a_name_that_is_taken_is_said_before_anybody_types_a_password(desk: Desk) -> None:
    desk.add("carol")
    assert "there is a user 'carol' already" in desk("add", "Carol", status=1)


def test_a_short_password_is_warned_about(desk: Desk) -> None:
    assert "warning: the password is short" in desk("add", "x", "--password-stdin", stdin="short")


def test_a_user_is_disabled_enabled_and_removed(desk: Desk) -> None:
    desk.add("carol")
    assert desk("disable", "CAROL") == "carol: disabled\n"
    assert json.loads(desk("show", "carol", "--json"))["state"] == "disabled"
    assert desk("enable", "carol") == "carol: enabled\n"
    assert json.loads(desk("show", "carol", "--json"))["state"] == "enabled"
    assert desk("remove", "carol") == "carol: removed\n"
    assert [one.reason for one in desk.store.departures(0)] == ["disabled", "removed"]


def test_another_password_takes_the_place_of_the_old_one(desk: Desk) -> None:
    desk.add("carol", "--keep-clear")
    said = desk("password", "carol", "--password-stdin", stdin="another long one")
    assert said == "carol: has another password\n"
    found = desk.store.find("carol")
    assert found is not None
    clear = desk.store.clear(found)
    assert clear is not None, "who has had it kept, has"
    assert clear.octets == b"another long one"
    assert desk.store.departures(0) == []
    desk("password", "carol", "--generate", "--end-sessions")
    assert len(desk.store.departures(0)) == 1


def test_groups_and_expiry_are_changed(desk: Desk) -> None:
    desk.add("carol", "-g", "staff", "--expires", "30d")
    desk("change", "carol", "-g", "admins")
    found = json.loads(desk("show", "carol", "--json"))
    assert found["groups"] == ["admins"]
    assert found["expires_at"] is not None
    desk("change", "carol", "--no-groups", "--expires", "never")
    found = json.loads(desk("show", "carol", "--json"))
    assert (found["groups"], found["expires_at"]) == ([], None)
    desk("change", "carol", "--expires", "2020-01-01")
    assert [one.reason for one in desk.store.departures(0)] == ["expired"]


IN_CONFIG = """
[store]
url = "sqlite:users.db"
[[credentials.secrets]]
id = "Carol"
password = "correct horse"
[[credentials.secrets]]
id = "branch"
password = "our own one"
[[credentials.secrets]]
id = "phone"
usim = "465b5ce8b199b49faa5f0a2ee238a6bc:cd63cb71954a9f4e48a5994e37a02baf"
[connections.up]
role = "initiator"
peer = "192.0.2.1"
peer_id = "vpn.example.com"
peer_auth = ["certificate"]
local_auth = "eap-mschapv2"
eap_identity = "branch"
"""


def test_users_of_the_configuration_stay_its_own_until_they_are_moved(desk: Desk) -> None:
    desk.config = write(desk.folder, CERTIFICATE + IN_CONFIG)
    assert "which wins over the store" in desk("add", "carol", "--generate", status=1)
    assert "change it there" in desk("disable", "carol", status=1)
    said = desk("import")
    assert said.startswith("Carol: copied\nbranch: stays, it is who we are ourselves\nnow remove")
    found = desk.store.find("carol")
    assert found is not None
    assert desk.store.nt_hash(found) == nt_hash(Secret(b"correct horse"))
    assert len(desk.store.all()) == 1
    assert "Carol: in the store already" in desk("import")
    assert "stands in" in desk("disable", "carol"), "what stands in the configuration still counts"


@pytest.mark.parametrize("text", ["2027-02-30", "30", "d", "-1d", "99999999999w", "", "tomorrow"])
def test_no_moment_is_guessed(text: str) -> None:
    with pytest.raises(UsageError, match="is no time; write a day"):
        users.moment(text)


def test_a_day_lasts_until_its_end() -> None:
    day, end = users.moment("2027-01-31"), users.moment("2027-01-31T23:59:59")
    assert day is not None
    assert end is not None
    assert 0 <= day - end < 1
    assert users.moment("never") is None


def test_the_gateway_is_told_and_says_who_goes(
    desk: Desk,
) -> None:
    desk.add("carol")
    with running_daemon(desk.folder / "run"):
        assert desk("disable", "carol") == "carol: disabled\ndisconnecting 0102030405060708\n"
        assert "disconnecting" in desk("remove", "carol")

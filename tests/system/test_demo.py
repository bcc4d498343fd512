# SPDX-License-Identifier: Apache-2.0
"""`ikeway demo` as a new user runs it: it works, takes little time, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

# One after the other: they look for what any demo left behind.
pytestmark = [pytest.mark.system, pytest.mark.xdist_group("demo")]

DEMO = [sys.executable, "-m", "ikeway.cli.main", "demo"]
LONGEST = 30.0
"""Ten seconds on a machine that has nothing else to do; tests run side by side."""


@pytest.mark.conformance("CF-U17")
def test_the_demo_proves_that_nothing_leaves_in_clear(tmp_path: Path) -> None:
    started = time.monotonic()
    done = demo(tmp_path, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - started < LONGEST
    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert told["plaintext_packets"] == 0
    assert told["searched_packets"] > 100
    assert told["esp_packets"] > 100
    assert 0 < told["handshake_ms"] < 5000
    assert 0 < told["ping_ms"] < 1000
    assert told["tcp_gbps"] > 0
    assert "aes256gcm16" in told["suite"]
    assert list(tmp_path.iterdir()) == []


def test_the_demo_tells_its_story_in_lines_that_fit(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in (
        "IKE_SA_INIT",
        "IKE_AUTH",
        "✓ Ping",
        "✓ HTTP",
        "✓ TCP",
        "✓ The proof",
        "0 in clear",
    ):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_program_that_cannot_work_says_why_and_shows_what_it_said(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BREAK_DAEMONS)
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = demo(tmp_path, PYTHONPATH=os.pathsep.join(paths))
    assert done.returncode == 1
    assert "✗ the gateway's daemon ended at once, with exit status 7" in done.stdout
    assert "The gateway's last words:\n  out of order" in done.stdout
    assert not list(tmp_path.glob("ikeway-demo-*"))


ORDINARY = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
POWERLESS = ["setpriv", "--bounding-set=-net_admin,-sys_admin", "--inh-caps=-net_admin,-sys_admin"]


@pytest.mark.parametrize("become", [ORDINARY, POWERLESS], ids=["ordinary user", "powerless root"])
def test_who_has_no_rights_takes_a_user_namespace(tmp_path: Path, become: list[str]) -> None:
    if subprocess.run(["unshare", "--user", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this kernel lets nobody make user namespaces")
    done = demo(tmp_path, "--json", become=become)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["ok"] is True


def test_a_temporary_folder_with_a_long_path_is_no_problem(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    assert demo(deep, "--json").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("word", ["Certificates", "HTTP"])
def test_an_interrupted_demo_takes_everything_down(
    tmp_path: Path, number: signal.Signals, word: str
) -> None:
    running = subprocess.Popen(
        DEMO, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert running.stdout is not None
    seen = ""
    while f"✓ {word}" not in seen:
        line = running.stdout.readline()
        assert line, seen
        seen += line
    running.send_signal(number)
    rest, _ = running.communicate(timeout=LONGEST)
    assert running.returncode == 130, rest
    assert "interrupted; everything is taken down" in rest
    assert started_by_demo(tmp_path) == set()
    assert list(tmp_path.iterdir()) == []


BREAK_DAEMONS = """
import os, sys
if "serve" in sys.orig_argv:
    print("out of order", flush=True)
    os._exit(7)
"""


def demo(
    folder: Path, *arguments: str, become: Sequence[str] = (), **variables: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*become, *DEMO, *arguments],
        env=environment(folder) | variables,
        check=False,
        capture_output=True,
        text=True,
        timeout=2 * LONGEST,
    )


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}


def started_by_demo(folder: Path) -> set[str]:
    """Return the command lines that run with `environment(folder)`, which children inherit."""
    ours = f"TMPDIR={folder}".encode()
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if ours in (process / "environ").read_bytes().split(b"\0"):
                words = (process / "cmdline").read_bytes().split(b"\0")
                found.add(b" ".join(words).decode())
        except OSError:
            continue
    return found

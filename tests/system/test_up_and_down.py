# SPDX-License-Identifier: Apache-2.0
"""`ikeway up` and `down` as a person uses them: a gateway and a client in two namespaces."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from ikeway.control.client import ControlClient
from ikeway.control.rundir import RunDir
from ikeway.model.errors import IkewayError
from support.netns import Namespace, connect, namespaces

pytestmark = pytest.mark.system

IKEWAY = str(Path(sys.executable).with_name("ikeway"))
GATEWAY = """
[host]
identity = "vpn.example.com"
listen = ["192.0.2.2"]
[[credentials.secrets]]
id = "laptop@example.com"
psk = "file:secret"
[pools.staff]
ranges = ["10.66.0.0/24", "fd66::/64"]
[connections.staff]
role = "responder"
local_auth = "psk"
peer_auth = ["psk"]
local_ts = ["10.1.0.0/16", "fd01::/64"]
pool = "staff"
"""
CLIENT = """
[host]
identity = "laptop@example.com"
listen = ["192.0.2.1"]
[[credentials.secrets]]
id = "vpn.example.com"
psk = "file:secret"
[connections.office]
role = "initiator"
peer = "192.0.2.2"
local_auth = "psk"
peer_auth = ["psk"]
peer_id = "vpn.example.com"
peer_ts = ["10.1.0.0/16", "fd01::/64"]
virtual_ips = ["0.0.0.0", "::"]
retransmission = { give_up = "1s" }
"""


@dataclass
class Laptop:
    """The client's side: a namespace, a configuration and a run directory."""

    namespace: Namespace
    folder: Path

    @property
    def place(self) -> RunDir:
        return RunDir(self.folder / "run")

    def configure(self, text: str = CLIENT, secret: str = "0123456789abcdef0123") -> Path:
        (self.folder / "secret").touch(mode=0o600)
        (self.folder / "secret").write_text(secret)
        (self.folder / "office.toml").write_text(text)
        return self.folder / "office.toml"

    def ikeway(self, *words: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["ip", "netns", "exec", self.namespace.name, IKEWAY, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ | {"IKEWAY_RUN_DIR": str(self.place.path), "COLUMNS": "120"},
        )

    def traces(self) -> str:
        """What a tunnel may leave on a host: interfaces, rules and routes of all tables."""
        asked = ("-br link", "rule", "-6 rule", "route show table all", "-6 route show table all")
        shown = "".join(self.namespace.ip(*words.split()) for words in asked)
        # The kernel takes its time with the link-local address of the cable.
        return "\n".join(line for line in shown.splitlines() if "fe80" not in line)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Namespace, Path]]:
    """A laptop's namespace, cabled to a gateway that runs."""
    folder = tmp_path_factory.mktemp("gateway")
    gateway = Laptop(Namespace(""), folder)
    config = gateway.configure(GATEWAY)
    with namespaces(2) as (laptop, host):
        connect(laptop, host)
        laptop.add_address("outer0", "192.0.2.1/24")
        host.add_address("outer0", "192.0.2.2/24")
        words = [IKEWAY, "serve", "-c", str(config), "--run-dir", str(gateway.place.path)]
        with (folder / "log").open("w") as log:
            process = host.start(*words, stderr=log)
        try:
            await_ready(gateway.place)
            yield laptop, folder
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(15)


@pytest.fixture
def laptop(hosts: tuple[Namespace, Path], tmp_path: Path) -> Iterator[Laptop]:
    laptop = Laptop(hosts[0], tmp_path)
    yield laptop
    pid = laptop.place.running()
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def await_ready(place: RunDir) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with suppress(IkewayError):
            ControlClient(place.path).ping()
            return
        time.sleep(0.05)
    raise AssertionError("the daemon is not ready")


def test_up_brings_a_tunnel_and_down_leaves_no_trace(laptop: Laptop) -> None:
    before = laptop.traces()
    up = laptop.ikeway("up", laptop.configure())
    assert (up.returncode, up.stdout.splitlines()[0]) == (0, "office is up"), up
    for words in ("vpn.example.com at 192.0.2.2", "routed    10.1.0.0/16, fd01::/64", "10.66.0."):
        assert words in up.stdout
    status = laptop.ikeway("status")
    assert "office: established" in status.stdout
    assert "10.1.0.0/16" in laptop.traces()
    again = laptop.ikeway("up", laptop.configure())
    assert again.returncode == 1
    assert "end it with `ikeway down`" in again.stderr
    down = laptop.ikeway("down")
    assert (down.returncode, down.stdout) == (0, "down\n"), down
    assert laptop.place.running() is None
    assert laptop.traces() == before
    assert laptop.ikeway("down").returncode == 3
    assert not list(laptop.place.path.glob("*.sock"))


def test_a_connection_that_starts_itself_is_waited_for_too(laptop: Laptop) -> None:
    up = laptop.ikeway("up", laptop.configure(CLIENT + 'start = "now"\n'))
    assert (up.returncode, up.stdout.splitlines()[0]) == (0, "office is up"), up
    assert len(ControlClient(laptop.place.path).status().ike_sas) == 1
    assert laptop.ikeway("down").returncode == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("192.0.2.2", "192.0.2.3"), "no answer from 192.0.2.3"),
        (("vpn.example.com", "other.example.com"), "office did not come up: IKE SA closed: "),
        (('"10.1.0.0/16", "fd01::/64"', '"10.9.0.0/16"'), "TS_UNACCEPTABLE"),
        (("[connections", '[dataplane]\ninterface = "lo"\n[connections'), "lo"),
    ],
    ids=["silence", "another peer", "selectors", "interface"],
)
def test_what_fails_is_told_and_leaves_no_daemon(
    laptop: Laptop, change: tuple[str, str], reason: str
) -> None:
    before = laptop.traces()
    up = laptop.ikeway("up", laptop.configure(CLIENT.replace(*change)))
    assert up.returncode == 1, up
    assert reason in up.stderr
    assert "Traceback" not in up.stderr
    assert laptop.place.running() is None
    assert not laptop.place.client_mark.exists()
    assert laptop.traces() == before


def test_a_wrong_secret_is_told_and_leaves_no_daemon(laptop: Laptop) -> None:
    up = laptop.ikeway("up", laptop.configure(secret="another secret than that"))
    assert up.returncode == 1, up
    assert "AUTHENTICATION_FAILED" in up.stderr
    assert laptop.place.running() is None


def test_after_a_crash_up_works_again_and_down_cleans_up(laptop: Laptop) -> None:
    before = laptop.traces()
    config = laptop.configure()
    assert laptop.ikeway("up", config).returncode == 0
    pid = laptop.place.running()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    assert laptop.ikeway("status").returncode == 3
    up = laptop.ikeway("up", config)
    assert up.returncode == 0, up
    assert laptop.ikeway("down").returncode == 0
    assert laptop.traces() == before


def test_ctrl_c_during_up_leaves_no_daemon(laptop: Laptop) -> None:
    text = CLIENT.replace("192.0.2.2", "192.0.2.3").replace('"1s"', '"30s"')
    words = [IKEWAY, "up", str(laptop.configure(text)), "--run-dir", str(laptop.place.path)]
    up = laptop.namespace.start(*words, stderr=subprocess.DEVNULL)
    await_ready(laptop.place)
    time.sleep(0.3)
    up.send_signal(signal.SIGINT)
    assert up.wait(15) == 130
    assert laptop.place.running() is None


def test_two_daemons_of_one_run_directory_are_refused(laptop: Laptop) -> None:
    config = laptop.configure()
    assert laptop.ikeway("up", config).returncode == 0
    serve = laptop.ikeway("serve", "-c", config)
    assert serve.returncode == 1
    assert "an ikeway already runs" in serve.stderr
    assert laptop.ikeway("status").returncode == 0
    assert laptop.ikeway("down").returncode == 0

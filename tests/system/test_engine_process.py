# SPDX-License-Identifier: Apache-2.0
"""The engine's life: it outlives the daemon, serves one at a time, and ends when left alone."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from ikeway.dataplane import EngineDataPlane, PlaneConfig
from ikeway.model.errors import HostError
from support.netns import Namespace, namespaces
from support.suites import SUITES
from support.tunnel import LISTEN, child_pair, eventually, ping, two_hosts

pytestmark = pytest.mark.system

CONFIG = PlaneConfig((ip_address("127.0.0.1"),))

# A daemon that installs nothing and waits to be killed.
DAEMON = """
import asyncio, sys
from ipaddress import ip_address
from pathlib import Path
from ikeway.dataplane import EngineDataPlane, PlaneConfig

async def main():
    config = PlaneConfig((ip_address("127.0.0.1"),))
    plane = await EngineDataPlane.start(Path(sys.argv[1]), config, float(sys.argv[2]))
    print("up", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with namespaces(1) as made:
        yield made[0]


def test_traffic_goes_on_when_the_daemon_is_gone_and_comes_back(tmp_path: Path) -> None:
    """Design §2: a restart of the Python side loses no packet."""
    with two_hosts(tmp_path) as hosts:
        children = child_pair(SUITES[2])
        for host, child in zip(hosts, children, strict=True):
            host.install(child)
        hosts[0].call(hosts[0].plane.detach)
        ping(*hosts)
        hosts[0].plane = hosts[0].call(
            lambda: EngineDataPlane.start(hosts[0].run_dir, hosts[0].config)
        )
        assert hosts[0].plane.is_resumed
        assert set(hosts[0].call(hosts[0].plane.usages)) == {children[0].spi_in}
        assert len(hosts[0].plane.ike_sockets()) == len(LISTEN)
        usage = hosts[0].call(lambda: hosts[0].plane.usage(children[0].spi_in))
        assert usage.packets_in >= 3
        ping(*hosts)


def test_a_killed_daemon_leaves_an_engine_that_ends_by_itself(
    namespace: Namespace, tmp_path: Path
) -> None:
    daemon = namespace.start(
        sys.executable, "-c", DAEMON, str(tmp_path), "0.5", stdout=subprocess.PIPE
    )
    assert daemon.stdout is not None
    assert daemon.stdout.readline() == "up\n"
    assert "ikeway0" in namespace.ip("link")
    daemon.send_signal(signal.SIGKILL)
    daemon.communicate()
    assert "ikeway0" in namespace.ip("link")
    eventually(lambda: "ikeway0" not in namespace.ip("link") or None)
    eventually(lambda: not (tmp_path / "engine.sock").exists() or None)


def test_one_daemon_at_a_time(namespace: Namespace, tmp_path: Path) -> None:
    async def work() -> None:
        first = await EngineDataPlane.start(tmp_path, CONFIG)
        with pytest.raises(HostError, match="another controller"):
            await EngineDataPlane.start(tmp_path, CONFIG)
        assert await first.usages() == {}
        await first.close()

    namespace.inside(lambda: asyncio.run(work()))


def test_an_engine_with_another_configuration_is_replaced(
    namespace: Namespace, tmp_path: Path
) -> None:
    async def work() -> None:
        first = await EngineDataPlane.start(tmp_path, CONFIG)
        await first.detach()
        second = await EngineDataPlane.start(tmp_path, replace(CONFIG, tun="other0", mtu=1300))
        assert not second.is_resumed
        assert second.interface == "other0"
        assert "mtu 1300" in namespace.ip("link", "show", "other0")
        assert "ikeway0" not in namespace.ip("link")
        await second.close()

    namespace.inside(lambda: asyncio.run(work()))


def test_what_the_host_refuses_says_what_to_do(namespace: Namespace, tmp_path: Path) -> None:
    async def refused(config: PlaneConfig) -> str:
        with pytest.raises(HostError) as caught:
            await EngineDataPlane.start(tmp_path, config, 1.0)
        return str(caught.value)

    async def work() -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            taken.bind(("127.0.0.1", 4500))
            words = await refused(CONFIG)
            assert "EADDRINUSE" in words
            assert "4500" in words
        namespace.ip("tuntap", "add", "ikeway0", "mode", "tun")
        assert "EBUSY" in await refused(CONFIG)
        words = await refused(replace(CONFIG, listen=(ip_address("203.0.113.9"),)))
        assert "EADDRNOTAVAIL" in words
        assert "no name of an interface" in await refused(replace(CONFIG, tun="a/b"))
        assert "too long for a unix socket" in await refused_at(Path("/" + "x" * 200))

    async def refused_at(run_dir: Path) -> str:
        with pytest.raises(HostError) as caught:
            await EngineDataPlane.start(run_dir, CONFIG)
        return str(caught.value)

    namespace.inside(lambda: asyncio.run(work()))


def test_the_engine_ends_on_sigterm_and_the_daemon_is_told(
    namespace: Namespace, tmp_path: Path
) -> None:
    async def work() -> None:
        plane = await EngineDataPlane.start(tmp_path, CONFIG)
        os.kill(await plane.process_id(), signal.SIGTERM)
        await expect_the_end(plane)
        with pytest.raises(HostError, match="gone"):
            await plane.usages()
        await plane.close()
        assert not (tmp_path / "engine.sock").exists()

    namespace.inside(lambda: asyncio.run(work()))
    # The daemon sees the socket close before the kernel has taken the interface down.
    until = time.monotonic() + 5.0
    while "ikeway0" in namespace.ip("link") and time.monotonic() < until:
        time.sleep(0.05)
    assert "ikeway0" not in namespace.ip("link")


def test_an_engine_begins_where_another_one_is_dying(namespace: Namespace, tmp_path: Path) -> None:
    """Its control socket may be there still, and its interface and ports be given back late."""

    async def work() -> None:
        for wait in (0.0, 0.0, 0.001, 0.004, 0.02):
            plane = await EngineDataPlane.start(tmp_path, CONFIG)
            assert not plane.is_resumed
            os.kill(await plane.process_id(), signal.SIGKILL)
            await plane.detach()
            await asyncio.sleep(wait)
        plane = await EngineDataPlane.start(tmp_path, CONFIG)
        await plane.close()

    namespace.inside(lambda: asyncio.run(work()))


def test_the_engine_ends_when_its_interface_is_taken_away(
    namespace: Namespace, tmp_path: Path
) -> None:
    async def work() -> None:
        plane = await EngineDataPlane.start(tmp_path, CONFIG)
        namespace.ip("link", "delete", "ikeway0")
        await expect_the_end(plane)
        await plane.close()

    namespace.inside(lambda: asyncio.run(work()))


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"{",
        b"[]",
        b'{"id":1,"op":"no such"}',
        b'{"id":1,"op":"hello","more":1}',
        b'{"id":-1,"op":"hello"}',
        b'{"id":1,"op":"usage","spi_in":4294967296}',
        b"\xff" * 1000,
        b"[" * 100_000,
    ],
)
def test_bad_requests_are_answered_and_change_nothing(
    namespace: Namespace, tmp_path: Path, words: bytes
) -> None:
    async def work() -> None:
        plane = await EngineDataPlane.start(tmp_path, CONFIG)
        await plane.detach()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
            control.connect(str(tmp_path / "engine.sock"))
            control.settimeout(3)
            control.send(words)
            reply = control.recv(65536)
            assert not words or b'"kind":"request"' in reply
        plane = await EngineDataPlane.start(tmp_path, CONFIG)
        assert plane.is_resumed
        await plane.close()

    namespace.inside(lambda: asyncio.run(work()))


def test_the_control_socket_is_for_its_user_only(namespace: Namespace, tmp_path: Path) -> None:
    async def work() -> None:
        plane = await EngineDataPlane.start(tmp_path, CONFIG)
        assert (tmp_path / "engine.sock").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "engine.log").stat().st_mode & 0o777 == 0o600
        await plane.close()

    namespace.inside(lambda: asyncio.run(work()))


async def expect_the_end(plane: EngineDataPlane) -> None:
    async with asyncio.timeout(3):
        with pytest.raises(HostError, match="gone"):
            await anext(aiter(plane.events()))

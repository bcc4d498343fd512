# SPDX-License-Identifier: Apache-2.0
"""Nothing that a caller sends or fails to read ends the control server."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ikeway.control.rundir import RunDir
from ikeway.daemon import server
from ikeway.daemon.server import ControlServer
from ikeway.model.errors import HostError
from support.control import FakeDaemon

PING = b'{"request": "ping"}\n'


@asynccontextmanager
async def serving(run_dir: Path) -> AsyncIterator[FakeDaemon]:
    daemon = FakeDaemon()
    control = ControlServer(run_dir, daemon)
    await control.open()
    try:
        yield daemon
    finally:
        await control.close()


async def ask(run_dir: Path, *lines: bytes) -> list[bytes]:
    """Send lines over one connection and return as many replies."""
    reader, writer = await asyncio.open_unix_connection(str(RunDir(run_dir).socket), limit=1 << 24)
    try:
        writer.write(b"".join(lines))
        return [await asyncio.wait_for(reader.readline(), 5) for _ in lines]
    finally:
        writer.close()


def test_the_socket_is_for_its_owner_only_and_goes_with_the_server(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path):
            mode = RunDir(tmp_path).socket.stat().st_mode
            assert stat.S_ISSOCK(mode)
            assert mode & 0o777 == 0o600
        assert not RunDir(tmp_path).socket.exists()

    asyncio.run(story())


def test_several_requests_may_use_one_connection(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path):
            replies = await ask(tmp_path, PING, b'{"request": "status"}\n', PING)
            assert all(reply.startswith(b'{"ok":true') for reply in replies)

    asyncio.run(story())


@pytest.mark.parametrize(
    "line",
    [b"\n", b"\0\xff\n", b"{" * 5000 + b"\n", b'{"request": "initiate"}\n', b"[1, 2, 3]\n"],
    ids=["empty", "binary", "deep", "incomplete", "list"],
)
def test_bad_input_gets_an_error_and_the_connection_goes_on(tmp_path: Path, line: bytes) -> None:
    async def story() -> None:
        async with serving(tmp_path):
            refusal, pong = await ask(tmp_path, line, PING)
            assert refusal.startswith(b'{"ok":false,"error":"not a request')
            assert pong.startswith(b'{"ok":true')

    asyncio.run(story())


def test_a_line_without_end_is_refused_and_others_are_still_served(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path):
            (reply,) = await ask(tmp_path, b"x" * (server.LINE_OCTETS * 3))
            assert b"longer than" in reply
            assert (await ask(tmp_path, PING))[0].startswith(b'{"ok":true')

    asyncio.run(story())


def test_a_fault_inside_the_daemon_becomes_a_reply(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path):
            (reply,) = await ask(tmp_path, b'{"request": "initiate", "connection": "broken"}\n')
            assert b"a fault of ikeway: OSError" in reply
            assert (await ask(tmp_path, PING))[0].startswith(b'{"ok":true')

    asyncio.run(story())


def test_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_user", lambda _: 12345)

    async def story() -> None:
        async with serving(tmp_path):
            (reply,) = await ask(tmp_path, PING)
            assert b"user 12345 may not ask" in reply

    asyncio.run(story())


def test_the_kernel_says_who_calls() -> None:
    one, two = socket.socketpair(socket.AF_UNIX)
    with one, two:
        assert server._user(one) == os.geteuid()


def test_callers_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CALLERS_MOST", 2)

    async def story() -> None:
        async with serving(tmp_path):
            path = str(RunDir(tmp_path).socket)
            idle = [await asyncio.open_unix_connection(path) for _ in range(2)]
            (reply,) = await ask(tmp_path, PING)
            assert b"more than 2 callers" in reply
            for _, writer in idle:
                writer.close()
            await asyncio.sleep(0.05)
            assert (await ask(tmp_path, PING))[0].startswith(b'{"ok":true')

    asyncio.run(story())


def test_a_caller_that_hangs_up_ends_its_watch(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path) as daemon:
            (done,) = await ask(tmp_path, b'{"request": "watch"}\n')
            assert done == b'{"ok":true}\n'
            await asyncio.sleep(0.05)
            assert daemon.watching == 0

    asyncio.run(story())


def test_the_subscription_stands_when_watch_is_answered(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path) as daemon:
            path = str(RunDir(tmp_path).socket)
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b'{"request": "watch"}\n')
            await reader.readline()
            assert daemon.watching == 1
            daemon.tell("Warned", "something")
            assert b"something" in await asyncio.wait_for(reader.readline(), 5)
            writer.close()

    asyncio.run(story())


def test_a_second_server_does_not_take_the_socket_of_a_living_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path):
            with pytest.raises(HostError, match="another daemon listens there"):
                await ControlServer(tmp_path, FakeDaemon()).open()
            assert (await ask(tmp_path, PING))[0].startswith(b'{"ok":true')

    asyncio.run(story())


def test_the_socket_that_a_crash_left_behind_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(RunDir(tmp_path).socket))

    async def story() -> None:
        async with serving(tmp_path):
            assert (await ask(tmp_path, PING))[0].startswith(b'{"ok":true')

    asyncio.run(story())


def test_a_path_that_is_too_long_for_a_socket_is_an_error_in_words(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()

    async def story() -> None:
        with pytest.raises(HostError, match="too long"):
            await ControlServer(deep, FakeDaemon()).open()

    asyncio.run(story())

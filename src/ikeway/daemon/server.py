# SPDX-License-Identifier: Apache-2.0
"""The control socket: answers one JSON object a line, to root and to the daemon's own user only."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from ikeway.control.release import release
from ikeway.control.rundir import RunDir
from ikeway.control.schema import (
    LINE_OCTETS,
    Disconnect,
    Disconnected,
    Done,
    Drain,
    Drained,
    EventLine,
    Failed,
    Initiate,
    Initiated,
    Ping,
    Pong,
    Reload,
    Reloaded,
    Reply,
    Shutdown,
    Status,
    StatusReply,
    StatusRequest,
    UsersChanged,
    Watch,
    encode,
    parse_request,
)
from ikeway.daemon.backlog import Backlog
from ikeway.model.errors import HostError, IkewayError, UsageError
from ikeway.model.time import Seconds

CALLERS_MOST: Final = 64
WRITE_PATIENCE: Final[Seconds] = 30.0


class Daemon(Protocol):
    """What the control socket can ask of the daemon. `IkewayError`s become replies."""

    async def status(self) -> Status:
        """Return every IKE SA."""
        ...

    async def disconnect(self, target: str) -> list[str]:
        """Delete IKE SAs by connection or id; return the ids.

        Raises:
            UsageError: there is none.
        """
        ...

    async def initiate(self, name: str) -> str:
        """Start a connection; return the id of its IKE SA.

        Raises:
            UsageError: there is no such connection, or it only answers.
            HostError: there is no way to the peer.
        """
        ...

    async def drain(self, order: Drain) -> Drained:
        """Send clients to another gateway, or stop to; return what becomes of those that are up.

        Raises:
            UsageError: there is no such connection, or nowhere to go.
        """
        ...

    async def reload(self) -> Reloaded:
        """Heed what changed in the configuration.

        Raises:
            ConfigError: it is wrong, or takes a restart; nothing has changed.
            HostError: the host refuses its policies.
        """
        ...

    def watch(self) -> AsyncIterator[EventLine]:
        """Return what happens from this call on."""
        ...

    def shutdown(self) -> None:
        """Begin to end; returns at once."""
        ...


UsersChange = Callable[[], Awaitable[list[str]]]


async def _nobody() -> list[str]:
    return []


class ControlServer:
    """Listens on `RUN_DIR/control.sock` until it is closed."""

    def __init__(self, run_dir: Path, daemon: Daemon, users_changed: UsersChange = _nobody) -> None:
        """`users_changed` ends the IKE SAs of users who were taken away, and returns their ids."""
        self._path = RunDir(run_dir).socket
        self._daemon = daemon
        self._users_changed = users_changed
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to listen.

        Raises:
            HostError: the socket cannot be made, or another daemon listens on it.
        """
        listener = _listen(self._path)
        self._server = await asyncio.start_unix_server(
            self._accept, sock=listener, limit=LINE_OCTETS
        )

    async def close(self) -> None:
        """Hang up on every caller and take the socket away."""
        if self._server is None:
            return
        self._server.close()
        for caller in self._callers:
            caller.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)
        with suppress(FileNotFoundError):
            self._path.unlink()
        self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._callers.add(caller)
        caller.add_done_callback(self._callers.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self._check(writer.get_extra_info("socket"))
            while (line := await _line(reader)) and await self._answer(line, reader, writer):
                pass
        except UsageError as error:
            await _last_words(writer, str(error))
        except (OSError, TimeoutError):
            pass  # the caller hung up, or does not read
        except Exception as error:  # noqa: BLE001 - I1: no caller ends the daemon
            await _last_words(writer, _fault(error))
        finally:
            writer.close()

    def _check(self, connection: socket.socket) -> None:
        caller = _user(connection)
        if caller not in {0, os.geteuid()}:
            raise UsageError(f"user {caller} may not ask: only root and the daemon's own user may")
        if len(self._callers) > CALLERS_MOST:
            raise UsageError(f"more than {CALLERS_MOST} callers at once")

    async def _answer(
        self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer a request; return whether the caller may ask more over this connection."""
        reply: Reply
        try:
            request = parse_request(line)
            if isinstance(request, Watch):
                await _stream(self._daemon.watch(), reader, writer)
                return False
            reply = await self._perform(request)
        except IkewayError as error:
            reply = Failed(error=str(error))
        await _write(writer, reply)
        return True

    async def _perform(
        self,
        request: StatusRequest
        | Disconnect
        | UsersChanged
        | Initiate
        | Drain
        | Reload
        | Shutdown
        | Ping,
    ) -> Reply:
        try:
            match request:
                case StatusRequest():
                    return StatusReply(status=await self._daemon.status())
                case Disconnect() | UsersChanged():
                    return Disconnected(disconnected=await self._end(request))
                case Initiate():
                    return Initiated(id=await self._daemon.initiate(request.connection))
                case Drain():
                    return await self._daemon.drain(request)
                case Reload() | Shutdown() | Ping():
                    return await self._of_process(request)
        except IkewayError:
            raise
        except Exception as error:  # noqa: BLE001 - I1: no request ends the daemon
            return Failed(error=_fault(error))

    async def _of_process(self, request: Reload | Shutdown | Ping) -> Reply:
        match request:
            case Ping():
                return Pong(version=release(), pid=os.getpid())
            case Reload():
                return await self._daemon.reload()
            case Shutdown():
                self._daemon.shutdown()
                return Done()

    async def _end(self, request: Disconnect | UsersChanged) -> list[str]:
        if isinstance(request, UsersChanged):
            return await self._users_changed()
        return await self._daemon.disconnect(request.target)


async def _stream(
    source: AsyncIterator[EventLine], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Write events until the caller hangs up or there are no more."""
    backlog = Backlog(source)
    hung_up = asyncio.get_running_loop().create_task(reader.read())
    try:
        await asyncio.sleep(0)  # a generator subscribes at its first step
        await _write(writer, Done())
        while not hung_up.done():
            news = asyncio.get_running_loop().create_task(backlog.next())
            await asyncio.wait({news, hung_up}, return_when=asyncio.FIRST_COMPLETED)
            events = news.result() if news.done() else ()
            if not events:
                news.cancel()
                return
            await _write(writer, *events)
    finally:
        hung_up.cancel()
        await backlog.close()


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line, or nothing at the end.

    Raises:
        UsageError: the line is too long.
    """
    try:
        return await reader.readline()
    except ValueError as error:
        raise UsageError(f"a request is longer than {LINE_OCTETS} octets") from error


async def _write(writer: asyncio.StreamWriter, *values: Reply | EventLine) -> None:
    writer.write(b"".join(map(encode, values)))
    async with asyncio.timeout(WRITE_PATIENCE):
        await writer.drain()


def _fault(error: Exception) -> str:
    return f"a fault of ikeway: {type(error).__name__}: {error}"


async def _last_words(writer: asyncio.StreamWriter, reason: str) -> None:
    with suppress(OSError, TimeoutError):
        await _write(writer, Failed(error=reason))


def _user(connection: socket.socket) -> int:
    """Return who is at the other end (unix(7), SO_PEERCRED)."""
    size = struct.calcsize("3i")
    octets = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _pid, user, _group = struct.unpack("3i", octets)
    return int(user)


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        _clear(path)
        # The mode counts from the first moment: nobody else connects before a chmod.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
    except OSError as error:
        listener.close()
        raise HostError(f"control socket {path}: {error.strerror or error}") from error
    except HostError:
        listener.close()
        raise
    return listener


def _clear(path: Path) -> None:
    """Take away a socket that a crash left behind.

    Raises:
        HostError: somebody listens there.
    """
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise HostError(f"control socket {path}: another daemon listens there")

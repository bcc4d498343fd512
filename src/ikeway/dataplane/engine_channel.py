# SPDX-License-Identifier: Apache-2.0
"""The daemon's end of the engine's control socket: requests with answers, and events."""

import array
import asyncio
import errno
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from ikeway.dataplane.engine_end import end
from ikeway.dataplane.engine_messages import Json, read_event
from ikeway.dataplane.port import PlaneEvent
from ikeway.model.errors import HostError

_MESSAGE_OCTETS: Final = 1 << 20
_DESCRIPTORS: Final = 253
_RETRY_SECONDS: Final = 0.01
_EVENTS: Final = 1024
_UCRED: Final = struct.Struct("=iII")
_GONE: Final = "the engine process is gone"


class EngineGoneError(HostError):
    """The engine's process ended, or is about to."""


class EngineRefusedError(Exception):
    """The engine answered with an error. `number` is the kernel's errno, if it was one."""

    def __init__(self, kind: str, message: str, number: int | None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.number = number


@dataclass(frozen=True, slots=True)
class Answer:
    """The engine's answer to a request, with the descriptors that came along."""

    fields: Json
    descriptors: tuple[int, ...]


class EngineChannel:
    """One connection to the engine. Closing it leaves the engine running."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._events: asyncio.Queue[PlaneEvent | None] = asyncio.Queue(_EVENTS)
        self._next_id = 1
        self._is_closed = False
        self._why_gone = _GONE
        self._watch: asyncio.Task[None] | None = None
        self.is_gone = asyncio.Event()
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        self.process_id: int = _UCRED.unpack(credentials)[0]
        self._loop.add_reader(connection, self._read)

    @classmethod
    def connect(cls, path: Path) -> Self:
        """Connect to the engine that listens at `path`.

        Raises:
            OSError: nobody listens there.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.connect(str(path))
            connection.setblocking(False)
        except OSError:
            connection.close()
            raise
        return cls(connection)

    async def ask(self, operation: str, **fields: Any) -> Answer:
        """Send a request and return its answer.

        Raises:
            EngineRefusedError: the engine says no.
            EngineGoneError: the engine is gone.
            HostError: the request is too long.
        """
        number, self._next_id = self._next_id, self._next_id + 1
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting[number] = answer
        try:
            await self._send(json.dumps({"id": number, "op": operation, **fields}).encode())
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def events(self) -> AsyncIterator[PlaneEvent]:
        """Yield events until the channel is closed.

        Raises:
            EngineGoneError: the engine is gone.
        """
        while (event := await self._events.get()) is not None:
            yield event
        if not self._is_closed:
            raise EngineGoneError(self._why_gone)

    def keep(self, watch: asyncio.Task[None]) -> None:
        """Hold on to what watches this channel, and ends with it."""
        self._watch = watch

    def end_engine(self, reason: str) -> None:
        """End the engine's process, which has not ended of itself; for this reason it is gone."""
        self._why_gone = reason
        # Where that is refused it keeps what it has, and the next one says what it lacks.
        end(self.process_id)
        self._end()

    def close(self) -> None:
        """Disconnect."""
        if not self._is_closed:
            self._is_closed = True
            self._end()

    async def _send(self, message: bytes) -> None:
        while not self.is_gone.is_set():
            try:
                self._socket.send(message)
            except BlockingIOError:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    raise HostError("the request is too long for the engine") from error
                # The engine hung up. What it said before is still to be read.
            return
        raise EngineGoneError(self._why_gone)

    def _read(self) -> None:
        try:
            self._take_next()
        except BlockingIOError:
            return
        except OSError:
            # It died with a request unread. Its last words come after the reset, and are read at
            # once: uvloop calls no reader any more, not even at the end.
            with suppress(OSError):
                while not self.is_gone.is_set():
                    self._take_next()
            self._end()

    def _take_next(self) -> None:
        """Take a message, or the end."""
        message, descriptors = _receive(self._socket)
        if message:
            self._take(json.loads(message), descriptors)
        else:
            self._end()

    def _take(self, message: Json, descriptors: tuple[int, ...]) -> None:
        if "event" in message:
            # A reader that fell this far behind loses events, as it would lose datagrams.
            with suppress(asyncio.QueueFull):
                self._events.put_nowait(read_event(message))
            return
        waiting = [self._waiting.get(message["id"])] if message["id"] else [*self._waiting.values()]
        for future in waiting:
            if future is not None and not future.done():
                _settle(future, message, descriptors)

    def _end(self) -> None:
        if self.is_gone.is_set():
            return
        self.is_gone.set()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(EngineGoneError(self._why_gone))
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(None)


def _settle(future: asyncio.Future[Answer], message: Json, descriptors: tuple[int, ...]) -> None:
    if "ok" in message:
        future.set_result(Answer(message["ok"], descriptors))
        return
    error = message["error"]
    future.set_exception(EngineRefusedError(error["kind"], error["message"], error["errno"]))


def _receive(connection: socket.socket) -> tuple[bytes, tuple[int, ...]]:
    descriptors = array.array("i")
    room = socket.CMSG_SPACE(_DESCRIPTORS * descriptors.itemsize)
    message, ancillary, _, _ = connection.recvmsg(_MESSAGE_OCTETS, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return message, tuple(descriptors)

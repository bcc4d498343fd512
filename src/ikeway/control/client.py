# SPDX-License-Identifier: Apache-2.0
"""Talks with a daemon from a program that waits for its answers, as commands do."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self, TypeVar

from pydantic import BaseModel

from ikeway.control.errors import NoDaemonError
from ikeway.control.rundir import RunDir
from ikeway.control.schema import (
    Disconnect,
    Disconnected,
    Done,
    Drain,
    Drained,
    EventLine,
    Initiate,
    Initiated,
    Ping,
    Pong,
    Reload,
    Reloaded,
    Request,
    Shutdown,
    Status,
    StatusReply,
    StatusRequest,
    UsersChanged,
    Watch,
    encode,
    parse_reply,
)
from ikeway.model.errors import HostError
from ikeway.model.time import Seconds

PATIENCE: Final[Seconds] = 10.0
REPLY_OCTETS: Final = 256 << 20
"""No reply is longer: 100,000 Child SAs need a quarter of that."""

__all__ = ("ControlClient", "NoDaemonError", "Watching")

_R = TypeVar("_R", bound=BaseModel)


class ControlClient:
    """One daemon's control socket. Each call is a connection of its own.

    Every method raises `NoDaemonError` if no daemon runs there, `UsageError` with the daemon's
    words if it refuses, and `HostError` if it does not answer in time or not as it should.
    """

    def __init__(self, run_dir: Path, patience: Seconds = PATIENCE) -> None:
        self.run_dir = RunDir(run_dir)
        self._patience = patience

    def ping(self) -> Pong:
        """Return who is there."""
        return self._ask(Ping(), Pong)

    def status(self) -> Status:
        """Return every IKE SA."""
        return self._ask(StatusRequest(), StatusReply).status

    def disconnect(self, target: str) -> list[str]:
        """Delete IKE SAs by the name of their connection or by id; return the ids."""
        return self._ask(Disconnect(target=target), Disconnected).disconnected

    def users_changed(self) -> list[str]:
        """Have the IKE SAs end of users who may not be there any more; return the ids."""
        return self._ask(UsersChanged(), Disconnected).disconnected

    def initiate(self, connection: str) -> str:
        """Start a connection and return the id of its IKE SA."""
        return self._ask(Initiate(connection=connection), Initiated).id

    def drain(self, order: Drain) -> Drained:
        """Send clients to another gateway, or stop to; return what becomes of those that are up."""
        return self._ask(order, Drained)

    def reload(self) -> Reloaded:
        """Have the configuration read again; return which connections changed."""
        return self._ask(Reload(), Reloaded)

    def shutdown(self) -> None:
        """Tell the daemon to end; it may still be ending when this returns."""
        self._ask(Shutdown(), Done)

    def watch(self) -> "Watching":
        """Return what happens from now on: the subscription stands when this returns."""
        link = self._connect()
        try:
            link.ask(Watch(), Done)
        except BaseException:
            link.close()
            raise
        return Watching(link)

    def _ask(self, request: Request, kind: type[_R]) -> _R:
        link = self._connect()
        try:
            return link.ask(request, kind)
        finally:
            link.close()

    def _connect(self) -> "_Link":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._patience)
        try:
            connection.connect(str(self.run_dir.socket))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            connection.close()
            where = self.run_dir.path
            raise NoDaemonError(
                f"no ikeway runs at {where}; start it with `ikeway serve` or `ikeway up`,"
                " or name another --run-dir"
            ) from error
        except PermissionError as error:
            connection.close()
            raise HostError(
                f"the daemon at {self.run_dir.path} is another user's; ask as that user or as root"
            ) from error
        except OSError as error:
            connection.close()
            raise HostError(f"control socket {self.run_dir.socket}: {error}") from error
        return _Link(connection, str(self.run_dir.socket))


class Watching:
    """Events of a daemon, as an iterator that ends when the daemon does."""

    def __init__(self, link: "_Link") -> None:
        self._link = link

    def next(self, patience: Seconds | None = None) -> EventLine | None:
        """Return the next event, or None if the daemon ended.

        Raises:
            TimeoutError: nothing happened for that long; call again to go on.
        """
        line = self._link.line(patience)
        return self._link.parse(line, EventLine) if line else None

    def __iter__(self) -> Iterator[EventLine]:
        while (event := self.next()) is not None:
            yield event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._link.close()


class _Link:
    """A connected socket that gives whole lines, also after a time-out."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._connection = connection
        self._name = name
        self._received = bytearray()
        self._patience = connection.gettimeout()

    def ask(self, request: Request, kind: type[_R]) -> _R:
        try:
            self._connection.sendall(encode(request))
            line = self.line(self._patience)
        except TimeoutError as error:
            raise HostError(
                f"the daemon at {self._name} has not answered for {self._patience:.0f} s;"
                " its log may say why"
            ) from error
        except BrokenPipeError:
            line = b""
        if not line:
            raise HostError(f"the daemon at {self._name} hung up without an answer")
        return self.parse(line, kind)

    def line(self, patience: Seconds | None) -> bytes:
        """Return the next line; nothing if the daemon hung up."""
        self._connection.settimeout(patience)
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if searched > REPLY_OCTETS:
                raise HostError(f"the daemon at {self._name} sends a line without end")
            octets = self._receive()
            if not octets:
                return b""
            self._received += octets
        line = bytes(self._received[: end + 1])
        del self._received[: end + 1]
        return line

    def parse(self, line: bytes, kind: type[_R]) -> _R:
        try:
            return parse_reply(line, kind)
        except ValueError as error:
            raise HostError(
                f"the daemon at {self._name} answers in other words, perhaps of another release:"
                f" {error}"
            ) from error

    def close(self) -> None:
        self._connection.close()

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(1 << 18)
        except ConnectionResetError:
            return b""

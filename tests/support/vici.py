# SPDX-License-Identifier: Apache-2.0
"""Asks a strongSwan daemon through its control socket, by its documented protocol."""

import socket
import struct
from enum import IntEnum
from pathlib import Path
from typing import TypeAlias

Message: TypeAlias = dict[str, "str | list[str] | Message"]


class Packet(IntEnum):
    """What a packet is."""

    REQUEST = 0
    RESPONSE = 1
    UNKNOWN_COMMAND = 2
    REGISTER = 3
    CONFIRM = 5
    EVENT = 7


class Element(IntEnum):
    """What an element of a message is."""

    SECTION = 1
    SECTION_END = 2
    VALUE = 3
    LIST = 4
    ITEM = 5
    LIST_END = 6


class Vici:
    """One connection to a daemon, over a stream that leads there."""

    def __init__(self, stream: socket.socket, patience: float = 20.0) -> None:
        self._socket = stream
        self._socket.settimeout(patience)

    @classmethod
    def at(cls, path: Path) -> "Vici":
        """Connect to the socket at a path."""
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.connect(str(path))
        return cls(stream)

    def ask(self, command: str, **values: str) -> Message:
        """Return the answer to a command."""
        self._send(Packet.REQUEST, command, values)
        kind, body = self._receive()
        assert kind is Packet.RESPONSE, f"{command}: {kind!r}"
        return _decode(body)

    def stream(self, command: str, event: str, **values: str) -> list[Message]:
        """Return the events that a command makes before its answer."""
        self._send(Packet.REGISTER, event, None)
        assert self._receive()[0] is Packet.CONFIRM
        self._send(Packet.REQUEST, command, values)
        found: list[Message] = []
        while True:
            kind, body = self._receive()
            if kind is not Packet.EVENT:
                return found
            found.append(_decode(body[1 + body[0] :]))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _send(self, kind: Packet, name: str, values: dict[str, str] | None) -> None:
        body = bytes([kind, len(name)]) + name.encode()
        for key, value in (values or {}).items():
            body += bytes([Element.VALUE, len(key)]) + key.encode()
            body += struct.pack(">H", len(value)) + value.encode()
        self._socket.sendall(struct.pack(">I", len(body)) + body)

    def _receive(self) -> tuple[Packet, bytes]:
        (length,) = struct.unpack(">I", self._exactly(4))
        body = self._exactly(length)
        return Packet(body[0]), body[1:]

    def _exactly(self, length: int) -> bytes:
        octets = b""
        while len(octets) < length:
            more = self._socket.recv(length - len(octets))
            if not more:
                raise ConnectionError("the daemon hung up")
            octets += more
        return octets


class _Cursor:
    def __init__(self, octets: bytes) -> None:
        self.octets = octets

    def take(self, length: int) -> bytes:
        taken, self.octets = self.octets[:length], self.octets[length:]
        return taken

    def kind(self) -> Element:
        return Element(self.take(1)[0])

    def name(self) -> str:
        return self.take(self.take(1)[0]).decode()

    def value(self) -> str:
        return self.take(int.from_bytes(self.take(2))).decode(errors="replace")


def _decode(octets: bytes) -> Message:
    return _section(_Cursor(octets))


def _section(cursor: _Cursor) -> Message:
    found: Message = {}
    while cursor.octets:
        match cursor.kind():
            case Element.SECTION:
                name = cursor.name()
                found[name] = _section(cursor)
            case Element.VALUE:
                name = cursor.name()
                found[name] = cursor.value()
            case Element.LIST:
                name = cursor.name()
                found[name] = _list(cursor)
            case _:
                break
    return found


def _list(cursor: _Cursor) -> list[str]:
    found = []
    while cursor.kind() is Element.ITEM:
        found.append(cursor.value())
    return found

# SPDX-License-Identifier: Apache-2.0
"""A conversation with the kernel: requests that it answers at once, and what it tells by itself."""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final

from ikeway.dataplane.xfrm.messages import Kind
from ikeway.model.errors import HostError

_NETLINK_XFRM: Final = 6
_GROUPS: Final = 1 << 0 | 1 << 1 | 1 << 7
"""Packets that want an SA, limits that are reached, and peers that moved."""
_HEADER: Final = struct.Struct("=IHHII")
_REQUEST: Final = 1
_ACK: Final = 4
_DUMP: Final = 0x300
_ERROR: Final = 2
_DONE: Final = 3
_OCTETS: Final = 1 << 16
_QUEUE_OCTETS: Final = 4 << 20
_SO_RCVBUFFORCE: Final = 33


class KernelRefusedError(Exception):
    """The kernel said no; `number` is its errno."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


class Channel:
    """Two sockets: one asks, the other listens."""

    def __init__(self) -> None:
        try:
            self._asking = _open(0)
            try:
                self._listening = _open(_GROUPS)
            except OSError:
                self._asking.close()
                raise
        except OSError as error:
            words = "this kernel has no XFRM: load xfrm_user, or use the engine"
            if error.errno == errno.EPERM:
                words = "ikeway needs CAP_NET_ADMIN: run it as root"
            raise HostError(f"netlink: {error.strerror}: {words}") from error
        self._listening.setblocking(False)

    def ask(self, kind: Kind, body: bytes) -> None:
        """Have something done.

        Raises:
            KernelRefusedError: it is not.
        """
        for refusal in self.ask_together((kind, body)):
            if refusal is not None:
                raise refusal

    def ask_together(self, *wanted: tuple[Kind, bytes]) -> list[KernelRefusedError | None]:
        """Have things done with one call, so that few packets meet the state between them.

        Return what the kernel refuses, in the order of what was wanted.
        """
        flags = _REQUEST | _ACK
        self._asking.send(b"".join(_message(kind, body, flags) for kind, body in wanted))
        return [_refusal(self._asking.recv(_OCTETS)) for _ in wanted]

    def get(self, kind: Kind, body: bytes) -> bytes:
        """Return what the kernel has under a name.

        Raises:
            KernelRefusedError: it has no such thing.
        """
        self._send(kind, body, _REQUEST)
        for answer, octets in _messages(self._asking.recv(_OCTETS)):
            _check(answer, octets)
            return octets
        raise KernelRefusedError(errno.EPROTO)

    def all(self, kind: Kind) -> list[bytes]:
        """Return everything of a kind."""
        self._send(kind, bytes(256), _REQUEST | _DUMP)
        found: list[bytes] = []
        while True:
            for answer, octets in _messages(self._asking.recv(_OCTETS)):
                if answer == _DONE:
                    return found
                _check(answer, octets)
                found.append(octets)

    def listen(self, hear: Callable[[int, bytes], None]) -> None:
        """Call `hear` with the type and the body of what the kernel tells."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._listening.fileno(), self._readable, hear)

    def close(self) -> None:
        """End the conversation."""
        if self._listening.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._listening.fileno())
        self._asking.close()
        self._listening.close()

    def _send(self, kind: Kind, body: bytes, flags: int) -> None:
        self._asking.send(_message(kind, body, flags))

    def _readable(self, hear: Callable[[int, bytes], None]) -> None:
        try:
            octets = self._listening.recv(_OCTETS)
        except OSError:
            return  # Too much at once: something was missed, and the next is heard again.
        for kind, body in _messages(octets):
            hear(kind, body)


def _open(groups: int) -> socket.socket:
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_XFRM)
    try:
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _QUEUE_OCTETS)
        made.bind((0, groups))
    except OSError:
        made.close()
        raise
    return made


def _message(kind: Kind, body: bytes, flags: int) -> bytes:
    whole = _HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body
    return whole + bytes(-len(whole) % 4)


def _refusal(answer: bytes) -> KernelRefusedError | None:
    try:
        for kind, octets in _messages(answer):
            _check(kind, octets)
    except KernelRefusedError as refusal:
        return refusal
    return None


def _messages(octets: bytes) -> Iterator[tuple[int, bytes]]:
    while len(octets) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(octets)
        if length < _HEADER.size:
            return
        yield kind, octets[_HEADER.size : length]
        octets = octets[length + -length % 4 :]


def _check(kind: int, octets: bytes) -> None:
    if kind == _ERROR:
        (number,) = struct.unpack_from("=i", octets)
        if number:
            raise KernelRefusedError(-number)

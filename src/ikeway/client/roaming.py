# SPDX-License-Identifier: Apache-2.0
"""Hears from the kernel that addresses, links or routes have changed (rtnetlink's groups)."""

import asyncio
import errno
import math
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final, Self

from ikeway.model.errors import HostError
from ikeway.model.time import Instant, Seconds

SETTLES: Final[Seconds] = 0.1
"""A change of networks is a dozen messages; this long after the last one all is told."""

PATIENCE: Final[Seconds] = 0.5
"""Where messages do not end, they are told of after so long."""

PAUSE: Final[Seconds] = 1.0
"""A host whose routes change all the time is not looked at more often on average."""

AT_ONCE: Final = 4
"""One move may be several changes: an address goes, another comes, then a route."""

_RECEIVE_OCTETS: Final = 65_536
_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # links; addresses and routes of IPv4 and IPv6
_HEADER: Final = struct.Struct("=IHHII")
_LINKS, _ADDRESSES, _ROUTES = {16, 17}, {20, 21}, {24, 25}
_NUMBERED_TABLE: Final = 252
"""What stands for a table that has no number of one octet (RT_TABLE_COMPAT), as all of ours."""


class Roaming:
    """A netlink socket that only says when to look; what concerns our own interface is no news."""

    def __init__(self, ours: Callable[[], int]) -> None:
        self._ours = ours
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._pace = Pace()
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
            self._socket.bind((0, _GROUPS))
        except OSError as error:
            raise HostError(f"watching this host's addresses: {error.strerror}") from error
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    async def change(self) -> None:
        """Wait until something has changed and has settled."""
        await self._news.wait()
        began = self._loop.time()
        while self._news.is_set() and self._loop.time() < began + PATIENCE:
            self._news.clear()
            await asyncio.sleep(SETTLES)
        await asyncio.sleep(self._pace.wait(self._loop.time()))
        self._news.clear()

    def _readable(self) -> None:
        try:
            octets = self._socket.recv(_RECEIVE_OCTETS)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.ENOBUFS:  # messages were lost: there was something
                self._news.set()
            return
        if any(is_news(kind, body, self._ours()) for kind, body in messages(octets)):
            self._news.set()


class Pace:
    """How soon the host is looked at again: a few times at once, then once in a pause."""

    def __init__(self) -> None:
        self._spent_until: Instant = -math.inf

    def wait(self, now: Instant) -> Seconds:
        """Return how long to wait for the next look, which counts as taken."""
        at = max(now, self._spent_until - (AT_ONCE - 1) * PAUSE)
        self._spent_until = max(at, self._spent_until) + PAUSE
        return at - now


def messages(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the body of each netlink message."""
    at = 0
    while at + _HEADER.size <= len(octets):
        length, kind, *_ = _HEADER.unpack_from(octets, at)
        if length < _HEADER.size:
            return
        yield kind, octets[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def is_news(kind: int, body: bytes, ours: int) -> bool:
    """Whether a message is of another interface than ours, or of a table of the host's."""
    if kind in _ROUTES:
        return len(body) > 4 and body[4] != _NUMBERED_TABLE
    if kind in _LINKS | _ADDRESSES and len(body) >= 8:
        return int(struct.unpack_from("=I", body, 4)[0]) != ours
    return False

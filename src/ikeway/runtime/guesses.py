# SPDX-License-Identifier: Apache-2.0
"""Counts wrong passwords, so that nobody tries many: by user, and by where they come from.

A count runs off evenly: after the whole window nothing is left of it. Whoever has tried too often
waits for the next try, and what he tries meanwhile is not looked at.
"""

import math
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_network
from threading import Lock
from typing import Final

from ikeway.model.address import Address
from ikeway.model.errors import AuthenticationError
from ikeway.policy.limits import Limits

REMEMBERED_MOST: Final = 1 << 16
_PREFIX: Final = 64

Key = tuple[str, str]
"""A user, a source, or both."""


class Guesses:
    """The counts of one process; several threads may count."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = Lock()
        self._levels: dict[Key, tuple[float, float]] = {}
        self._trusted: dict[Key, None] = {}

    def __len__(self) -> int:
        return len(self._levels) + len(self._trusted)

    def check(self, user: str, place: Address) -> None:
        """Do nothing if one more password may be tried.

        Raises:
            AuthenticationError: there were too many wrong ones.
        """
        with self._lock:
            for key, most in self._keys(user, source(place)):
                over = self._level(key) + 1 - most
                if over > 1e-9:
                    wait = math.ceil(over * self._limits.guess_window / most)
                    whose = f"for {key[0]!r}" if key[0] else f"from {key[1]}"
                    raise AuthenticationError(
                        f"too many wrong passwords {whose}; the next is looked at in {wait} s"
                    )

    def wrong(self, user: str, place: Address) -> None:
        """Count a wrong password."""
        now = self._clock()
        with self._lock:
            for key, _ in self._keys(user, source(place)):
                level = self._level(key) + 1
                self._levels.pop(key, None)
                _make_room(self._levels)
                self._levels[key] = level, now

    def right(self, user: str, place: Address) -> None:
        """Note that a user has come in from there: strangers' guesses count no more for it."""
        pair = user, source(place)
        with self._lock:
            self._trusted.pop(pair, None)
            _make_room(self._trusted)
            self._trusted[pair] = None
            self._levels.pop(pair, None)

    def _keys(self, user: str, where: str) -> tuple[tuple[Key, int], ...]:
        """Return what counts, with how much of it is too much."""
        if (user, where) in self._trusted:
            return (((user, where), self._limits.user_guesses),)
        return ((user, ""), self._limits.user_guesses), (("", where), self._limits.source_guesses)

    def _level(self, key: Key) -> float:
        level, at = self._levels.get(key, (0.0, 0.0))
        most = self._limits.user_guesses if key[0] else self._limits.source_guesses
        return max(0.0, level - (self._clock() - at) * most / self._limits.guess_window)


def source(address: Address) -> str:
    """Return what counts as one source: an IPv4 address, or an IPv6 /64."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _PREFIX), strict=False))
    return str(address)


def _make_room(known: dict[Key, tuple[float, float]] | dict[Key, None]) -> None:
    """Forget the oldest where there is no room for another one."""
    while len(known) >= REMEMBERED_MOST:
        del known[next(iter(known))]

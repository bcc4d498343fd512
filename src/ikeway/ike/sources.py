# SPDX-License-Identifier: Apache-2.0
"""Where strangers come from, and how often, in tables that never grow (RFC 8019 §4.2)."""

from array import array
from dataclasses import dataclass
from typing import Final

from ikeway.crypto.random import Random
from ikeway.model.address import Address
from ikeway.model.time import Instant

CELLS: Final = 1 << 14
ROWS: Final = 2
KEY_OCTETS: Final = 16
SHIFT: Final = 8 * KEY_OCTETS - 14


@dataclass(frozen=True, slots=True)
class Source:
    """An IPv4 address and its /24, or the /64 and the /48 of an IPv6 address.

    Providers give customers a /64 to a /48 of IPv6, so one address there means nothing.
    """

    key: bytes
    network: bytes


def source_of(address: Address) -> Source:
    """Return where an address belongs to. The lengths tell the families apart."""
    packed = address.packed
    if len(packed) == 4:
        return Source(packed, packed[:3])
    return Source(packed[:8], packed[:6])


class Meter:
    """How often each of any number of sources may do something, in memory of a fixed size.

    Each row is a table of token buckets, and a source has one in each, chosen by a hash of its own
    that nobody outside knows. It may go on while any of them has a token: to be held up, it has to
    share all of its buckets with somebody who uses them up.
    """

    def __init__(self, random: Random, per_second: float, burst: float) -> None:
        self._random = random
        self._interval = 1.0 / per_second
        self._patience = burst / per_second
        self._keys: tuple[int, ...] = ()
        self._full_at: tuple[array[float], ...] = ()

    def allows(self, source: bytes, now: Instant, cost: float = 1.0) -> bool:
        """Whether it may happen once more now; if so, it has happened, at that cost."""
        places = self._places(source)
        if all(row[at] >= now + self._patience for row, at in places):
            return False
        self._charge(places, now, cost)
        return True

    def charge(self, source: bytes, now: Instant, cost: float) -> None:
        """Take tokens whether they are there or not."""
        self._charge(self._places(source), now, cost)

    def _charge(self, places: list[tuple["array[float]", int]], now: Instant, cost: float) -> None:
        for row, at in places:
            row[at] = max(row[at], now) + cost * self._interval

    def _places(self, source: bytes) -> list[tuple["array[float]", int]]:
        if not self._keys:
            self._begin()
        number = int.from_bytes(b"\1" + source)
        # Multiply-shift hashing: the upper bits of a product with a secret odd number.
        return [
            (row, (number * key >> SHIFT) & (CELLS - 1))
            for row, key in zip(self._full_at, self._keys, strict=True)
        ]

    def _begin(self) -> None:
        self._keys = tuple(int.from_bytes(self._random.octets(KEY_OCTETS)) | 1 for _ in range(ROWS))
        self._full_at = tuple(array("d", bytes(8 * CELLS)) for _ in range(ROWS))

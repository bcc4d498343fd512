# SPDX-License-Identifier: Apache-2.0
"""Tickets of ours that are good for nothing any more (RFC 5723 §4.3.1, §6.2, §9.8).

The SPI of an IKE SA names all of its tickets. Those that were used, or whose IKE SA was deleted,
are remembered in bounded memory: when it is full, none is taken that is as old as what was dropped.
"""

import heapq
import math
from collections.abc import Iterator
from typing import Final

from ikeway.ike.resumption import LIFETIME_MOST
from ikeway.ike.tickets import Past
from ikeway.model.errors import IntegrityError
from ikeway.model.time import Instant

REVOKED_MOST: Final = 65_536


class Revoked:
    """Which IKE SAs nobody resumes any more."""

    def __init__(self, most: int = REVOKED_MOST) -> None:
        self._most = most
        self._issued: dict[bytes, Instant] = {}
        self._oldest: list[tuple[Instant, bytes]] = []
        self._floor: Instant = -math.inf

    def __len__(self) -> int:
        return len(self._issued)

    def __iter__(self) -> Iterator[tuple[bytes, Instant]]:
        """Return each SPI, and when its last ticket was issued."""
        return iter(tuple(self._issued.items()))

    def check(self, past: Past) -> None:
        """Check that a ticket was not used and not revoked.

        Raises:
            IntegrityError: it was, or nobody knows any more.
        """
        if past.spi in self._issued:
            raise IntegrityError("a ticket that was used, or whose IKE SA has ended")
        if past.issued <= self._floor:
            raise IntegrityError("a ticket that is too old to know whether it was used")

    def add(self, spi: bytes, issued: Instant, now: Instant) -> None:
        """Note that the tickets of an IKE SA, the last of which was issued then, are void."""
        if spi in self._issued:
            return
        self._issued[spi] = issued
        heapq.heappush(self._oldest, (issued, spi))
        while self._oldest and self._oldest[0][0] + LIFETIME_MOST <= now:
            self._drop()
        if len(self._oldest) > self._most:
            self._floor = self._drop()

    def _drop(self) -> Instant:
        issued, spi = heapq.heappop(self._oldest)
        del self._issued[spi]
        return issued

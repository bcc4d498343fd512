# SPDX-License-Identifier: Apache-2.0
"""Child SAs that are to be replaced at once, all of them: a few at a time (RFC 7296 §2.8).

A gateway whose data plane died has thousands. Begun together, their keys would be made before the
first answer is looked at, and answers that nobody looks at in time are asked for again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from ikeway.model.time import Seconds

AT_ONCE: Final = 32
"""How many are on their way."""
PATIENCE: Final[Seconds] = 1.0
"""After so long the next one goes before one is over: a peer that is gone holds up no others."""


class Replacing:
    """What waits and what is on its way, by inbound SPI. `begin` is called with one at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, begin: Callable[[int], None]) -> None:
        self._loop = loop
        self._begin = begin
        self._waiting: deque[int] = deque()
        self._wanted: set[int] = set()
        self._under_way: dict[int, asyncio.TimerHandle] = {}

    def add(self, spis: Iterable[int]) -> None:
        """Have these replaced, too, in this order."""
        new = [spi for spi in spis if spi not in self._wanted and spi not in self._under_way]
        self._wanted.update(new)
        self._waiting.extend(new)
        self._go_on()

    def gone(self, spi_in: int) -> None:
        """Note that one is gone, whether it was replaced or not."""
        self._wanted.discard(spi_in)
        timer = self._under_way.pop(spi_in, None)
        if timer is not None:
            timer.cancel()
            # Not from within: this may be told in the middle of what `begin` does.
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        while self._waiting and len(self._under_way) < AT_ONCE:
            spi_in = self._waiting.popleft()
            if spi_in in self._wanted:
                self._wanted.discard(spi_in)
                self._under_way[spi_in] = self._loop.call_later(PATIENCE, self._overdue, spi_in)
                self._begin(spi_in)

    def _overdue(self, spi_in: int) -> None:
        self._under_way.pop(spi_in, None)
        self._go_on()

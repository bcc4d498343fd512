# SPDX-License-Identifier: Apache-2.0
"""Pairs on standby that send after a while although the peer has not used them (RFC 7296 §2.8).

A peer that is still there uses what it made, or deletes what was before. One that began anew after
a crash may do neither, and what it had before would get its traffic until it is noticed as dead.
"""

import asyncio
from collections.abc import Callable

from ikeway.model.time import Seconds


class Standby:
    """What waits, by inbound SPI. `activate` is called with one whose time has come."""

    def __init__(self, loop: asyncio.AbstractEventLoop, activate: Callable[[int], None]) -> None:
        self._loop = loop
        self._activate = activate
        self._waiting: dict[int, asyncio.TimerHandle] = {}

    def wait(self, spi_in: int, seconds: Seconds) -> None:
        """Have a pair wait no longer than that."""
        self._waiting[spi_in] = self._loop.call_later(seconds, self._over, spi_in)

    def forget(self, spi_in: int) -> None:
        """Note that a pair goes."""
        timer = self._waiting.pop(spi_in, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Activate nothing any more."""
        for spi_in in tuple(self._waiting):
            self.forget(spi_in)

    def _over(self, spi_in: int) -> None:
        del self._waiting[spi_in]
        self._activate(spi_in)

# SPDX-License-Identifier: Apache-2.0
"""Events for one caller of `watch`: a slow reader loses the oldest, and is told how many."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from time import time
from typing import Final

from ikeway.control.schema import EventLine

EVENTS_MOST: Final = 1000


class Backlog:
    """Events between the daemon, which never waits, and a reader, who may."""

    def __init__(self, source: AsyncIterator[EventLine], most: int = EVENTS_MOST) -> None:
        self._events: deque[EventLine] = deque(maxlen=most)
        self._skipped = 0
        self._news = asyncio.Event()
        self._ended = False
        self._pump = asyncio.get_running_loop().create_task(self._take(source))

    async def next(self) -> tuple[EventLine, ...]:
        """Return what happened since the last call; nothing once there is no more."""
        while not self._events and not self._ended:
            self._news.clear()
            await self._news.wait()
        events = tuple(self._events)
        self._events.clear()
        skipped, self._skipped = self._skipped, 0
        return (_note(skipped), *events) if skipped else events

    async def close(self) -> None:
        """Take no more events."""
        self._pump.cancel()
        with suppress(asyncio.CancelledError):
            await self._pump

    async def _take(self, source: AsyncIterator[EventLine]) -> None:
        try:
            async for event in source:
                self._skipped += len(self._events) == self._events.maxlen
                self._events.append(event)
                self._news.set()
        finally:
            self._ended = True
            self._news.set()


def _note(skipped: int) -> EventLine:
    text = f"{skipped} events were skipped: the reader was too slow"
    return EventLine(at=time(), level="warning", event="Skipped", text=text)

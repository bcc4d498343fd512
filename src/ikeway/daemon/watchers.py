# SPDX-License-Identifier: Apache-2.0
"""Those who watch what happens. A slow one loses lines and is told so; it never holds others up."""

import asyncio
import time
from collections.abc import AsyncIterator

from ikeway.control.schema import EventLine

QUEUE_MOST = 1024


class Watchers:
    """Hands each event to everybody who watches."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[EventLine]] = set()

    def tell(self, line: EventLine) -> None:
        """Give a line to all watchers; one whose queue is full loses its oldest lines."""
        for queue in self._queues:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(_gap())
            queue.put_nowait(line)

    async def _iterate(self, queue: asyncio.Queue[EventLine]) -> AsyncIterator[EventLine]:
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)

    def watch(self) -> AsyncIterator[EventLine]:
        """Return the lines from now on, also those told before the first is asked for."""
        queue: asyncio.Queue[EventLine] = asyncio.Queue(QUEUE_MOST)
        self._queues.add(queue)
        return self._iterate(queue)


def _gap() -> EventLine:
    text = "events were lost: the watcher was too slow"
    return EventLine(at=time.time(), level="warning", event="Gap", text=text)

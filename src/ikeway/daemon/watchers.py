# SPDX-License-Identifier: Apache-2.0
"""Those who watch what happens: each gets every line from the moment it began to watch."""

import asyncio
from collections.abc import AsyncIterator

from ikeway.control.schema import EventLine


class Watchers:
    """Hands each event to everybody who watches; who reads slowly is the server's concern."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[EventLine]] = set()

    def __bool__(self) -> bool:
        return bool(self._queues)

    def tell(self, line: EventLine) -> None:
        """Give a line to all watchers."""
        for queue in self._queues:
            queue.put_nowait(line)

    def watch(self) -> AsyncIterator[EventLine]:
        """Return the lines from now on, also those told before the first is asked for."""
        queue: asyncio.Queue[EventLine] = asyncio.Queue()
        self._queues.add(queue)
        return self._iterate(queue)

    async def _iterate(self, queue: asyncio.Queue[EventLine]) -> AsyncIterator[EventLine]:
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)

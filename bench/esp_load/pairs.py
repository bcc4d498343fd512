# SPDX-License-Identifier: Apache-2.0
"""Many Child SAs beside the one that carries, and who installs, removes and rekeys them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any, Final

from ikeway.model.esp import ChildSa
from ikeway.model.selectors import TrafficSelector
from support.tunnel import Host

TOGETHER: Final = 256
TURNS: Final = 50
"""Of rekeying, in a second."""
FIRST: Final = 0x10_0000
# A prime below 2^32 - FIRST, and a number that is none of its factors.
LAST: Final = 4_293_918_689
SCATTER: Final = 2_654_435_761
PEERS: Final = int(ip_address("100.64.0.0"))
OWN: Final = TrafficSelector.of(ip_network("10.1.0.0/16"))


class Requester:
    """Who asks a host's engine for pairs, each with an SPI and a peer of its own."""

    def __init__(self, host: Host, model: ChildSa, count: int) -> None:
        self._host = host
        self._model = model
        self._made = 0
        self.done = 0
        self.share = 0.0
        """How much of a processor this process used while it rekeyed last."""
        self.waiting = [self._another(number) for number in range(count)]
        self.installed: list[ChildSa] = []

    def install(self, count: int) -> float:
        """Install so many of those that wait; return the seconds that it took."""
        return self._timed(self._install(count))

    def remove(self, count: int) -> float:
        """Remove the oldest; return the seconds that it took."""
        return self._timed(self._remove(count))

    @contextmanager
    def installing(self, count: int) -> Iterator[None]:
        """Install meanwhile, as fast as can be, until the last is there."""
        running = self._start(self._install(count))
        yield
        running.result(600)

    @contextmanager
    def removing(self, count: int) -> Iterator[None]:
        """Remove meanwhile, as fast as can be, until the last has gone."""
        running = self._start(self._remove(count))
        yield
        running.result(600)

    @contextmanager
    def rekeying(self, rate: int) -> Iterator[None]:
        """Meanwhile put a new pair in the place of an old one, so often in a second."""
        started, used = time.monotonic(), time.process_time()
        with self._until_left(partial(self._rekey, rate // TURNS)):
            yield
        self.share = (time.process_time() - used) / (time.monotonic() - started)

    @contextmanager
    def burning(self) -> Iterator[None]:
        """Meanwhile use as much of a processor as rekeying did, and ask for nothing."""
        with self._until_left(self._burn):
            yield

    @contextmanager
    def _until_left(self, turn: Callable[[], Awaitable[None]]) -> Iterator[None]:
        ending = asyncio.Event()
        running = self._start(_again_and_again(turn, ending))
        yield
        self._host.loop.call_soon_threadsafe(ending.set)
        running.result(30)

    async def _install(self, count: int) -> None:
        for start in range(0, count, TOGETHER):
            some = self.waiting[: min(TOGETHER, count - start)]
            del self.waiting[: len(some)]
            await self._arrive(some)
            self.done += len(some)

    async def _remove(self, count: int) -> None:
        for start in range(0, count, TOGETHER):
            some = min(TOGETHER, count - start)
            await self._go(some)
            self.done += some

    async def _rekey(self, some: int) -> None:
        old = self.installed[:some]
        await self._arrive([self._another(self._made, child) for child in old])
        await self._go(some)
        self.done += some

    async def _burn(self) -> None:
        until = time.monotonic() + self.share / TURNS
        while time.monotonic() < until:
            pass

    async def _arrive(self, some: list[ChildSa]) -> None:
        await asyncio.gather(*(self._host.plane.install(child) for child in some))
        self.installed += some

    async def _go(self, some: int) -> None:
        old = self.installed[:some]
        del self.installed[:some]
        await asyncio.gather(*(self._host.plane.remove(child.spi_in) for child in old))

    def _another(self, number: int, old: ChildSa | None = None) -> ChildSa:
        self._made += 1
        peer = (TrafficSelector.of(ip_network((PEERS + number, 32))),)
        # Scattered, as those are that IKE gives.
        spi = FIRST + number * SCATTER % LAST
        selectors = old.peer_ts if old else peer
        return replace(self._model, spi_in=spi, spi_out=spi, local_ts=(OWN,), peer_ts=selectors)

    def _timed(self, work: Coroutine[Any, Any, None]) -> float:
        start = time.monotonic()
        self._start(work).result(600)
        return time.monotonic() - start

    def _start(self, work: Coroutine[Any, Any, None]) -> "Future[None]":
        return asyncio.run_coroutine_threadsafe(work, self._host.loop)


async def _again_and_again(turn: Callable[[], Awaitable[None]], ending: asyncio.Event) -> None:
    due = time.monotonic()
    while not ending.is_set():
        await turn()
        due = max(due + 1 / TURNS, time.monotonic())
        await asyncio.sleep(due - time.monotonic())

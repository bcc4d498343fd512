# SPDX-License-Identifier: Apache-2.0
"""An engine for as long as its daemon lives: where a process ends, another takes its place.

One that hangs is ended before (see `pulse`). The new one is empty. Keys went with the old one and
are nowhere else, so that whoever uses this has to agree on new ones: see `PlaneRenewed`
(docs/concepts/never-reuse.md).
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from ikeway.dataplane.engine import EngineDataPlane
from ikeway.dataplane.engine_channel import Answer, EngineChannel, EngineGoneError
from ikeway.dataplane.engine_end import ended
from ikeway.dataplane.port import PlaneConfig, PlaneEvent, PlaneLost, PlaneRenewed
from ikeway.model.errors import HostError
from ikeway.model.policies import TrafficPolicy
from ikeway.model.time import Instant, Seconds

AGAIN: Final[tuple[Seconds, ...]] = (0.0, 1.0, 5.0, 15.0)
"""How long to wait before there is another engine; the last goes on for ever."""
LONG_LIVED: Final[Seconds] = 60.0
"""One that lived so long did not end because of how it began."""
_PATIENCE: Final[Seconds] = 3.0
"""How long a request waits for the next engine."""
_ENDS: Final[Seconds] = 3.0


class Succession:
    """How soon an engine follows another: at once, and ever later while they live short."""

    def __init__(self, now: Instant) -> None:
        self._began = now
        self._short_lived = 0

    def began(self, now: Instant) -> None:
        """Note that an engine is there."""
        self._began = now

    def wait(self, now: Instant) -> Seconds:
        """Return how long to wait, after one ended or could not begin."""
        if now - self._began > LONG_LIVED:
            self._short_lived = 0
        self._began = math.inf  # until one has
        wait = AGAIN[min(self._short_lived, len(AGAIN) - 1)]
        self._short_lived += 1
        return wait


class LastingEngine(EngineDataPlane):
    """A connection to one engine after another; whoever reads `events` has the next one begin."""

    def __init__(self, channel: EngineChannel, path: Path, config: PlaneConfig) -> None:
        super().__init__(channel, path, config)
        self._succession = Succession(_now())
        self._policies: tuple[TrafficPolicy, ...] = ()
        self._is_renewed = asyncio.Event()
        self._is_renewed.set()
        self._lost_at = _now()

    @override
    async def govern(self, policies: tuple[TrafficPolicy, ...]) -> None:
        await super().govern(policies)
        self._policies = policies

    @override
    async def events(self) -> AsyncIterator[PlaneEvent]:
        while True:
            try:
                async for event in self._channel.events():
                    yield event
            except EngineGoneError as error:
                gone = error
            else:
                return
            self._lost()
            async for event in self._succeed(gone):
                yield event
            self._is_renewed.set()

    async def _succeed(self, reason: HostError) -> AsyncIterator[PlaneEvent]:
        """Have another engine, whatever it takes."""
        while True:
            again = self._succession.wait(_now())
            yield PlaneLost(str(reason), again)
            await asyncio.sleep(again)
            try:
                await self._renew()
            except HostError as error:
                reason = error
            else:
                self._succession.began(_now())
                yield PlaneRenewed()
                return

    async def _renew(self) -> None:
        """Start an engine beside the sockets of IKE, which stay, and let it know the policies.

        They come first among those that share the port, as before, so that the one that is gone
        has to have left.
        """
        await ended(self._channel.process_id, _ENDS)
        joined = replace(self._config, is_joined=True)
        successor = await EngineDataPlane.start(self._path.parent, joined)
        try:
            await successor.govern(self._policies)
        except BaseException:
            await successor.detach()
            raise
        self._channel = successor.channel

    @override
    async def _ask(self, operation: str, **fields: Any) -> Answer:
        if self._channel.is_gone.is_set() and self._is_renewed.is_set():
            self._lost()
        if not self._is_renewed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._lost_at + _PATIENCE):
                    await self._is_renewed.wait()
        return await super()._ask(operation, **fields)

    def _lost(self) -> None:
        """Have requests wait for the next engine, but not for ever."""
        self._is_renewed.clear()
        self._lost_at = _now()


def _now() -> Instant:
    return asyncio.get_running_loop().time()

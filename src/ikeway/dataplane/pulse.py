# SPDX-License-Identifier: Apache-2.0
"""Whether an engine still works: each of its threads is asked for a sign of life.

One that has died closes its socket and is noticed at once. One that hangs says nothing, and moves
nothing: it is ended, so that what follows a death follows that, too (see `lasting`).
"""

import asyncio
from contextlib import suppress
from typing import Final

from ikeway.dataplane.engine_channel import (
    Answer,
    EngineChannel,
    EngineGoneError,
    EngineRefusedError,
)
from ikeway.model.time import Instant, Seconds

EVERY: Final[Seconds] = 2.0
"""How long after an answer the engine is asked again."""
DEADLINE: Final[Seconds] = 10.0
"""How long an answer may take that takes less than a millisecond where nothing else is to do."""
LOOK: Final[Seconds] = 0.5
"""How often a missing answer is looked for."""


class Silence:
    """How long an answer is missing, in time in which the engine could have given it.

    A machine may sleep, be stopped, or have no processor to spare. This process has no more of it
    than the engine then, and looks late; so a wait between two looks counts for no more than LOOK.
    """

    def __init__(self, now: Instant) -> None:
        self._looked = now
        self._lasted: Seconds = 0.0

    def is_too_long(self, now: Instant) -> bool:
        """Look once more, in vain; return whether that was enough."""
        self._lasted += min(max(now - self._looked, 0.0), LOOK)
        self._looked = now
        return self._lasted >= DEADLINE


async def answered(channel: EngineChannel, operation: str) -> Answer:
    """Return the engine's answer to a request without fields; an engine that gives none is ended.

    Raises:
        EngineRefusedError: the engine says no.
        EngineGoneError: the engine is gone, of itself or by this.
    """
    answer = asyncio.ensure_future(channel.ask(operation))
    silence = Silence(_now())
    try:
        while not (await asyncio.wait((answer,), timeout=LOOK))[0]:
            if silence.is_too_long(_now()):
                channel.end_engine(f"the engine did not answer for {DEADLINE:g} s and was ended")
        return await answer
    finally:
        answer.cancel()


def watch(channel: EngineChannel) -> None:
    """Have the engine ended should it hang, for as long as the channel is open."""
    channel.keep(asyncio.create_task(_watch(channel)))


async def _watch(channel: EngineChannel) -> None:
    with suppress(EngineGoneError):
        while not await _is_gone_within(channel, EVERY):
            # To say no is a sign of life, too.
            with suppress(EngineRefusedError):
                await answered(channel, "pulse")


async def _is_gone_within(channel: EngineChannel, wait: Seconds) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(wait):
            await channel.is_gone.wait()
    return channel.is_gone.is_set()


def _now() -> Instant:
    return asyncio.get_running_loop().time()

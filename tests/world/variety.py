# SPDX-License-Identifier: Apache-2.0
"""What makes the hosts of a world differ besides, drawn from streams of its own: it can grow.

A script in a file names the generation of its layout: what came later does not change it.
"""

from dataclasses import replace
from typing import Final

from ikeway.policy.lifetimes import Lifetimes
from world import layout
from world.layout import Layout
from world.prng import Prng

FIRST: Final = 1
NEWEST: Final = 2

HOUR: Final = 3600.0
LONG: Final = (
    Lifetimes(ike=24 * HOUR, child=8 * HOUR),
    Lifetimes(ike=12 * HOUR, child=12 * HOUR),
    Lifetimes(ike=72 * HOUR, child=24 * HOUR),
)
HOURLY: Final = (Lifetimes(), Lifetimes(ike=HOUR, child=HOUR), LONG[0])
SHORT: Final = (Lifetimes(ike=300.0, child=60.0), Lifetimes(ike=60.0, child=60.0))


def draw(seed: int, generation: int = NEWEST) -> Layout:
    """Return the layout of a seed as its generation has it."""
    drawn = layout.draw(seed)
    if generation > FIRST:
        _vary_lengths(drawn, Prng(seed, "lengths"))
    return drawn


def _vary_lengths(drawn: Layout, prng: Prng) -> None:
    """Draw how long things last: mostly as in the field, so that quiet hours are quiet."""
    liveness = prng.weighted([(1, 30.0), (2, 300.0), (4, 3600.0), (33, 4 * HOUR)])
    lifetimes = prng.weighted([(1, SHORT), (2, HOURLY), (9, LONG)])
    drawn.keepalive = prng.weighted([(1, layout.KEEPALIVE), (9, 1200.0)])
    for place in drawn.places:
        place.connections[:] = [
            replace(
                connection,
                liveness=liveness,
                lifetimes=prng.pick(lifetimes),
                keepalive=drawn.keepalive,
            )
            for connection in place.connections
        ]

# SPDX-License-Identifier: Apache-2.0
"""How an attack is told of: one line a second however many requests are turned away (I5)."""

from typing import Final

from ikeway.ike.io import Action, Report
from ikeway.ike.reports import Pressed
from ikeway.model.time import Instant, Seconds

QUIET: Final[Seconds] = 1.0


class Pressure:
    """Adds up what was asked of strangers, and tells it now and then."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._told: Instant | None = None

    def note(
        self, demand: str, half_open: int, now: Instant, requests: int = 1
    ) -> tuple[Action, ...]:
        """Note that requests were answered with a demand; return the report if it is time."""
        self._counts[demand] = self._counts.get(demand, 0) + requests
        if self._told is not None and now - self._told < QUIET:
            return ()
        counts, self._counts, self._told = self._counts, {}, now
        return (Report(b"", Pressed(tuple(counts.items()), half_open)),)

# SPDX-License-Identifier: Apache-2.0
"""How long a peer is left alone that refuses a thing for now (RFC 7296 §2.25).

Each pause is about twice the one before. A part of it is chance: two sides that have refused each
other would else ask at the same moment again.
"""

from dataclasses import dataclass
from typing import Final

from ikeway.crypto.random import Random
from ikeway.ike.children import soft_limit
from ikeway.model.time import Instant, Seconds
from ikeway.wire.registry import NotifyType

FIRST: Final[Seconds] = 2.0
MOST: Final[Seconds] = 64.0
LEAST: Final[Seconds] = 1.0
"""No pause is shorter: "MUST NOT immediately retry"."""
CHANCE: Final = 0.5
"""The largest part of a pause that is cut."""
PATIENCE: Final[Seconds] = 240.0
"""After "several minutes" of TEMPORARY_FAILURE the two sides do not know the same any more."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """How often in a row the peer has refused a thing.

    `busy_since` is when it first said TEMPORARY_FAILURE, with nothing else since.
    """

    times: int = 0
    busy_since: Instant | None = None

    def another(self, why: NotifyType, now: Instant) -> "Refusals":
        """Return them with one more."""
        if why is not NotifyType.TEMPORARY_FAILURE:
            return Refusals(self.times + 1)
        since = now if self.busy_since is None else self.busy_since
        return Refusals(self.times + 1, since)

    def is_hopeless(self, now: Instant) -> bool:
        """Whether the peer has been busy for so long that this IKE SA is of no use (§2.25)."""
        return self.busy_since is not None and now - self.busy_since >= PATIENCE

    def retry_at(self, random: Random, expires_at: Instant, now: Instant) -> Instant:
        """Return when to ask again: always some time before what is to be replaced is over."""
        longest = min(FIRST * 2 ** min(self.times - 1, 16), MOST)
        pause = soft_limit(longest, CHANCE, random)
        return now + max(min(pause, (expires_at - now) / 2), LEAST)

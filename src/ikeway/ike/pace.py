# SPDX-License-Identifier: Apache-2.0
"""How often a peer may ask for new SAs, which cost key exchanges (RFC 8019 §5)."""

import math
from dataclasses import dataclass
from typing import Final

from ikeway.model.time import Instant

BURST: Final = 128.0
"""So many may come at once: two for each Child SA that an IKE SA may have."""
RATE: Final = 5.0
"""How many a second may go on for ever."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many requests for SAs the peer had left at an instant; they grow again with time."""

    left: float = BURST
    at: Instant = -math.inf

    def another(self, now: Instant) -> "Pace | None":
        """Return the pace after one more request, or None if it is one too many."""
        passed = max(0.0, now - self.at) if self.at > -math.inf else 0.0
        left = min(self.left + passed * RATE, BURST)
        return Pace(left - 1, now) if left >= 1 else None

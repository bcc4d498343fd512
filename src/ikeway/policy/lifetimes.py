# SPDX-License-Identifier: Apache-2.0
"""How long things last and how often they are tried again."""

from dataclasses import dataclass

from ikeway.model.time import Seconds


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """When SAs are to be replaced (RFC 7296 §2.8). `child_octets` 0 is no limit."""

    ike: Seconds = 4 * 3600.0
    child: Seconds = 3600.0
    child_octets: int = 64 << 30


@dataclass(frozen=True, slots=True)
class Retransmission:
    """When an unanswered request is sent again, and when the peer counts as dead (RFC 7296 §2.4).

    The n-th wait is `first * factor**n`, at most `longest`; after `give_up` in all the SA closes.
    """

    first: Seconds = 0.5
    factor: float = 2.0
    longest: Seconds = 8.0
    give_up: Seconds = 30.0

    def wait(self, attempt: int) -> Seconds:
        """Return how long to wait for an answer after sending for the `attempt`-th time, from 0."""
        return min(self.first * self.factor ** min(attempt, 32), self.longest)

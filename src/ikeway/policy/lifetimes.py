# SPDX-License-Identifier: Apache-2.0
"""How long things last and how often they are tried again."""

from dataclasses import dataclass, replace
from typing import Final

from ikeway.model.time import Seconds


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """When SAs are to be replaced (RFC 7296 §2.8), and who we are proven anew (§2.8.3).

    `child_octets` and `child_packets` are of one direction; 0 is no limit, and no `reauth`.
    `jitter` is by how much, as a part of it, each is cut at random.
    """

    ike: Seconds = 4 * 3600.0
    child: Seconds = 3600.0
    child_octets: int = 64 << 30
    child_packets: int = 0
    reauth: Seconds = 0.0
    jitter: float = 0.1


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

    def for_liveness(self, liveness: Seconds) -> "Retransmission":
        """Return when a liveness check is sent again, and given up: in what is left of `liveness`.

        It is sent more often than other requests, so that loss does not look like death.
        """
        patience = max(liveness * CHECK_SHARE, CHECK_LEAST)
        factor, give_up = min(self.factor, CHECK_FACTOR), min(self.give_up, patience)
        return replace(self, factor=factor, give_up=give_up)


CHECK_SHARE: Final = 0.4
"""The part of `liveness` in which a peer that is asked has to answer."""

CHECK_LEAST: Final[Seconds] = 4.0
CHECK_FACTOR: Final = 1.5

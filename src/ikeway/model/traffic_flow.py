# SPDX-License-Identifier: Apache-2.0
"""How the packets of a Child SA hide the shape of traffic (RFC 4303 §2.6, §2.7, RFC 9347)."""

from dataclasses import dataclass
from typing import Final

from ikeway.model.time import Seconds

PAD_TO_MTU: Final = 65535
"""More than any MTU: data planes pad no further than to theirs."""


@dataclass(frozen=True, slots=True)
class Dummies:
    """Packets without content that leave while there is nothing to send (RFC 4303 §2.6).

    So many come in a second, on average if they come at random.
    """

    per_second: float
    is_random: bool = True


@dataclass(frozen=True, slots=True)
class Breaker:
    """What a stream of constant rate may lose: more than this part for so long is too much.

    Its rate falls to a tenth then, until the path is good again (RFC 9347 §2.4.2.1, RFC 8084).
    """

    lost: float = 0.2
    seconds: Seconds = 30.0


@dataclass(frozen=True, slots=True)
class Stream:
    """Packets of one size at a constant rate, whatever is in them (IP-TFS, RFC 9347).

    `packet_octets` are those of the outer IP packets, of which `per_second` leave. What comes may
    overtake so many others as `reorder` says. Inner packets are cut where they do not fit, if the
    peer takes the parts and so we `may_fragment`; whether we do is `takes_fragments`.
    A Child SA for which it `is_required` does without it not come to be.
    Where it `is_controlled`, the rate is what the path allows, and `per_second` the most. For that
    the peer reports losses; whether either of the two reports is `reports`.
    One that is not may have a `breaker`.
    """

    packet_octets: int = 1400
    per_second: float = 100.0
    reorder: int = 3
    takes_fragments: bool = True
    may_fragment: bool = True
    is_required: bool = False
    is_controlled: bool = False
    reports: bool = False
    breaker: Breaker | None = None


@dataclass(frozen=True, slots=True)
class TrafficFlow:
    """What is done to the packets that leave.

    Inner packets are padded up to `pad_to` octets, or the MTU if that is less (RFC 4303 §2.7).
    Instead of that and of dummies there may be a stream, where both sides want one.
    """

    pad_to: int = 0
    dummies: Dummies | None = None
    stream: Stream | None = None


OPEN: Final = TrafficFlow()
"""Nothing is hidden: how long and how many packets are, everybody sees."""

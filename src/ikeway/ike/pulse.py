# SPDX-License-Identifier: Apache-2.0
"""What is known of the peer's life, and when to see to it again (RFC 7296 §2.4).

A dead peer is noticed within `liveness` of the connection: four times in it we look at what the
data plane counts, which costs no message. Where we send and nothing comes back, the peer is asked
at once; where all is silent, only after half of that time. The rest is its time to answer.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from ikeway.model.esp import Usage
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection

LOOKS: Final = 4
"""How often we look while nothing is heard, before the peer would have to be known dead."""

SILENCE: Final = 0.5
"""The part of `liveness` after which a peer is asked that nobody sends anything to."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """`heard` is when the peer surely lived, `looked` and `look_at` when we looked and will look.

    `usage` is what had passed through the Child SAs then; `is_measuring` while we wait to be told.
    """

    heard: Instant
    looked: Instant
    look_at: Instant
    usage: Usage = field(default=Usage())
    is_measuring: bool = False

    @classmethod
    def begin(cls, connection: Connection, now: Instant) -> "Pulse":
        """Return the pulse of a peer that has just proven itself."""
        return cls(now, now, now + connection.liveness / LOOKS)

    def beat(self, connection: Connection, now: Instant) -> "Pulse":
        """Return the pulse after an authentic message has come in."""
        return replace(Pulse.begin(connection, now), usage=self.usage)

    def look(self, connection: Connection, now: Instant, *, is_measuring: bool) -> "Pulse":
        """Return the pulse as we look at it."""
        look_at = now + connection.liveness / LOOKS
        return replace(self, look_at=look_at, is_measuring=is_measuring)

    def is_silent(self, connection: Connection, now: Instant) -> bool:
        """Whether nothing was heard for so long that the peer is to be asked."""
        return now - self.heard >= connection.liveness * SILENCE

    def measured(self, usage: Usage, now: Instant) -> "tuple[Pulse, bool]":
        """Return the pulse with what passed until now, and whether the peer's life is in doubt.

        Packets that came in prove that it lived when we looked last, at the earliest. Packets that
        went out, with nothing in return, are the doubt. A count that fell is one that began anew.
        """
        before = self.usage
        if usage.packets_in < before.packets_in or usage.packets_out < before.packets_out:
            before = Usage()
        heard, is_in_doubt = self.heard, usage.packets_out > before.packets_out
        if usage.packets_in > before.packets_in:
            heard, is_in_doubt = max(heard, self.looked), False
        after = replace(self, heard=heard, looked=now, usage=usage, is_measuring=False)
        return after, is_in_doubt

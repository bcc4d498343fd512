# SPDX-License-Identifier: Apache-2.0
"""The keys of `lifetimes` and `retransmission`: when SAs are replaced, and requests sent again."""

from pydantic import Field

from ikeway.config.parsed import written
from ikeway.config.terms import Duration, Octets, OptionalDuration, Table, Wait


class LifetimesTable(Table):
    """When SAs are replaced (RFC 7296 §2.8)."""

    ike: Duration = written("4h")
    """The IKE SA."""

    child: Duration = written("1h")
    """A Child SA."""

    child_bytes: Octets = written("64GiB")
    """Data through a Child SA in one direction; `none` is no limit but that of the cipher."""

    child_packets: int = Field(default=0, ge=0, le=2**62)
    """Packets through it in one direction, at least 1000; 0 is no limit but that of sequence
    numbers."""

    reauth: OptionalDuration = written("none")
    """Identities are proven anew: a new IKE SA comes up beside the old one, which then goes. The
    side that can start the connection does so; the other tells it how long it has (RFC 4478), and
    ends it when it is overdue."""

    jitter: float = Field(default=0.1, ge=0.0, le=0.5)
    """By how much each is cut at random, as a part of it: two sides then seldom rekey at once."""


class RetransmissionTable(Table):
    """When an unanswered request is sent again (RFC 7296 §2.4)."""

    first: Wait = written("500ms")
    """After the first try."""

    factor: float = Field(default=2.0, ge=1.0, le=10.0)
    """By how much each wait is longer than the one before."""

    longest: Wait = written("8s")
    """No wait is longer."""

    give_up: Wait = written("30s")
    """After so long in all the peer counts as dead."""


class ChildLifetimesTable(Table):
    """When a Child SA is replaced, if otherwise than its connection says."""

    child: Duration | None = None
    """The Child SA."""

    child_bytes: Octets | None = None
    """Data through it; `none` is no limit."""

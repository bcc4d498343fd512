# SPDX-License-Identifier: Apache-2.0
"""Everything that can happen to an IKE SA, and everything that it can want."""

import math
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ikeway.ike.children import Wish
from ikeway.ike.questions import Answer, Question, Ticket
from ikeway.ike.reports import Event
from ikeway.ike.trail import Trail
from ikeway.model.address import Address, Endpoint
from ikeway.model.esp import ChildSa, Encapsulation
from ikeway.model.time import Instant, Seconds
from ikeway.policy.connection import Connection, Gateway
from ikeway.wire.message import Header

# Inputs -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Datagram:
    """An IKE message as it came from the network, without non-ESP marker; for the endpoint."""

    local: Endpoint
    peer: Endpoint
    octets: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """A datagram whose header belongs to this IKE SA."""

    header: Header
    datagram: Datagram


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The time of the last `SetTimer` has come."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to an `Ask` or an `InstallChild`."""

    ticket: Ticket
    answer: Answer


@dataclass(frozen=True, slots=True)
class PeerSeen:
    """An ESP packet with a valid ICV, newer than all before, came from elsewhere than expected.

    `spi_in` names its Child SA (RFC 7296 §2.23).
    """

    spi_in: int
    peer: Endpoint


@dataclass(frozen=True, slots=True)
class AddressesChanged:
    """The addresses of this host, or its routes, are others now (RFC 4555 §3.5).

    `addresses` are all on which packets of peers can come in, outside tunnels.
    """

    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Delete the IKE SA, tell the peer, and say why."""

    reason: str


@dataclass(frozen=True, slots=True)
class CheckLiveness:
    """Ask the peer whether it is alive, whatever the timers say (RFC 7296 §2.4)."""


@dataclass(frozen=True, slots=True)
class Rekey:
    """Replace a Child SA, named by its inbound SPI, or the IKE SA itself (0) (RFC 7296 §2.8)."""

    spi_in: int = 0


@dataclass(frozen=True, slots=True)
class Synchronize:
    """Agree with the peer on message IDs: this SA was taken over from another host (RFC 6311)."""


@dataclass(frozen=True, slots=True)
class Spent:
    """A Child SA of ours has carried as much as its limits say: at its soft limit, or `is_over`."""

    spi_in: int
    is_over: bool


@dataclass(frozen=True, slots=True)
class AddChild:
    """Make one more Child SA of the connection (RFC 7296 §1.3.1)."""

    wish: Wish


@dataclass(frozen=True, slots=True)
class CloseChild:
    """Delete the Child SA with this inbound SPI (RFC 7296 §1.4.1); one that is kept comes again.

    `with_last` takes the IKE SA along where no other child is left.
    """

    spi_in: int
    with_last: bool = False


@dataclass(frozen=True, slots=True)
class SendAway:
    """Tell a client to go to another gateway (RFC 5685 §5); None lets it stay after all.

    It has the grace of its connection to go, unless another one is given.
    """

    gateway: Gateway | None
    grace: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Retire:
    """Another IKE SA took this one's place, with its identities proven anew (RFC 7296 §2.8.3).

    Only the endpoint says so, which sees both.
    """


@dataclass(frozen=True, slots=True)
class Initiate:
    """Start an IKE SA; for the endpoint. `wish` is which Child SA is to come of it first.

    `trail` is which gateway sent us there, and `replaces` our SPI of the IKE SA with it (RFC 5685).
    """

    connection: Connection
    local: Endpoint
    peer: Endpoint
    wish: Wish = field(default=Wish())
    trail: Trail = field(default=Trail())
    replaces: bytes = b""


Command: TypeAlias = (
    Disconnect | CheckLiveness | Rekey | Synchronize | Spent | AddChild | CloseChild | SendAway
)
Input: TypeAlias = Received | TimerFired | Answered | PeerSeen | AddressesChanged | Command | Retire

# Actions ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Send an IKE message, or a NAT keepalive.

    The transport adds the non-ESP marker to messages where the port wants it.
    """

    local: Endpoint
    peer: Endpoint
    octets: bytes


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Wake the IKE SA at `at`, instead of when it wanted to be woken before; None is never."""

    sa: bytes
    name: str
    at: Instant | None


@dataclass(frozen=True, slots=True)
class Ask:
    """Find out, and give back the answer as an input."""

    ticket: Ticket
    question: Question


UNUSED: Final[Seconds] = 2.0
"""How long a Child SA that replaces none waits for its use, where an older one has its traffic."""


@dataclass(frozen=True, slots=True)
class InstallChild:
    """Give a Child SA to the data plane, then answer the ticket with `Installed`.

    `virtual_ips` are addresses lent to us: the host needs them on the tunnel's interface. A standby
    child receives; it sends from its first packet received on, when it alone is left, or when it is
    activated (§2.8), at the latest `active_after` so long.
    """

    ticket: Ticket
    connection: str
    child: ChildSa
    virtual_ips: tuple[Address, ...] = ()
    dns: tuple[Address, ...] = ()
    is_standby: bool = False
    active_after: Seconds = math.inf


@dataclass(frozen=True, slots=True)
class ActivateChild:
    """A Child SA on standby, if it still is, sends from now on: the peer is known to have it."""

    sa: bytes
    spi_in: int


@dataclass(frozen=True, slots=True)
class RemoveChild:
    """Take the Child SA with this inbound SPI from the data plane.

    One that `is_replaced` sends nothing any more, and receives what is still on its way (§2.8).
    """

    sa: bytes
    spi_in: int
    is_replaced: bool = False


@dataclass(frozen=True, slots=True)
class MigrateChild:
    """Change where both ends of a Child SA are, and what carries its ESP; nothing else changes."""

    sa: bytes
    spi_in: int
    local: Endpoint
    peer: Endpoint
    encapsulation: Encapsulation


@dataclass(frozen=True, slots=True)
class FollowRedirect:
    """Start a connection with another gateway; `replaces` stays up until then (RFC 5685)."""

    sa: bytes
    connection: Connection
    gateway: Gateway
    trail: Trail
    wish: Wish
    replaces: bytes = b""


@dataclass(frozen=True, slots=True)
class RevokeTicket:
    """The tickets of an IKE SA are void: other workers have to know, and drop it (RFC 5723)."""

    spi: bytes
    issued: Instant


@dataclass(frozen=True, slots=True)
class Report:
    """Something happened that people want to know; `sa` is empty outside an IKE SA."""

    sa: bytes
    event: Event


@dataclass(frozen=True, slots=True)
class Forget:
    """The IKE SA is gone: drop its timer, its leases and its open questions."""

    sa: bytes


Action: TypeAlias = (
    Send
    | SetTimer
    | Ask
    | InstallChild
    | ActivateChild
    | MigrateChild
    | RemoveChild
    | RevokeTicket
    | FollowRedirect
    | Report
    | Forget
)

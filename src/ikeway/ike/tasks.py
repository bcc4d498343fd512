# SPDX-License-Identifier: Apache-2.0
"""What an established IKE SA wants to ask, what it has asked, and what it is answering.

RFC 7296 §2.3: one request at a time, so the rest waits for its turn.
"""

import math
from dataclasses import dataclass, field
from typing import TypeAlias

from ikeway.crypto.offer import Offer
from ikeway.ike.children import Child
from ikeway.ike.refusals import Refusals
from ikeway.model.address import Endpoint
from ikeway.model.selectors import Selectors, Trigger
from ikeway.model.time import Instant
from ikeway.policy.connection import ChildPolicy
from ikeway.wire.codec import Body
from ikeway.wire.message import Header

# Wanted -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Inform:
    """Send these payloads in an INFORMATIONAL request."""

    payloads: tuple[Body, ...]


@dataclass(frozen=True, slots=True)
class DeleteChild:
    """Delete the Child SA with this inbound SPI (§1.4.1)."""

    spi_in: int


@dataclass(frozen=True, slots=True)
class RekeyChild:
    """Replace the Child SA with this inbound SPI (§1.3.3). `method` 0 leaves the choice open."""

    spi_in: int
    method: int = 0
    refusals: Refusals = field(default=Refusals(), compare=False)


@dataclass(frozen=True, slots=True)
class CreateChild:
    """Make the Child SA of that name (§1.3.1), for a packet if there is one.

    `method` 0 leaves the choice open. `is_single` is to ask for just that packet's traffic. What is
    wanted `unless_present` is not asked for where the peer was faster. With a `number` it is one
    more that carries the same (RFC 9611).
    """

    name: str
    trigger: Trigger | None = None
    method: int = 0
    is_single: bool = False
    number: int = 0
    unless_present: bool = field(default=False, compare=False)
    refusals: Refusals = field(default=Refusals(), compare=False)


@dataclass(frozen=True, slots=True)
class RekeyIke:
    """Replace the IKE SA (§1.3.2). `method` 0 leaves the choice open."""

    method: int = 0
    refusals: Refusals = field(default=Refusals(), compare=False)


@dataclass(frozen=True, slots=True)
class Follow:
    """Do the next key exchange of the series whose CREATE_CHILD_SA had this nonce (RFC 9370)."""

    nonce: bytes


@dataclass(frozen=True, slots=True)
class TellAddresses:
    """Tell the peer our addresses; an update moves the SAs to the path in use (RFC 4555 §3.5)."""

    is_update: bool


@dataclass(frozen=True, slots=True)
class CheckReturn:
    """See whether the peer gets our packets where it is, or at `peer` (RFC 4555 §3.7)."""

    peer: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class End:
    """Delete the IKE SA (§1.4.1), for this reason."""

    reason: str


Task: TypeAlias = (
    Inform
    | DeleteChild
    | RekeyChild
    | CreateChild
    | RekeyIke
    | Follow
    | TellAddresses
    | CheckReturn
    | End
)
Deferrable: TypeAlias = RekeyChild | CreateChild | RekeyIke


@dataclass(frozen=True, slots=True)
class Postponed:
    """What the peer has refused for now; it is asked for again at `at` (§2.25)."""

    task: Deferrable
    at: Instant


@dataclass(frozen=True, slots=True)
class Retry:
    """A Child SA that is to be asked for again at `at`, after so many failures."""

    name: str
    at: Instant
    failures: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """The names of Child SAs that we keep up. `is_refused` once the peer makes no more of them.

    Those in `dismissed` were kept, until somebody here closed them on purpose.
    """

    kept: tuple[str, ...] = ()
    dismissed: tuple[str, ...] = ()
    retries: tuple[Retry, ...] = ()
    is_refused: bool = False

    @property
    def next_at(self) -> Instant:
        """When the next one is to be asked for."""
        return min((retry.at for retry in self.retries), default=math.inf)


# Asked --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AskedChild:
    """We asked for a Child SA, in place of the one with the inbound SPI `replaces` if not 0."""

    policy: ChildPolicy
    spi_in: int
    replaces: int
    local_ts: Selectors
    peer_ts: Selectors
    nonce: bytes
    method: int
    offer: Offer | None
    trigger: Trigger | None = None
    unless_present: bool = False
    refusals: Refusals = field(default=Refusals())
    number: int | None = None

    @property
    def is_single(self) -> bool:
        """Whether it is for the traffic of its packet alone (§2.9)."""
        return self.trigger is not None and self.local_ts == (self.trigger.local,)

    @property
    def anew(self) -> RekeyChild | CreateChild:
        """What asks for the same once more."""
        if self.replaces:
            return RekeyChild(self.replaces, refusals=self.refusals)
        return CreateChild(
            self.policy.name,
            self.trigger,
            is_single=self.is_single,
            number=self.number or 0,
            unless_present=self.unless_present,
            refusals=self.refusals,
        )


@dataclass(frozen=True, slots=True)
class AskedIke:
    """We asked for an IKE SA in place of this one; `spi` is our SPI of it."""

    spi: bytes
    nonce: bytes
    method: int
    offer: Offer
    refusals: Refusals = field(default=Refusals())


@dataclass(frozen=True, slots=True)
class AskedFollow:
    """We asked for one more key exchange of that series."""

    nonce: bytes
    offer: Offer


@dataclass(frozen=True, slots=True)
class AskedMove:
    """We told the peer our addresses. `moves` is how often we had moved by then."""

    is_update: bool
    moves: int
    cookie: bytes


@dataclass(frozen=True, slots=True)
class AskedCheck:
    """We asked who is at `peer` for this cookie; `is_void` once that went elsewhere as well."""

    peer: Endpoint
    moves: int
    cookie: bytes
    is_void: bool = False


@dataclass(frozen=True, slots=True)
class AskedSync:
    """We asked for message IDs: the next one of ours, and the one that we expect (RFC 6311)."""

    nonce: bytes
    send: int
    receive: int


Asked: TypeAlias = (
    Inform | DeleteChild | AskedChild | AskedIke | AskedFollow | AskedMove | AskedCheck | AskedSync
)

# Answering ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answering:
    """A request whose answer waits until the data plane can receive on the new Child SA (§2.8)."""

    asked: Header
    path: tuple[Endpoint, Endpoint]
    payloads: tuple[Body, ...]
    child: Child
    nonces: tuple[bytes, bytes]
    expires: Instant


@dataclass(frozen=True, slots=True)
class Crossed:
    """The peer rekeyed the child with the inbound SPI `old`; `lowest` is its lower nonce."""

    old: int
    new: int
    lowest: bytes


@dataclass(frozen=True, slots=True)
class Rival:
    """The peer rekeyed the IKE SA while our own rekey was under way; `spi` is our SPI of its SA."""

    spi: bytes
    lowest: bytes

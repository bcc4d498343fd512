# SPDX-License-Identifier: Apache-2.0
"""Series of key exchanges: a CREATE_CHILD_SA and what has to follow it (RFC 9370 §2.2.4).

The SA of a series is there only when its last key exchange is done.
"""

from dataclasses import dataclass
from typing import TypeAlias

from ikeway.ike.children import Scope
from ikeway.ike.negotiate import Choosing
from ikeway.ike.nonces import lowest
from ikeway.ike.shape import need
from ikeway.ike.tasks import AskedChild, AskedIke
from ikeway.model.address import Endpoint
from ikeway.model.secret import Secret
from ikeway.model.time import Instant
from ikeway.wire.codec import Body
from ikeway.wire.message import Header, Message
from ikeway.wire.payloads import Nonce

Secrets: TypeAlias = tuple[Secret, ...]


@dataclass(frozen=True, slots=True)
class Ours:
    """A series that we asked for, after its first response.

    `secrets` are those so far, `methods` the key exchanges to come. `link` is what the peer wants
    to hear with the next one.
    """

    asked: AskedChild | AskedIke
    reply: Message
    secrets: Secrets
    methods: tuple[int, ...]
    link: bytes

    @property
    def nonces(self) -> tuple[bytes, bytes]:
        """Ni and Nr of CREATE_CHILD_SA."""
        return self.asked.nonce, need(self.reply, Nonce).data

    @property
    def lowest(self) -> bytes:
        """The nonce that decides where another rekey crosses this one (RFC 7296 §2.8)."""
        return lowest(*self.nonces)

    @property
    def rekeys_child(self) -> int:
        """The inbound SPI of the child to be replaced; 0 if it is none."""
        return self.asked.replaces if isinstance(self.asked, AskedChild) else 0


@dataclass(frozen=True, slots=True)
class ChildPromise:
    """A Child SA that we agreed to, in place of the one with the inbound SPI `replaces` if any."""

    chosen: Choosing
    nonces: tuple[bytes, bytes]
    scope: Scope
    spi_in: int
    replaces: int


@dataclass(frozen=True, slots=True)
class IkePromise:
    """An IKE SA that we agreed to; `spis` are those of its initiator and its responder."""

    chosen: Choosing
    nonces: tuple[bytes, bytes]
    spis: tuple[bytes, bytes]


Promise: TypeAlias = ChildPromise | IkePromise


@dataclass(frozen=True, slots=True)
class Theirs:
    """A series that the peer asked for. It is forgotten where nothing comes until `expires`.

    `link` is what the next request has to have.
    """

    promise: Promise
    secrets: Secrets
    methods: tuple[int, ...]
    link: bytes
    expires: Instant

    @property
    def lowest(self) -> bytes:
        """The nonce that decides where a rekey of ours crosses this one (RFC 7296 §2.8)."""
        return lowest(*self.promise.nonces)

    @property
    def rekeys_child(self) -> int:
        """The inbound SPI of the child to be replaced; 0 if it is none."""
        return self.promise.replaces if isinstance(self.promise, ChildPromise) else 0


@dataclass(frozen=True, slots=True)
class Response:
    """What to say to a request of the peer's; `path` is local and peer."""

    asked: Header
    path: tuple[Endpoint, Endpoint]
    payloads: tuple[Body, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """All that are under way. `lost` counts ours in a row of which the peer knew nothing more."""

    ours: tuple[Ours, ...] = ()
    theirs: tuple[Theirs, ...] = ()
    lost: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether none is under way."""
        return not (self.ours or self.theirs)

    @property
    def our_ike(self) -> bool:
        """Whether one of ours is to replace the IKE SA."""
        return any(isinstance(each.asked, AskedIke) for each in self.ours)

    @property
    def our_children(self) -> tuple[AskedChild, ...]:
        """The Child SAs that we are about to have."""
        return tuple(each.asked for each in self.ours if isinstance(each.asked, AskedChild))

    @property
    def their_ike(self) -> Theirs | None:
        """The peer's that is to replace the IKE SA."""
        return next((each for each in self.theirs if isinstance(each.promise, IkePromise)), None)

    @property
    def their_children(self) -> tuple[ChildPromise, ...]:
        """The Child SAs that the peer is about to have."""
        return tuple(each.promise for each in self.theirs if isinstance(each.promise, ChildPromise))

    def rekeys(self, spi_in: int) -> bool:
        """Whether a child with this inbound SPI is about to be replaced."""
        ours = (each.rekeys_child for each in self.ours)
        return spi_in in {*ours, *(each.rekeys_child for each in self.theirs)}

# SPDX-License-Identifier: Apache-2.0
"""What a method is to the conversation around it (RFC 3748 §2, §7).

A method takes whole packets and returns what goes behind the type field of the next one, whose
identifier it is told: some methods' codes cover both. One that cannot go on raises.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ikeway.auth.eap.means import Means
from ikeway.auth.eap.packet import EapType, Packet
from ikeway.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Say:
    """Go on with this data; `note` is what the other side has let us know of its refusal."""

    data: bytes
    note: str = ""


@dataclass(frozen=True, slots=True)
class Proven:
    """The method is over: `identity` is authentic. A peer has `data` yet to say.

    `chain` are the other side's certificates, of which nobody knows yet whether they were revoked.
    """

    identity: bytes
    msk: Secret | None
    data: bytes = b""
    chain: tuple[bytes, ...] = ()


Move: TypeAlias = Say | Proven


class ServerMethod(Protocol):
    """One conversation of a method, as the server."""

    def begin(self, identifier: int) -> bytes:
        """Return the data of the first request."""
        ...

    def handle(self, response: Packet, identifier: int) -> Move:
        """Take a response; what is asked next has this identifier.

        Raises:
            PeerError: the peer does not prove what it has to.
        """
        ...


class PeerMethod(Protocol):
    """One conversation of a method, as the peer."""

    def handle(self, request: Packet) -> Move:
        """Take a request; its answer has its identifier.

        `Proven` says that the server may now declare success.

        Raises:
            PeerError: the server does not prove what it has to.
        """
        ...


@dataclass(frozen=True, slots=True)
class Method:
    """A row: a method by its type. One that `makes_key` has an MSK.

    `serve` starts a conversation with who claims an identity, `join` one under our own.

    What `may_stand_alone` proves the server as well, has an MSK and withstands guessing, so that
    the server needs no AUTH of its own (RFC 5998 §4).
    """

    type: EapType
    name: str
    makes_key: bool
    may_stand_alone: bool
    serve: Callable[[Means, bytes], ServerMethod]
    join: Callable[[Means, bytes], PeerMethod]

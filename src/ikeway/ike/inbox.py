# SPDX-License-Identifier: Apache-2.0
"""From a datagram to a message that may have an effect (RFC 7296 §2.1-2.3)."""

from dataclasses import dataclass
from typing import TypeAlias

from ikeway.ike.io import Received
from ikeway.ike.session import Session
from ikeway.model.errors import IntegrityError, MalformedError
from ikeway.wire.message import Header, Message


@dataclass(frozen=True, slots=True)
class Fresh:
    """An authentic message, the next of its kind."""

    message: Message


@dataclass(frozen=True, slots=True)
class Repeated:
    """A request that we have answered with these octets."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something without effect."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Authentic, next of its kind, and not what any rule produces."""

    error: MalformedError


Verdict: TypeAlias = Fresh | Repeated | Ignored | Unreadable


def admit(session: Session, received: Received) -> Verdict:
    """Return what a datagram is worth. Its integrity is checked before anything else counts."""
    header = received.header
    if header.is_from_initiator == session.link.is_initiator:
        return Ignored("the initiator flag is ours")
    if (header.spi_i, header.spi_r) != (session.link.spi_i, session.link.spi_r):
        return Ignored("the SPIs are of another IKE SA")
    place = _place(session, header)
    if isinstance(place, Ignored):
        return place
    try:
        message = session.keyring.open(header, received.datagram.octets)
    except IntegrityError as error:
        return Ignored(str(error))
    except MalformedError as error:
        return Unreadable(error) if place is None else Repeated(place)
    return Fresh(message) if place is None else Repeated(place)


def _place(session: Session, header: Header) -> bytes | Ignored | None:
    """Return None for the next message of its kind, or the response to one that is repeated."""
    window = session.window
    if header.is_response:
        outstanding = window.outstanding
        if outstanding is None or outstanding.message_id != header.message_id:
            return Ignored(f"no request {header.message_id} is outstanding")
        if outstanding.exchange is not header.exchange:
            return Ignored(f"{header.exchange.name} is not what request {header.message_id} asked")
        return None
    if header.message_id == window.expected:
        return None
    cached = window.cached(header.message_id)
    if cached is None:
        return Ignored(f"request {header.message_id} is outside the window")
    return cached

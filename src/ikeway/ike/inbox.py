# SPDX-License-Identifier: Apache-2.0
"""From a datagram to a message that may have an effect (RFC 7296 §2.1-2.3)."""

from dataclasses import dataclass
from typing import TypeAlias

from ikeway.ike.io import Received
from ikeway.ike.session import Session
from ikeway.ike.window import Window
from ikeway.model.errors import IntegrityError, MalformedError
from ikeway.wire.message import Header, Message


@dataclass(frozen=True, slots=True)
class Fresh:
    """An authentic message that was not there before, inside the window."""

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
    """Authentic, inside the window, and not what any rule produces."""

    error: MalformedError


@dataclass(frozen=True, slots=True)
class Beyond:
    """An authentic request that no window of ours has room for (§2.3)."""

    message_id: int


Verdict: TypeAlias = Fresh | Repeated | Ignored | Unreadable | Beyond


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
        return place or Unreadable(error)
    return place or Fresh(message)


def _place(session: Session, header: Header) -> Repeated | Beyond | Ignored | None:
    """Return what a message is worth whatever it says; None for one inside the window."""
    window = session.window
    if header.is_response:
        return _place_response(window, header)
    if window.accepts(header.message_id):
        return None
    if header.message_id >= window.expected + window.size:
        return Beyond(header.message_id)
    cached = window.cached(header.message_id)
    if cached is None:
        return Ignored(f"request {header.message_id} is long answered")
    return Repeated(cached)


def _place_response(window: Window, header: Header) -> Ignored | None:
    outstanding = window.find(header.message_id)
    if outstanding is None:
        return Ignored(f"no request {header.message_id} is outstanding")
    if outstanding.exchange is not header.exchange:
        return Ignored(f"{header.exchange.name} is not what request {header.message_id} asked")
    return None

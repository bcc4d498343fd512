# SPDX-License-Identifier: Apache-2.0
"""From a datagram to a message that may have an effect (RFC 7296 §2.1-2.3, RFC 7383 §2.6)."""

from dataclasses import dataclass, replace
from typing import TypeAlias

from ikeway.ike import int_auth
from ikeway.ike.fragments import NUMBERS_OCTETS, Datagrams
from ikeway.ike.io import Received
from ikeway.ike.keys import read
from ikeway.ike.reassembly import OCTETS_MOST, Incomplete, Piece, name_of
from ikeway.ike.session import Session
from ikeway.ike.window import Window
from ikeway.model.errors import IntegrityError, MalformedError
from ikeway.model.time import Instant
from ikeway.wire.message import HEADER_OCTETS, Header, Message
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType


@dataclass(frozen=True, slots=True)
class Fresh:
    """An authentic message that was not there before, inside the window; `octets` is its length.

    `covered` is what AUTH will cover of it, if it is one of IKE_INTERMEDIATE (RFC 9242 §3.3.2).
    """

    message: Message
    session: Session
    octets: int
    covered: bytes = b""


@dataclass(frozen=True, slots=True)
class Repeated:
    """A request that we have answered with these datagrams."""

    datagrams: Datagrams


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something without effect."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Authentic, inside the window, and not what any rule produces."""

    error: MalformedError
    session: Session


@dataclass(frozen=True, slots=True)
class Beyond:
    """An authentic request that no window of ours has room for (§2.3)."""

    message_id: int


@dataclass(frozen=True, slots=True)
class Partial:
    """An authentic fragment that was stored, or of which there were too many for that reason."""

    session: Session
    overflow: str | None = None


@dataclass(frozen=True, slots=True)
class Synchronization:
    """An authentic request to synchronise message IDs, which may be a replay (RFC 6311 §5.1)."""

    message: Message


Verdict: TypeAlias = Fresh | Repeated | Ignored | Unreadable | Beyond | Partial | Synchronization
Place: TypeAlias = Repeated | Beyond | Ignored | None
"""What a message is worth whatever it says; None for one inside the window."""


def admit(session: Session, received: Received, now: Instant) -> Verdict:
    """Return what a datagram is worth. Its integrity is checked before anything else counts."""
    header = received.header
    if header.is_from_initiator == session.link.is_initiator:
        return Ignored("the initiator flag is ours")
    if (header.spi_i, header.spi_r) != (session.link.spi_i, session.link.spi_r):
        return Ignored("the SPIs are of another IKE SA")
    place = _place(session, header)
    if isinstance(place, Ignored) and not _may_synchronize(session, header):
        return place
    try:
        if header.next_payload is PayloadType.SKF:
            return _fragment(session, received, place, now)
        return _message(session, received, place)
    except IntegrityError as error:
        return Ignored(str(error))


def _message(session: Session, received: Received, place: Place) -> Verdict:
    header, octets = received.header, received.datagram.octets
    is_zero = _may_synchronize(session, header)
    try:
        message = session.opens(header).open(header, octets)
    except MalformedError as error:
        return place or Unreadable(error, session)
    if is_zero and message.notify(NotifyType.IKEV2_MESSAGE_ID_SYNC) is not None:
        return Synchronization(message)
    return place or Fresh(message, session, len(octets), _covered(session, header, octets))


def _covered(session: Session, header: Header, octets: bytes) -> bytes:
    """Return what AUTH covers of a message that came whole."""
    if header.exchange is not ExchangeType.IKE_INTERMEDIATE:
        return b""
    plaintext = session.opens(header).open_octets(header, octets, PayloadType.SK)
    begin = octets[HEADER_OCTETS : HEADER_OCTETS + 2]
    return int_auth.covered(octets[:HEADER_OCTETS], begin, plaintext)


def _may_synchronize(session: Session, header: Header) -> bool:
    """Whether a request may be one that has the message ID 0 whatever came before (RFC 6311)."""
    is_zero = header.is_request and header.message_id == 0
    is_whole = header.next_payload is PayloadType.SK  # RFC 7383 §3: "MUST NOT be sent fragmented"
    is_informational = header.exchange is ExchangeType.INFORMATIONAL
    return is_zero and is_whole and is_informational and session.agreed.message_id_sync


# Fragments ----------------------------------------------------------------------------------------


def _fragment(session: Session, received: Received, place: Place, now: Instant) -> Verdict:
    """Take a fragment; "silently" drop what cannot be one of the set that is there (§2.6)."""
    header, octets = received.header, received.datagram.octets
    if session.agreed.fragment_size is None:
        return Ignored("a fragment, but fragmentation was not agreed on")
    try:
        piece = Piece.of(octets)
    except MalformedError as error:
        return Ignored(str(error))
    name, known = name_of(header), session.fragmentation
    reason = known.refuses(name, piece)
    if place is not None and piece.number != 1:
        reason = f"fragment {piece.number} of request {header.message_id}, which is no new one"
    if reason is not None:
        return Ignored(reason)
    keyring = session.opens(header)
    chunk = keyring.open_octets(header, octets, PayloadType.SKF, NUMBERS_OCTETS)
    if place is not None:
        return place
    stored = known.stored(name, piece, chunk, len(octets), now)
    after = replace(session, fragmentation=stored.fragmentation)
    if stored.overflow:
        return Partial(after, f"incomplete messages of more than {OCTETS_MOST} octets")
    return Partial(after) if stored.whole is None else _whole(after, received, stored.whole)


def _whole(session: Session, received: Received, whole: Incomplete) -> Fresh | Unreadable:
    """Return the message "as if it was received ... as a regular IKE message" (§2.6)."""
    header = received.header
    if header.is_request:
        largest = whole.datagram_octets(session.link.peer.address.version)
        known = replace(session.fragmentation, peer_size=largest)
        session = replace(session, fragmentation=known)
    try:
        message = read(header, whole.first, whole.plaintext)
    except MalformedError as error:
        return Unreadable(error, session)
    octets, begin = received.datagram.octets, bytes([whole.first, whole.reserved])
    covered = int_auth.covered(octets[:HEADER_OCTETS], begin, whole.plaintext)
    return Fresh(message, session, whole.octets, covered)


# Windows ------------------------------------------------------------------------------------------


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

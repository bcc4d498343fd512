# SPDX-License-Identifier: Apache-2.0
"""Unprotected words of a peer that seems to have lost an SA: never trusted alone.

RFC 7296 §1.5, §2.4, §2.21.4: INVALID_SPI makes us ask whether the peer lives, now and then. With a
token of the peer's such a word is the end of the IKE SA (RFC 6290 §4.5).
"""

from typing import Final

from ikeway.ike import crash_detection, ending
from ikeway.ike.exchanges import informational
from ikeway.ike.io import Received
from ikeway.ike.reports import Dropped, Warned
from ikeway.ike.states import Established, Step
from ikeway.model.address import Endpoint
from ikeway.model.errors import IntegrityError, MalformedError
from ikeway.model.time import Instant, Seconds
from ikeway.wire.message import Header, Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType

PAUSE: Final[Seconds] = 1.0
"""A peer that was heard since then needs no question: who sees our packets can forge hints."""
SPI_OCTETS: Final = 4


def is_unprotected(header: Header) -> bool:
    """Whether a message says something outside of any SK payload."""
    return header.next_payload is PayloadType.NOTIFY


def take(state: Established, received: Received) -> Step | None:
    """Take an unprotected response that names this IKE SA; None if it says nothing to us."""
    link, header = state.session.link, received.header
    is_ours = (header.spi_i, header.spi_r) == (link.spi_i, link.spi_r)
    if not (is_ours and header.is_response and is_unprotected(header)):
        return None
    try:
        message = Message.decode(received.datagram.octets)
    except MalformedError:
        return None
    return _proof(state, message, received.datagram.peer)


def heed(state: Established, message: Message, peer: Endpoint, now: Instant) -> Step:
    """Take INVALID_SPI about a Child SA of this IKE SA, whoever it comes from."""
    return _proof(state, message, peer) or _doubt(state, now)


def _proof(state: Established, message: Message, peer: Endpoint) -> Step | None:
    """Return the end of the IKE SA, if the peer proves that it lost it; None without a token."""
    session = state.session
    if message.notify(crash_detection.KIND) is not None and state.crash_tokens:
        try:
            crash_detection.check(state.crash_tokens, message)
        except IntegrityError as error:
            return Step(state, (session.report(Dropped(str(error), peer)),))
        reason = "the peer has restarted, and proves that it lost the IKE SA"
        return ending.give_up(state, state.connection.name, reason)
    return None


def _doubt(state: Established, now: Instant) -> Step:
    """Ask whether the peer lives, unless it was just heard, or is being asked.

    INVALID_IKE_SPI needs no question: a true one answers a question that is under way already.
    """
    window = state.session.window
    if state.is_provisional or now < state.pulse.heard + PAUSE or window.outstanding:
        return Step(state)
    warned = Warned("somebody says INVALID_SPI in the peer's name: asking the peer")
    return Step(informational.ask(state, ()), (state.session.report(warned),))


# INVALID_SPI, outside of any exchange (RFC 7296 §1.5) ---------------------------------------------


def invalid_spi(octets: bytes) -> tuple[int, Message] | None:
    """Return the ESP SPI that a datagram says is unknown, and the message; None if it is no such.

    §1.5: the IKE SPIs mean nothing, the initiator's flag is set, and it is no request to answer.
    """
    try:
        message = Message.decode(octets)
    except MalformedError:
        return None
    notify = message.notify(NotifyType.INVALID_SPI)
    if notify is None or len(notify.data) != SPI_OCTETS:
        return None
    return int.from_bytes(notify.data), message


def may_be_invalid_spi(header: Header) -> bool:
    """Whether a header is that of such a message."""
    is_informational = header.exchange is ExchangeType.INFORMATIONAL
    return is_informational and header.is_request and is_unprotected(header)


def is_with(state: object, peer: Endpoint) -> bool:
    """Whether an IKE SA is established with that peer."""
    return isinstance(state, Established) and state.session.link.peer.address == peer.address


def of_spi(state: object, spi: int, peer: Endpoint) -> bool:
    """Whether that peer's inbound SPI is of a Child SA here."""
    return (
        isinstance(state, Established)
        and state.session.link.peer.address == peer.address
        and any(child.sa.spi_out == spi for child in state.children)
    )


def notice(spi: int) -> Notify:
    """Return the notify that tells of a packet with an unknown SPI."""
    return Notify(NotifyType.INVALID_SPI, spi.to_bytes(SPI_OCTETS))

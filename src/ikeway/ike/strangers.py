# SPDX-License-Identifier: Apache-2.0
"""Messages that belong to no IKE SA: what is wrong with them, and the few that get an answer.

RFC 7296 §1.5, §2.5, §2.6, §2.21.4. No answer is longer than what it answers: with a forged source
address it would be an attack on somebody else.
"""

from typing import Final

from ikeway.ike.io import Action, Datagram, Report, Send
from ikeway.ike.limits import RateLimit
from ikeway.ike.reports import Dropped, RefusedRequest
from ikeway.model.address import Endpoint
from ikeway.model.errors import (
    ElsewhereError,
    InvalidKeyExchangeError,
    MalformedError,
    NoProposalError,
    PeerError,
    UnsupportedCriticalPayloadError,
)
from ikeway.model.time import Instant
from ikeway.policy.limits import Limits
from ikeway.wire.message import MAJOR, Flags, Header, Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType

ZERO_SPI: Final = bytes(8)
WORTH_AN_ANSWER: Final = (
    NoProposalError,
    InvalidKeyExchangeError,
    UnsupportedCriticalPayloadError,
    ElsewhereError,
)
"""Refusals of IKE_SA_INIT that are answered; everything else is dropped (RFC 6989 §2.5)."""


def check_header(header: Header, datagram: Datagram) -> None:
    """Check what no message of version 2 gets wrong (§3.1).

    Raises:
        MalformedError: the length is another, or there is no SPIi.
    """
    if header.length != len(datagram.octets):
        raise MalformedError(f"length {header.length}, not {len(datagram.octets)}")
    if header.spi_i == ZERO_SPI:
        raise MalformedError("SPIi is zero")


def is_first(header: Header) -> bool:
    """Whether a request begins an IKE SA. One of RFC 5723 may not name an SPIr (§4.3.2)."""
    if header.exchange is ExchangeType.IKE_SESSION_RESUME:
        return header.is_request and header.spi_r == ZERO_SPI
    return header.is_request and header.exchange is ExchangeType.IKE_SA_INIT


def starts_an_sa(header: Header) -> bool:
    """Whether an IKE_SA_INIT request is one of the form that starts an IKE SA (§2.2, §2.6)."""
    return header.spi_r == ZERO_SPI and header.message_id == 0 and header.is_from_initiator


def dropped(datagram: Datagram, reason: str) -> Report:
    """Return the report of a datagram that nothing came of."""
    return Report(b"", Dropped(reason, datagram.peer))


class Strangers:
    """Answers to those whom we do not know, at a limited rate."""

    def __init__(self, limits: Limits) -> None:
        self._rate = RateLimit(limits.answers_per_second, limits.answers_burst)
        self._token_rate = RateLimit(limits.tokens_per_second, limits.tokens_burst)
        self._hint_rate = RateLimit(limits.answers_per_second, limits.answers_burst)

    def wrong_version(self, header: Header, datagram: Datagram, now: Instant) -> tuple[Action, ...]:
        """Say which version we speak; IKEv1 is none of ours (§2.5)."""
        reason = f"IKE version {header.major}.{header.minor}"
        notify = Notify(NotifyType.INVALID_MAJOR_VERSION, bytes([MAJOR]))
        return self._answer(header, datagram, notify, reason, now)

    def unknown_sa(
        self, header: Header, datagram: Datagram, now: Instant, tokens: tuple[Notify, ...] = ()
    ) -> tuple[Action, ...]:
        """Say that there is no such IKE SA; a response is never answered (§2.21.4).

        `tokens` prove it, if the message is a sealed request of one that was ours (RFC 6290 §4.5).
        """
        reason = f"{header.exchange.name} of an unknown IKE SA"
        if not header.exchange.is_known or header.exchange is ExchangeType.IKE_SA_INIT:
            return (dropped(datagram, reason),)
        if tokens and header.is_request and self._token_rate.allows(now):
            sent = _proof_of_loss(header, datagram, tokens)
            return (sent, dropped(datagram, reason)) if sent else (dropped(datagram, reason),)
        return self._answer(header, datagram, Notify(NotifyType.INVALID_IKE_SPI), reason, now)

    def ask(self, header: Header, datagram: Datagram, notifies: tuple[Notify, ...]) -> Send | None:
        """Return an answer that asks for a cookie, or None if the request is shorter than that.

        Its rate has no limit: it costs no more than the request, and without it nobody gets in.
        """
        sent = _unprotected(header, datagram, *notifies)
        return sent if len(sent.octets) <= len(datagram.octets) else None

    def may_hint(self, now: Instant) -> bool:
        """Whether a hint may be looked at, or given, that costs a search among all IKE SAs."""
        return self._hint_rate.allows(now)

    def refuse(
        self, header: Header, datagram: Datagram, error: PeerError, now: Instant
    ) -> tuple[Action, ...]:
        """Say why an IKE_SA_INIT request starts nothing, where that helps (§2.21.1)."""
        if not isinstance(error, WORTH_AN_ANSWER):
            return (dropped(datagram, f"IKE_SA_INIT request: {error}"),)
        kind = NotifyType(error.notify)
        sent = _unprotected(header, datagram, Notify(kind, error.data))
        report = Report(b"", RefusedRequest(kind.name, str(error), datagram.peer))
        return (sent, report) if self._may_answer(sent, datagram, now) else (report,)

    def refuse_ticket(
        self, header: Header, datagram: Datagram, error: PeerError, now: Instant
    ) -> tuple[Action, ...]:
        """Say that a ticket is not taken, so that its owner begins anew (RFC 5723 §4.3.2)."""
        if isinstance(error, MalformedError):
            return (dropped(datagram, f"IKE_SESSION_RESUME request: {error}"),)
        sent = _unprotected(header, datagram, Notify(NotifyType.TICKET_NACK))
        report = Report(b"", RefusedRequest("TICKET_NACK", str(error), datagram.peer))
        return (sent, report) if self._may_answer(sent, datagram, now) else (report,)

    def _answer(
        self, header: Header, datagram: Datagram, notify: Notify, reason: str, now: Instant
    ) -> tuple[Action, ...]:
        report = dropped(datagram, reason)
        sent = _unprotected(header, datagram, notify)
        if header.is_response or not self._may_answer(sent, datagram, now):
            return (report,)
        return (sent, report)

    def _may_answer(self, sent: Send, datagram: Datagram, now: Instant) -> bool:
        return len(sent.octets) <= len(datagram.octets) and self._rate.allows(now)


def _proof_of_loss(header: Header, datagram: Datagram, tokens: tuple[Notify, ...]) -> Send | None:
    """Return INVALID_IKE_SPI with as many tokens as the request has room for.

    An empty request sealed with AES-GCM has room for a token only, which says more (I2).
    """
    whole = (Notify(NotifyType.INVALID_IKE_SPI), *tokens)
    for notifies in (whole, whole[:2], tokens[:1]):
        sent = _unprotected(header, datagram, *notifies)
        if len(sent.octets) <= len(datagram.octets):
            return sent
    return None


def outside(spi_notify: Notify, datagram: tuple[Endpoint, Endpoint]) -> Send:
    """Return a notify outside of any exchange: no SPIs, and not to be answered (§1.5)."""
    head = Header(
        spi_i=ZERO_SPI,
        spi_r=ZERO_SPI,
        next_payload=PayloadType.NONE,
        major=MAJOR,
        minor=0,
        exchange=ExchangeType.INFORMATIONAL,
        flags=Flags.INITIATOR,
        message_id=0,
    )
    return Send(*datagram, Message(head, (spi_notify,)).encode())


def _unprotected(header: Header, datagram: Datagram, *notifies: Notify) -> Send:
    """Return an answer outside any IKE SA: SPIs, message ID and exchange type are copied (§1.5)."""
    flags = Flags.RESPONSE if header.is_from_initiator else Flags.RESPONSE | Flags.INITIATOR
    head = Header(
        spi_i=header.spi_i,
        spi_r=header.spi_r,
        next_payload=PayloadType.NONE,
        major=MAJOR,
        minor=0,
        exchange=header.exchange,
        flags=flags,
        message_id=header.message_id,
    )
    return Send(datagram.local, datagram.peer, Message(head, notifies).encode())

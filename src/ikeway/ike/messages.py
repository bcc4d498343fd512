# SPDX-License-Identifier: Apache-2.0
"""Sending messages of an IKE SA: headers, sealing, the window and the report, in one place."""

from dataclasses import replace
from typing import Final

from ikeway.ike.io import Action, Report, Send
from ikeway.ike.reports import MessageSent, Retransmitted
from ikeway.ike.session import Link, Session
from ikeway.ike.tasks import Asked
from ikeway.ike.window import Outstanding
from ikeway.model.address import Endpoint
from ikeway.model.time import Instant
from ikeway.policy.lifetimes import Retransmission
from ikeway.wire.codec import Body
from ikeway.wire.message import Flags, Header, Message
from ikeway.wire.registry import ExchangeType, PayloadType

_FLAGS: Final = {
    (False, False): Flags(0),
    (True, False): Flags.INITIATOR,
    (False, True): Flags.RESPONSE,
    (True, True): Flags.INITIATOR | Flags.RESPONSE,
}
"""The header's flags by whether we are the original initiator, and whether we answer (§3.1)."""


def header(link: Link, exchange: ExchangeType, message_id: int, *, is_response: bool) -> Header:
    """Return the header of a message of ours; its length follows when it is encoded (§3.1)."""
    return Header(
        spi_i=link.spi_i,
        spi_r=link.spi_r,
        next_payload=PayloadType.NONE,
        major=2,
        minor=0,
        exchange=exchange,
        flags=_FLAGS[link.is_initiator, is_response],
        message_id=message_id,
        length=0,
    )


def request(
    session: Session,
    exchange: ExchangeType,
    payloads: tuple[Body, ...],
    timing: Retransmission,
    now: Instant,
    asked: Asked | None = None,
) -> tuple[Session, tuple[Action, ...]]:
    """Seal a request and put it on its way; the window must have room (§2.3)."""
    message_id = session.window.next_request
    head = header(session.link, exchange, message_id, is_response=False)
    keyring, octets = session.keyring.seal(head, payloads, session.env.random)
    outstanding = Outstanding.first(message_id, exchange, octets, timing, now)
    outstanding = replace(outstanding, asked=asked)
    after = replace(session, keyring=keyring, window=session.window.requested(outstanding))
    link = session.link
    sent = MessageSent(Message(head, payloads), link.peer, len(octets))
    return after, (Send(link.local, link.peer, octets), session.report(sent))


def respond(
    session: Session,
    asked: Header,
    payloads: tuple[Body, ...],
    path: tuple[Endpoint, Endpoint],
) -> tuple[Session, tuple[Action, ...]]:
    """Seal the response to a request and keep it for repetitions; `path` is the way back."""
    head = header(session.link, asked.exchange, asked.message_id, is_response=True)
    keyring, octets = session.keyring.seal(head, payloads, session.env.random)
    window = session.window.responded(asked.message_id, octets)
    after = replace(session, keyring=keyring, window=window)
    sent = MessageSent(Message(head, payloads), path[1], len(octets))
    return after, (Send(*path, octets), session.report(sent))


def repeat(
    link: Link, outstanding: Outstanding, timing: Retransmission, now: Instant
) -> tuple[Outstanding, tuple[Action, ...]] | None:
    """Send an unanswered request again, unchanged; None when it is time to give up (§2.1)."""
    again = outstanding.again(timing, now)
    if again is None:
        return None
    said = Report(link.spi_local, Retransmitted(outstanding.sent, link.peer))
    return again, (Send(link.local, link.peer, again.octets), said)

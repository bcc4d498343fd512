# SPDX-License-Identifier: Apache-2.0
"""IKE_SESSION_RESUME as its initiator (RFC 5723 §4.3.2): present the ticket, or begin anew."""

from dataclasses import replace
from typing import Final

from ikeway.ike import features, messages
from ikeway.ike.exchanges import ike_sa_init, ike_session_resume
from ikeway.ike.features import redirect
from ikeway.ike.io import Received, Report, Send
from ikeway.ike.reports import MessageReceived, MessageSent
from ikeway.ike.session import Session, Transcript
from ikeway.ike.shape import need
from ikeway.ike.states import AwaitInitResponse, Resuming, Step
from ikeway.ike.window import Outstanding, Window
from ikeway.model.errors import MalformedError
from ikeway.model.time import Instant
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Nonce, Notify
from ikeway.wire.registry import NotifyType

SENT_MOST: Final = 3
"""How often it is sent without an answer, before IKE_SA_INIT takes its place."""
COOKIES_MOST: Final = 4
COOKIE_OCTETS: Final = range(1, 65)


def ask(state: AwaitInitResponse, resuming: Resuming, cookie: bytes, now: Instant) -> Step:
    """Send the request; the same nonce goes with each cookie (RFC 7296 §2.6)."""
    link, connection = state.link, state.connection
    context = ike_sa_init.context(link, ike_sa_init.ZERO_SPI, connection)
    payloads: tuple[Body, ...] = (
        *((Notify(NotifyType.COOKIE, cookie),) if cookie else ()),
        Nonce(resuming.nonce),
        Notify(NotifyType.TICKET_OPAQUE, resuming.held.octets),
        *features.announce(context),
        *redirect.offer(connection, state.trail.origin),
    )
    head = messages.header(link, ike_session_resume.TYPE, 0, is_response=False)
    message = Message(head, payloads)
    octets = message.encode()
    timing = connection.retransmission
    outstanding = Outstanding.first(0, ike_session_resume.TYPE, (octets,), timing, now)
    attempt = replace(state.attempt, outstanding=outstanding, tries=state.attempt.tries + 1)
    asked = replace(resuming, request=octets)
    sent = MessageSent(message, link.peer, len(octets))
    return Step(
        replace(state, attempt=attempt, resuming=asked),
        (Send(link.local, link.peer, octets), Report(link.spi_local, sent)),
    )


def cookie_of(state: AwaitInitResponse, message: Message) -> bytes:
    """Return the cookie that an answer asks for; empty if it asks for none.

    Raises:
        MalformedError: it is impossible, or one too many.
    """
    notify = message.notify(NotifyType.COOKIE)
    if notify is None or message.one(Nonce) is not None:
        return b""
    if len(notify.data) not in COOKIE_OCTETS or state.attempt.tries > COOKIES_MOST:
        raise MalformedError("a COOKIE too many, or an impossible one")
    return notify.data


def agree(
    state: AwaitInitResponse,
    resuming: Resuming,
    message: Message,
    received: Received,
    branch: bytes,
) -> tuple[Session, Transcript, tuple[Report, ...]]:
    """Return the session that an answer leads to, and its messages.

    Raises:
        PeerError: the answer is not as it has to be.
    """
    ike_session_resume.RESPONSE.check(message)
    if message.header.spi_r == ike_sa_init.ZERO_SPI:
        raise MalformedError("SPIr is zero")
    past, datagram = resuming.held.past, received.datagram
    link = replace(state.link, spi_r=message.header.spi_r)
    agreed = features.learn(message, ike_sa_init.context(link, link.spi_r, state.connection))
    link = ike_sa_init.floated(link, state.env, state.connection, agreed)
    nonces = resuming.nonce, need(message, Nonce).data
    keyring = ike_session_resume.keyring(past, link, nonces)
    window = Window(next_request=1)
    session = Session(
        state.env, link, branch, keyring, window, agreed, resumed=past, trail=state.trail
    )
    reports = (
        session.report(MessageReceived(message, datagram.peer, len(datagram.octets))),
        *ike_sa_init.chosen(session, state.connection),
    )
    return session, Transcript(resuming.request, datagram.octets, *nonces), reports

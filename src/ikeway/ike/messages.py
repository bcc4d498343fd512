# SPDX-License-Identifier: Apache-2.0
"""Sending messages of an IKE SA: headers, sealing, the window and the report, in one place."""

from dataclasses import replace
from typing import Final

from ikeway.ike import fragments
from ikeway.ike.features import fragmentation
from ikeway.ike.io import Action, Report, Send
from ikeway.ike.reports import MessageSent, Retransmitted, Warned
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

PROBES: Final = 3
"""How often a request is sent before its fragments are made smaller: "a few retries"."""


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
    content = fragments.Content.of(head, payloads)
    room = session.room(is_response=False)
    keyring, datagrams = fragments.seal(session.keyring, content, session.env.random, room)
    outstanding = Outstanding.first(message_id, exchange, datagrams, timing, now)
    outstanding = replace(outstanding, asked=asked, content=content if room else None)
    after = replace(session, keyring=keyring, window=session.window.requested(outstanding))
    link = session.link
    sent = MessageSent(Message(head, payloads), link.peer, sum(map(len, datagrams)))
    return after, (*send((link.local, link.peer), datagrams), session.report(sent))


def send(path: tuple[Endpoint, Endpoint], datagrams: fragments.Datagrams) -> tuple[Action, ...]:
    """Return the actions that send a message; `path` is local and peer."""
    return tuple([Send(*path, octets) for octets in datagrams])


def respond(
    session: Session,
    asked: Header,
    payloads: tuple[Body, ...],
    path: tuple[Endpoint, Endpoint],
) -> tuple[Session, tuple[Action, ...]]:
    """Seal the response to a request and keep it for repetitions; `path` is the way back."""
    head = header(session.link, asked.exchange, asked.message_id, is_response=True)
    content, room = fragments.Content.of(head, payloads), session.room(is_response=True)
    keyring, datagrams = fragments.seal(session.keyring, content, session.env.random, room)
    window = session.window.responded(asked.message_id, datagrams)
    after = replace(session, keyring=keyring, window=window)
    sent = MessageSent(Message(head, payloads), path[1], sum(map(len, datagrams)))
    return after, (*send(path, datagrams), session.report(sent))


def repeat(
    link: Link, outstanding: Outstanding, timing: Retransmission, now: Instant
) -> tuple[Outstanding, tuple[Action, ...]] | None:
    """Send an unanswered request again, unchanged; None when it is time to give up (§2.1)."""
    again = outstanding.again(timing, now)
    if again is None:
        return None
    said = Report(link.spi_local, Retransmitted(outstanding.sent, link.peer))
    return again, (*send((link.local, link.peer), again.datagrams), said)


def insist(
    session: Session, outstanding: Outstanding, timing: Retransmission, now: Instant
) -> tuple[Session, tuple[Action, ...]] | None:
    """Send an unanswered request again, after a while in smaller fragments; None to give up.

    Larger datagrams may not get through (RFC 7383 §2.5.2). Where a part of the response has come,
    they do: it is the rest of the response that is missing.
    """
    answer = True, outstanding.message_id, outstanding.exchange
    is_heard = session.fragmentation.find(answer) is not None
    if outstanding.sent >= PROBES and now < outstanding.give_up and not is_heard:
        split = _split(session, outstanding, timing, now)
        if split is not None:
            return split
    repeated = repeat(session.link, outstanding, timing, now)
    if repeated is None:
        return None
    again, actions = repeated
    return replace(session, window=session.window.repeated(again)), actions


def _split(
    session: Session, outstanding: Outstanding, timing: Retransmission, now: Instant
) -> tuple[Session, tuple[Action, ...]] | None:
    """Send it in more fragments than before, which the peer has to tell from those before.

    INTEROP strongswan: who has answered before gives the response again only for octets that it
    knows, so the first fragment of each set before goes along; a larger total makes it harmless.
    """
    content, size, link = outstanding.content, session.fragment_size, session.link
    if content is None or size is None:
        return None
    version, sent = link.peer.address.version, outstanding.datagrams
    before = fragments.total_of(sent[0])
    known_before = sent[0], *sent[before:]
    for step in fragmentation.smaller(size, version):
        room = fragmentation.room(step, version)
        if content.total(session.keyring, room) == 1 or before >= fragments.TOTAL_MOST:
            continue
        keyring, random = session.keyring, session.env.random
        keyring, smaller = fragments.seal(keyring, content, random, room, before + 1)
        datagrams = *smaller, *known_before
        window = session.window.repeated(outstanding.split(datagrams, timing, now))
        known = replace(session.fragmentation, size=step)
        after = replace(session, keyring=keyring, window=window, fragmentation=known)
        said = Warned(f"no answer from {link.peer}: datagrams of at most {step} octets from now on")
        return after, (*send((link.local, link.peer), datagrams), session.report(said))
    return None

# SPDX-License-Identifier: Apache-2.0
"""IKE_SA_INIT (RFC 7296 §1.2, §2.6, §2.7, §2.14): algorithms, Diffie-Hellman, nonces."""

from dataclasses import dataclass, replace

from ikeway.crypto.kex import key_exchange
from ikeway.ike import features, messages, negotiate
from ikeway.ike.describe import describe
from ikeway.ike.environment import Environment
from ikeway.ike.features.context import Context
from ikeway.ike.features.nat_traversal import float_port
from ikeway.ike.io import Datagram, Received, Report, Send
from ikeway.ike.keys import Keyring
from ikeway.ike.reports import Dropped, MessageReceived, MessageSent, SuiteChosen, Warned
from ikeway.ike.shape import Shape, check_critical, need, one
from ikeway.ike.states import (
    Attempt,
    AwaitAuthRequest,
    AwaitInitResponse,
    Link,
    Session,
    Step,
    Transcript,
)
from ikeway.ike.timers import COMPLAINT, HALF_OPEN
from ikeway.ike.window import Outstanding, Window
from ikeway.model.address import Endpoint
from ikeway.model.errors import MalformedError, NoProposalError, PeerError
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection, Encapsulate, Proof
from ikeway.wire.codec import Body
from ikeway.wire.message import Header, Message
from ikeway.wire.payloads import (
    CertificateRequest,
    KeyExchange,
    Nonce,
    Notify,
    SecurityAssociation,
)
from ikeway.wire.registry import CertEncoding, ExchangeType, KeMethod, NotifyType

TYPE = ExchangeType.IKE_SA_INIT
REQUEST = Shape(one(SecurityAssociation), one(KeyExchange), one(Nonce))
RESPONSE = REQUEST

NONCE_OCTETS = 32
"""At least half the key size of every PRF that we offer (§2.10)."""

TRIES_MOST = 8
"""IKE_SA_INIT requests of one attempt, counting those for cookies and other KE methods."""

COOKIE_OCTETS = range(1, 65)
ERRORS_END = 16384
"""Notify types below are errors (§3.10.1)."""


def context(link: Link, spi_r: bytes, connection: Connection) -> Context:
    """Return what the features need for a message that has this SPIr."""
    force = connection.encapsulate is Encapsulate.ALWAYS
    return Context(link.spi_i, spi_r, link.local, link.peer, force)


# Initiator ----------------------------------------------------------------------------------------


def request(
    env: Environment, connection: Connection, path: tuple[Endpoint, Endpoint], now: Instant
) -> Step:
    """Start an IKE SA over `path` (local, peer)."""
    link = Link(env.new_ike_spi(), bytes(8), True, *path)
    nonce = env.random.octets(NONCE_OCTETS)
    method = connection.ike[0].ke[0][0]
    return _ask(AskFor(env, link, connection, method, nonce, b"", 1), now)


@dataclass(frozen=True, slots=True)
class AskFor:
    """The parameters of an IKE_SA_INIT request."""

    env: Environment
    link: Link
    connection: Connection
    method: int
    nonce: bytes
    cookie: bytes
    tries: int


def _ask(ask: AskFor, now: Instant, kept: Attempt | None = None) -> Step:
    """Send the request; `kept` is the attempt whose offer stays the same (§2.6)."""
    offer = kept.offer if kept else key_exchange(ask.method).offer(ask.env.random)
    payloads: tuple[Body, ...] = (
        *((Notify(NotifyType.COOKIE, ask.cookie),) if ask.cookie else ()),
        negotiate.offer(ask.connection.ike, b"", with_ke=True),
        KeyExchange(KeMethod(ask.method), offer.public),
        Nonce(ask.nonce),
        *features.announce(context(ask.link, bytes(8), ask.connection)),
    )
    head = messages.header(ask.link, TYPE, 0, is_response=False)
    octets = Message(head, payloads).encode()
    outstanding = Outstanding.first(0, octets, TYPE, ask.connection.retransmission, now)
    attempt = Attempt(ask.method, offer, ask.nonce, ask.cookie, ask.tries, outstanding)
    sent = MessageSent(describe(head, payloads), ask.link.peer, len(octets))
    return Step(
        AwaitInitResponse(ask.env, ask.link, ask.connection, attempt),
        (Send(ask.link.local, ask.link.peer, octets), Report(ask.link.spi_local, sent)),
    )


@dataclass(frozen=True, slots=True)
class Agreement:
    """IKE_SA_INIT is done from the initiator's point of view."""

    session: Session
    transcript: Transcript


def conclude(state: AwaitInitResponse, received: Received, now: Instant) -> Step | Agreement:
    """Take an answer to our request. None of it is authentic yet: what is odd changes nothing."""
    try:
        message = Message.decode(received.datagram.octets)
        check_critical(message)
        retry = _retry(state, message, now)
        return retry if retry is not None else _agree(state, message, received)
    except NoProposalError as error:
        return _complain(state, str(error), now)
    except PeerError as error:
        dropped = Dropped(f"IKE_SA_INIT response: {error}", received.datagram.peer)
        return Step(state, (Report(state.link.spi_local, dropped),))


def _retry(state: AwaitInitResponse, message: Message, now: Instant) -> Step | None:
    """Return the step that a COOKIE, an INVALID_KE_PAYLOAD or another error leads to."""
    for notify in message.all(Notify):
        if notify.type is NotifyType.COOKIE and message.one(SecurityAssociation) is None:
            return _with_cookie(state, notify, now)
        if notify.type is NotifyType.INVALID_KE_PAYLOAD:
            return _with_method(state, notify, now)
        if notify.type < ERRORS_END:
            return _complain(state, f"the peer says {notify.type.name}", now)
    return None


def _with_cookie(state: AwaitInitResponse, notify: Notify, now: Instant) -> Step:
    if len(notify.data) not in COOKIE_OCTETS:
        raise MalformedError(f"a COOKIE of {len(notify.data)} octets, not 1 to 64")
    if notify.data == state.attempt.cookie:
        raise MalformedError("the COOKIE that the request already had")
    ask = _next(state, cookie=notify.data)
    return _ask(ask, now, kept=state.attempt).then(
        Report(state.link.spi_local, Warned("the peer asks for a COOKIE"))
    )


def _with_method(state: AwaitInitResponse, notify: Notify, now: Instant) -> Step:
    """Retry with the KE method that the peer prefers, if it is one of ours (§1.2)."""
    offered = {code for spec in state.connection.ike for code, _ in spec.ke}
    method = int.from_bytes(notify.data)
    if len(notify.data) != 2 or method not in offered or method == state.attempt.method:
        raise MalformedError(f"INVALID_KE_PAYLOAD asks for method {method}, which was not offered")
    ask = _next(state, method=method)
    said = Warned(f"the peer asks for {KeMethod(method).name} instead")
    return _ask(ask, now).then(Report(state.link.spi_local, said))


def _next(state: AwaitInitResponse, *, cookie: bytes = b"", method: int | None = None) -> AskFor:
    attempt = state.attempt
    if attempt.tries >= TRIES_MOST:
        raise MalformedError(f"more than {TRIES_MOST} cookies and KE methods in a row")
    return AskFor(
        env=state.env,
        link=state.link,
        connection=state.connection,
        method=attempt.method if method is None else method,
        nonce=attempt.nonce,
        cookie=cookie or attempt.cookie,
        tries=attempt.tries + 1,
    )


def _complain(state: AwaitInitResponse, complaint: str, now: Instant) -> Step:
    """Keep waiting for a real answer, but not for long: the error may be forged (§2.21.1)."""
    outstanding = state.attempt.outstanding
    give_up = min(outstanding.give_up, now + (COMPLAINT.length or 0.0))
    shorter = replace(outstanding, give_up=give_up, due=min(outstanding.due, give_up))
    attempt = replace(state.attempt, outstanding=shorter)
    said = () if state.complaint else (Report(state.link.spi_local, Warned(complaint)),)
    return Step(replace(state, attempt=attempt, complaint=complaint), said)


def _agree(state: AwaitInitResponse, message: Message, received: Received) -> Agreement:
    RESPONSE.check(message)
    if message.header.spi_r == bytes(8):
        raise MalformedError("SPIr is zero")
    chosen = negotiate.check_choice(
        need(message, SecurityAssociation), state.connection.ike, with_ke=True, spi_octets=0
    )
    suite = chosen.ike
    exchange = need(message, KeyExchange)
    if suite.ke != state.attempt.method:
        raise NoProposalError(f"method {suite.ke} chosen, but our KE is of another")
    negotiate.check_key_exchange(suite.ke, exchange)
    shared = key_exchange(suite.ke).finish(state.attempt.offer.private, exchange.data)
    nonce_r = need(message, Nonce).data
    link = replace(state.link, spi_r=message.header.spi_r)
    agreed = features.learn(message, context(link, link.spi_r, state.connection))
    if agreed.nat.is_present:
        port = state.env.nat_port
        link = replace(link, local=float_port(link.local, port), peer=float_port(link.peer, port))
    keyring = Keyring.derive(
        suite, shared, (state.attempt.nonce, nonce_r), (link.spi_i, link.spi_r), is_initiator=True
    )
    session = Session(state.env, link, keyring, Window(next_request=1), agreed)
    octets = received.datagram.octets
    sent = state.attempt.outstanding.octets
    return Agreement(session, Transcript(sent, octets, state.attempt.nonce, nonce_r))


# Responder ----------------------------------------------------------------------------------------


def respond(env: Environment, head: Header, datagram: Datagram, now: Instant) -> Step:
    """Answer a request and become half open.

    Raises:
        PeerError: the request is answered with an error or dropped, and no state is kept.
    """
    message = Message.decode(datagram.octets)
    check_critical(message)
    REQUEST.check(message)
    candidates = tuple(
        connection
        for connection in env.connections
        if connection.may_respond
        and connection.peer.matches(datagram.peer.address)
        and connection.local_address in {None, datagram.local.address}
    )
    if not candidates:
        raise NoProposalError(f"no connection is configured for {datagram.peer.address}")
    exchange = need(message, KeyExchange)
    chosen = _choose(need(message, SecurityAssociation), candidates, exchange.method)
    suite = chosen.ike
    negotiate.check_key_exchange(suite.ke, exchange)
    public, shared = key_exchange(suite.ke).answer(env.random, exchange.data)
    link = Link(head.spi_i, env.new_ike_spi(), False, datagram.local, datagram.peer)
    nonce_i, nonce_r = need(message, Nonce).data, env.random.octets(NONCE_OCTETS)
    fitting = tuple(c for c in candidates if any(spec.allows(suite) for spec in c.ike))
    payloads: tuple[Body, ...] = (
        chosen.answer(b""),
        KeyExchange(KeMethod(suite.ke), public),
        Nonce(nonce_r),
        *features.announce(context(link, link.spi_r, fitting[0])),
        *certificate_request(env, fitting),
    )
    reply_head = messages.header(link, TYPE, 0, is_response=True)
    octets = Message(reply_head, payloads).encode()
    keyring = Keyring.derive(
        suite, shared, (nonce_i, nonce_r), (link.spi_i, link.spi_r), is_initiator=False
    )
    agreed = features.learn(message, context(link, bytes(8), fitting[0]))
    window = Window(expected=1, answered=(0, octets))
    session = Session(env, link, keyring, window, agreed)
    transcript = Transcript(datagram.octets, octets, nonce_i, nonce_r)
    state = AwaitAuthRequest(session, transcript, fitting, now + (HALF_OPEN.length or 0.0))
    reports = (
        MessageReceived(describe(head, message.payloads), datagram.peer, len(datagram.octets)),
        SuiteChosen(str(suite), str(agreed.nat)),
        MessageSent(describe(reply_head, payloads), datagram.peer, len(octets)),
    )
    send = Send(datagram.local, datagram.peer, octets)
    return Step(state, (send, *(session.report(report) for report in reports)))


def _choose(
    offered: SecurityAssociation, candidates: tuple[Connection, ...], method: int
) -> negotiate.Choosing:
    for connection in candidates:
        try:
            return negotiate.choose(offered, connection.ike, prefer_ke=method)
        except NoProposalError:
            continue
    raise NoProposalError(f"no common proposal; the peer offers {negotiate.describe(offered)}")


def certificate_request(
    env: Environment, connections: tuple[Connection, ...]
) -> tuple[CertificateRequest, ...]:
    """Return the CERTREQ with the authorities that we believe, where certificates count (§3.7)."""
    is_wanted = any(Proof.CERTIFICATE in connection.peer_auth for connection in connections)
    authorities = env.credentials.authorities
    if not (is_wanted and authorities):
        return ()
    hashes = b"".join(authority.subject_key_hash for authority in authorities)
    return (CertificateRequest(CertEncoding.X509_SIGNATURE, hashes),)

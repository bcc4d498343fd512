# SPDX-License-Identifier: Apache-2.0
"""IKE_SA_INIT as its initiator (RFC 7296 §1.2, §2.6, §2.7, §2.21.1)."""

from dataclasses import dataclass, field, replace
from typing import Final

from ikeway.crypto.kex import key_exchange
from ikeway.ike import certificate_requests, features, messages, negotiate, puzzles, redirection
from ikeway.ike.children import Wish
from ikeway.ike.environment import Environment
from ikeway.ike.exchanges import ike_sa_init, ike_session_resume, ike_session_resume_initiator
from ikeway.ike.features import intermediate, redirect
from ikeway.ike.io import Action, Ask, FollowRedirect, Initiate, Received, Report, Send
from ikeway.ike.keys import Keyring
from ikeway.ike.nonces import NONCE_OCTETS
from ikeway.ike.questions import Answer, Solved, SolvePuzzle, Ticket
from ikeway.ike.reports import Closed, Dropped, MessageReceived, MessageSent, Warned
from ikeway.ike.session import Link, Session, Transcript
from ikeway.ike.shape import check_critical, need
from ikeway.ike.states import Attempt, AwaitInitResponse, Gone, Resuming, Step
from ikeway.ike.tickets import Held
from ikeway.ike.timers import COMPLAINT
from ikeway.ike.trail import Trail
from ikeway.ike.window import Outstanding, Window
from ikeway.model.errors import MalformedError, NoProposalError, PeerError
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection
from ikeway.policy.proposals import IkeSuite
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import (
    KeyExchange,
    Nonce,
    Notify,
    PuzzleSolution,
    SecurityAssociation,
)
from ikeway.wire.registry import KeMethod, NotifyType

TRIES_MOST: Final = 8
"""IKE_SA_INIT requests of one attempt, counting those for cookies and other KE methods."""

COOKIE_OCTETS: Final = range(1, 65)
SOLVE: Final = "solve"

# Asking -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AskFor:
    """The parameters of an IKE_SA_INIT request."""

    env: Environment
    link: Link
    connection: Connection
    method: int
    nonce: bytes
    wish: Wish
    cookie: bytes = b""
    solution: bytes = b""
    tries: int = 1
    resuming: Resuming | None = None
    trail: Trail = field(default=Trail())


def request(env: Environment, command: Initiate, spi_i: bytes, now: Instant) -> Step:
    """Start an IKE SA."""
    link = Link(spi_i, ike_sa_init.ZERO_SPI, True, command.local, command.peer)
    nonce, connection = env.random.octets(NONCE_OCTETS), command.connection
    method = connection.ike[0].ke[0][0]
    ask = AskFor(env, link, connection, method, nonce, command.wish, trail=command.trail)
    return _ask(ask, now)


def resume(env: Environment, command: Initiate, spi_i: bytes, held: Held, now: Instant) -> Step:
    """Start an IKE SA with the ticket of one that was lost (RFC 5723 §4.3)."""
    unsent = request(env, command, spi_i, now).state
    if not isinstance(unsent, AwaitInitResponse):  # pragma: no cover - it always is
        return Step(unsent)
    resuming = Resuming(held, env.random.octets(NONCE_OCTETS))
    return ike_session_resume_initiator.ask(unsent, resuming, b"", now)


def give_up_ticket(state: AwaitInitResponse, reason: str, now: Instant) -> Step | None:
    """Ask IKE_SA_INIT after all where a ticket led nowhere; None if there was none.

    No answer to the ticket is taken any more: another request under its keys would repeat IVs.
    """
    if state.resuming is None or state.resuming.is_over:
        return None
    return begin_anew(replace(state, resuming=None), reason, now)


def begin_anew(state: AwaitInitResponse, reason: str, now: Instant) -> Step:
    """Ask IKE_SA_INIT after all; a late answer to the ticket is taken still (§4.3.2)."""
    over = replace(state.resuming, is_over=True) if state.resuming else None
    said = Warned(f"{reason}: the connection begins anew")
    ask = replace(_next(state), resuming=over)
    return _ask(ask, now, kept=state.attempt).then(Report(state.link.spi_local, said))


def _ask(ask: AskFor, now: Instant, kept: Attempt | None = None) -> Step:
    """Send the request; `kept` is the attempt whose offer stays the same (§2.6)."""
    offer = kept.offer if kept else key_exchange(ask.method).offer(ask.env.random)
    link, zero = ask.link, ike_sa_init.ZERO_SPI
    payloads: tuple[Body, ...] = (
        *((Notify(NotifyType.COOKIE, ask.cookie),) if ask.cookie else ()),
        *((PuzzleSolution(ask.solution),) if ask.solution else ()),
        negotiate.offer(ask.connection.ike, b"", with_ke=True),
        KeyExchange(KeMethod(ask.method), offer.public),
        Nonce(ask.nonce),
        *features.announce(ike_sa_init.context(link, zero, ask.connection)),
        *redirect.offer(ask.connection, ask.trail.origin),
    )
    head = messages.header(link, ike_sa_init.TYPE, 0, is_response=False)
    message = Message(head, payloads)
    octets = message.encode()
    timing = ask.connection.retransmission
    outstanding = Outstanding.first(0, ike_sa_init.TYPE, (octets,), timing, now)
    attempt = Attempt(
        ask.method, offer, ask.nonce, ask.cookie, ask.tries, outstanding, ask.solution
    )
    sent = MessageSent(message, link.peer, len(octets))
    return Step(
        AwaitInitResponse(
            ask.env,
            link,
            ask.connection,
            attempt,
            wish=ask.wish,
            resuming=ask.resuming,
            trail=ask.trail,
        ),
        (Send(link.local, link.peer, octets), Report(link.spi_local, sent)),
    )


# Taking an answer ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Agreement:
    """IKE_SA_INIT is done from the initiator's point of view."""

    session: Session
    transcript: Transcript
    reports: tuple[Action, ...]


def conclude(
    state: AwaitInitResponse, received: Received, branch: bytes, now: Instant
) -> Step | Agreement:
    """Take an answer to our request. None of it is authentic yet: what is odd changes nothing."""
    try:
        message = Message.decode(received.datagram.octets)
        check_critical(message)
        if message.header.exchange is ike_session_resume.TYPE:
            return _resumed(state, message, received, branch, now)
        if state.resuming is not None and not state.resuming.is_over:
            raise MalformedError("an answer to an IKE_SA_INIT that was not asked")
        retry = _retry(state, message, now)
        return retry if retry is not None else _agree(state, message, received, branch)
    except NoProposalError as error:
        return complain(state, str(error), now)
    except PeerError as error:
        dropped = Dropped(f"IKE_SA_INIT response: {error}", received.datagram.peer)
        return Step(state, (Report(state.link.spi_local, dropped),))


def _resumed(
    state: AwaitInitResponse, message: Message, received: Received, branch: bytes, now: Instant
) -> Step | Agreement:
    """Take an answer to IKE_SESSION_RESUME (RFC 5723 §4.3.2)."""
    resuming = state.resuming
    if resuming is None:
        raise MalformedError("an answer to an IKE_SESSION_RESUME that was not asked")
    if message.one(Nonce) is not None:
        parts = ike_session_resume_initiator.agree(state, resuming, message, received, branch)
        session, transcript, reports = parts
        return Agreement(session, transcript, reports)
    if resuming.is_over:
        raise MalformedError("IKE_SESSION_RESUME is over")
    elsewhere = message.notify(NotifyType.REDIRECT)
    if elsewhere is not None:
        return _redirected(state, elsewhere, resuming.nonce, now)
    cookie = ike_session_resume_initiator.cookie_of(state, message)
    if cookie:
        return ike_session_resume_initiator.ask(state, resuming, cookie, now)
    answered = replace(state, resuming=replace(resuming, is_answered=True))
    refused = message.notify(NotifyType.TICKET_NACK) is not None
    errors = [n.type.name for n in message.all(Notify) if n.type.is_error]
    if not (refused or errors):
        raise MalformedError("an answer to IKE_SESSION_RESUME that says nothing")
    return begin_anew(answered, "the ticket is not taken", now)


def _retry(state: AwaitInitResponse, message: Message, now: Instant) -> Step | None:
    """Return the step that a COOKIE, an INVALID_KE_PAYLOAD or another error leads to."""
    is_pressed = message.one(SecurityAssociation) is None
    puzzle = message.notify(NotifyType.PUZZLE) if is_pressed else None
    if puzzle is not None:
        return _with_puzzle(state, puzzle, message.notify(NotifyType.COOKIE), now)
    for notify in message.all(Notify):
        if notify.type is NotifyType.COOKIE and is_pressed:
            return _with_cookie(state, notify, now)
        if notify.type is NotifyType.REDIRECT and is_pressed:
            return _redirected(state, notify, state.attempt.nonce, now)
        if notify.type is NotifyType.INVALID_KE_PAYLOAD:
            return _with_method(state, notify, now)
        if notify.type.is_error:
            return complain(state, f"the peer says {notify.type.name}", now)
    return None


def _redirected(state: AwaitInitResponse, notify: Notify, nonce: bytes, now: Instant) -> Step:
    """Go where the gateway sends us: nobody has proven that it is the gateway (RFC 5685 §3).

    It saw our nonce. Who sees it can keep us from connecting anyway, and gets nothing else of it.
    """
    connection, peer = state.connection, state.link.peer.address
    gateway = redirection.target(connection, notify, peer, nonce)
    try:
        trail = state.trail.after(peer, now)
    except MalformedError as error:
        return complain(state, str(error), now)
    spi, said = state.link.spi_local, f"the gateway sends us to {gateway}"
    follow = FollowRedirect(spi, connection, gateway, trail, state.wish)
    closed = Report(spi, Closed(connection.name, said, is_failure=False))
    return Step(Gone(), (follow, closed))


def _with_cookie(state: AwaitInitResponse, notify: Notify, now: Instant) -> Step:
    if len(notify.data) not in COOKIE_OCTETS:
        raise MalformedError(f"a COOKIE of {len(notify.data)} octets, not 1 to 64")
    if notify.data == state.attempt.cookie:
        raise MalformedError("the COOKIE that the request already had")
    ask = _next(state, cookie=notify.data)
    return _ask(ask, now, kept=state.attempt).then(
        Report(state.link.spi_local, Warned("the peer asks for a COOKIE"))
    )


def _with_puzzle(
    state: AwaitInitResponse, posed: Notify, cookie: Notify | None, now: Instant
) -> Step:
    """Have a puzzle solved, if it is not too hard; else return the cookie only (RFC 8019 §7.1.2).

    Meanwhile the request goes on as it is: its answers are more puzzles, which are left alone.
    """
    if cookie is None:
        raise MalformedError("a PUZZLE without a COOKIE")
    puzzle = puzzles.read(posed, cookie.data)
    attempt = state.attempt
    if attempt.solving:
        return Step(state)
    if puzzle.bits > state.env.limits.solve_bits:
        said = Warned(f"the peer asks to solve a puzzle of {puzzle.bits} bits, which is too hard")
        return _with_cookie(state, cookie, now).then(Report(state.link.spi_local, said))
    if len(cookie.data) not in COOKIE_OCTETS or attempt.tries >= TRIES_MOST:
        raise MalformedError("a PUZZLE too many, or with an impossible COOKIE")
    said = Warned(f"the peer asks to solve a puzzle of {puzzle.bits} bits")
    solving = replace(state, attempt=replace(attempt, solving=cookie.data))
    ask = Ask(Ticket(state.link.spi_local, cookie.data, SOLVE), SolvePuzzle(puzzle))
    return Step(solving, (Report(state.link.spi_local, said), ask))


def solved(state: AwaitInitResponse, ticket: Ticket, answer: Answer, now: Instant) -> Step:
    """Send the request with the cookie, and with the solution if there is one."""
    attempt = state.attempt
    if ticket.purpose != SOLVE or not attempt.solving or ticket.branch != attempt.solving:
        return Step(state)
    idle = replace(state, attempt=replace(attempt, solving=b""))
    solution = answer.solution if isinstance(answer, Solved) else b""
    ask = replace(_next(idle, cookie=attempt.solving), solution=solution)
    return _ask(ask, now, kept=idle.attempt)


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
        wish=state.wish,
        cookie=cookie or attempt.cookie,
        solution=b"" if cookie else attempt.solution,
        tries=attempt.tries + 1,
        resuming=state.resuming,
        trail=state.trail,
    )


def complain(state: AwaitInitResponse, complaint: str, now: Instant) -> Step:
    """Keep asking for a real answer, but not for long: the error may be forged (§2.21.1)."""
    outstanding = state.attempt.outstanding.hurry(
        state.connection.retransmission, now + (COMPLAINT.length or 0.0), now
    )
    attempt = replace(state.attempt, outstanding=outstanding)
    said = () if state.complaint else (Report(state.link.spi_local, Warned(complaint)),)
    return Step(replace(state, attempt=attempt, complaint=complaint), said)


def _agree(
    state: AwaitInitResponse, message: Message, received: Received, branch: bytes
) -> Agreement:
    ike_sa_init.RESPONSE.check(message)
    if message.header.spi_r == ike_sa_init.ZERO_SPI:
        raise MalformedError("SPIr is zero")
    suite = negotiate.check_choice(
        need(message, SecurityAssociation), state.connection.ike, with_ke=True, spi_octets=0
    ).ike
    if suite.additional and not intermediate.learn(message):
        raise NoProposalError("additional key exchanges are chosen, but no exchange to do them in")
    if suite.ke != state.attempt.method:
        raise MalformedError(f"key exchange method {suite.ke} chosen, ours is of another")
    link = replace(state.link, spi_r=message.header.spi_r)
    agreed = features.learn(message, ike_sa_init.context(link, link.spi_r, state.connection))
    link = ike_sa_init.floated(link, state.env, state.connection, agreed)
    keyring = _keyring(state, link, suite, message)
    session = Session(
        state.env,
        link,
        branch,
        keyring,
        Window(next_request=1),
        agreed,
        trail=state.trail,
        wishes=certificate_requests.learn(state.env, message),
    )
    octets, attempt = received.datagram.octets, state.attempt
    nonce_r = need(message, Nonce).data
    transcript = Transcript(attempt.outstanding.datagrams[0], octets, attempt.nonce, nonce_r)
    reports = _reports(session, message, received, state.connection)
    return Agreement(session, transcript, reports)


def _keyring(state: AwaitInitResponse, link: Link, suite: IkeSuite, message: Message) -> Keyring:
    exchange = need(message, KeyExchange)
    negotiate.check_key_exchange(suite.ke, exchange)
    shared = key_exchange(suite.ke).finish(state.attempt.offer.private, exchange.data)
    nonces = state.attempt.nonce, need(message, Nonce).data
    spis = link.spi_i, link.spi_r
    return Keyring.derive(suite, shared, nonces, spis, is_initiator=True)


def _reports(
    session: Session, message: Message, received: Received, connection: Connection
) -> tuple[Action, ...]:
    datagram = received.datagram
    return (
        session.report(MessageReceived(message, datagram.peer, len(datagram.octets))),
        *ike_sa_init.chosen(session, connection),
    )

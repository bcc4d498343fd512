# SPDX-License-Identifier: Apache-2.0
"""What the timer does in each state (RFC 7296 §2.1, §2.4)."""

from dataclasses import replace

from ikeway.ike import (
    aging,
    ending,
    following,
    installing,
    keepalive,
    liveness,
    message_id_sync,
    messages,
    moving,
    paths,
)
from ikeway.ike.eap_states import AnsweringEap, AsServer, AwaitEapProof, AwaitEapRequest
from ikeway.ike.exchanges import (
    child_sa_responder,
    ike_sa_init_initiator,
    ike_session_resume_initiator,
)
from ikeway.ike.faults import AsInitiator
from ikeway.ike.io import Action
from ikeway.ike.reports import Dropped
from ikeway.ike.states import (
    AwaitAuthRequest,
    AwaitAuthResponse,
    AwaitInitResponse,
    AwaitIntermediateRequest,
    AwaitIntermediateResponse,
    Candidates,
    CheckingInitiator,
    CheckingResponder,
    Deleting,
    Established,
    Gone,
    InstallingFirst,
    LeasingAddress,
    Lingering,
    Replaced,
    SigningRequest,
    SigningResponse,
    State,
    Step,
)
from ikeway.ike.tasks import AskedSync
from ikeway.ike.timers import deadline, next_age
from ikeway.model.time import Instant
from ikeway.wire.payloads import Delete
from ikeway.wire.registry import ProtocolId


def wake(state: State, now: Instant) -> Step:
    """Do what is due; an early call does nothing."""
    due = deadline(state)
    return Step(state) if due is None or due[1] > now else _do(state, now)


def _do(state: State, now: Instant) -> Step:
    match state:
        case AwaitInitResponse():
            return _init(state, now)
        case (
            AwaitIntermediateResponse()
            | AwaitAuthResponse()
            | AwaitEapRequest()
            | AwaitEapProof()
            | Deleting()
        ):
            return _repeat(state, now)
        case Established():
            return _established(state, now)
        case Candidates() | Lingering() | Gone() | Replaced():
            return _late(state, now)
        case _:
            return _expire(state)


def _late(state: Candidates | Lingering | Gone | Replaced, now: Instant) -> Step:
    """End what only waited; a peer that replaced an IKE SA and forgot it is told so (§2.8)."""
    if isinstance(state, Candidates):
        return Step(state)
    if isinstance(state, Replaced):
        ended = (Delete(ProtocolId.IKE, 0, ()),)
        return ending.tell(state.session, state.connection, ended, now)
    return Step(Gone())


def _init(state: AwaitInitResponse, now: Instant) -> Step:
    attempt, resuming = state.attempt, state.resuming
    most = ike_session_resume_initiator.SENT_MOST
    if resuming is not None and not resuming.is_over and attempt.outstanding.sent >= most:
        return ike_sa_init_initiator.begin_anew(state, "the ticket has no answer", now)
    timing = state.connection.retransmission
    repeated = messages.repeat(state.link, attempt.outstanding, timing, now)
    if repeated is None:
        reason = state.complaint or f"no answer from {state.link.peer}"
        return ending.give_up(state, state.connection.name, reason)
    outstanding, actions = repeated
    return Step(replace(state, attempt=replace(attempt, outstanding=outstanding)), actions)


def _repeat(
    state: AwaitIntermediateResponse | AsInitiator | Deleting | Established, now: Instant
) -> Step:
    """Send every request again whose time has come."""
    session, connection = state.session, state.connection
    for one in session.window.outstanding:
        if isinstance(state, Established) and isinstance(one.asked, AskedSync):
            synchronising = message_id_sync.again(state, one, now)
            silent = f"no answer from {session.link.peer}"
            return synchronising or ending.give_up(state, connection.name, silent)
    said = tuple[Action, ...]()
    for outstanding in session.window.outstanding:
        if outstanding.due > now:
            continue
        asked = moving.again(session, outstanding)
        there = replace(session, link=moving.destined(session, asked))
        timing = liveness.timing(connection, outstanding.asked)
        repeated = messages.insist(there, asked, timing, now)
        if repeated is None:
            if isinstance(state, Deleting):
                return Step(Gone())
            return ending.give_up(state, connection.name, f"no answer from {session.link.peer}")
        after, actions = repeated
        session, said = replace(after, link=session.link), said + actions
        if isinstance(state, Established):
            said += paths.repeated(state, outstanding)
    return Step(replace(state, session=session), said)


def _established(state: Established, now: Instant) -> Step:
    """Do what is due; the rest has a timer of its own afterwards."""
    if state.is_provisional:
        return Step(Gone())  # the peer never knew it, or has long forgotten it
    if any(child.due is not None and child.due <= now for child in state.children):
        return installing.overdue(state, now)
    if state.keep_at is not None and state.keep_at <= now:
        return keepalive.send(state, now)
    late = next((each for each in state.answering if each.expires <= now), None)
    if late is not None:
        return child_sa_responder.refuse(state, late)
    state = following.expire(state, now)
    if any(each.until <= now for each in state.session.fragmentation.incomplete):
        return _forget_fragments(state, now)
    due = state.session.window.due
    return _anew(state, now) if due is None or due > now else _repeat(state, now)


def _forget_fragments(state: Established, now: Instant) -> Step:
    """Act as if messages of which fragments are missing had never come (RFC 7383 §2.6)."""
    session = state.session
    kept = session.fragmentation.without_late(now)
    dropped = Dropped("a message of which fragments are missing", session.link.peer)
    after = replace(state, session=replace(session, fragmentation=kept))
    return Step(after, (session.report(dropped),))


def _anew(state: Established, now: Instant) -> Step:
    """Nothing is to be repeated: see to what is old, and to the peer's life."""
    if now >= next_age(state):
        return aging.due(state, now)
    return liveness.look(state, now)


def _expire(
    state: SigningRequest
    | CheckingResponder
    | AwaitIntermediateRequest
    | AwaitAuthRequest
    | CheckingInitiator
    | LeasingAddress
    | SigningResponse
    | InstallingFirst
    | AnsweringEap
    | AsServer,
) -> Step:
    """The initial exchanges took too long: give up half-open SAs (§2.6)."""
    ours = SigningRequest | CheckingResponder | AnsweringEap
    name = state.connection.name if isinstance(state, ours) else ""
    return ending.give_up(state, name, f"{type(state).__name__} took too long")

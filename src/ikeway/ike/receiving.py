# SPDX-License-Identifier: Apache-2.0
"""What a datagram does in each state (RFC 7296 §1.2-1.4, §2.1)."""

from dataclasses import replace
from typing import TypeVar, assert_never

from ikeway.ike import (
    agenda,
    candidates,
    ending,
    faults,
    hints,
    inbox,
    invalid_message_id,
    message_id_sync,
    messages,
    moving,
    paths,
    reauthentication,
    redirection,
    window_size,
)
from ikeway.ike.eap_states import (
    AwaitEapAuth,
    AwaitEapProof,
    AwaitEapRequest,
    AwaitEapResponse,
    AwaitSecond,
)
from ikeway.ike.exchanges import (
    address_update,
    another_auth_responder,
    create_child_sa,
    eap_initiator,
    eap_responder,
    followup_ke,
    ike_auth_initiator,
    ike_auth_responder,
    ike_intermediate_initiator,
    ike_intermediate_responder,
    informational,
)
from ikeway.ike.faults import AsInitiator, AsResponder, Keyed
from ikeway.ike.io import Datagram, Received
from ikeway.ike.reports import Dropped, MessageReceived
from ikeway.ike.session import Session
from ikeway.ike.shape import check_critical
from ikeway.ike.states import (
    AwaitAuthRequest,
    AwaitAuthResponse,
    AwaitInitResponse,
    AwaitIntermediateRequest,
    AwaitIntermediateResponse,
    Candidates,
    Deleting,
    Established,
    Gone,
    Lingering,
    Replaced,
    State,
    Step,
)
from ikeway.ike.tasks import (
    Asked,
    AskedCheck,
    AskedChild,
    AskedFollow,
    AskedIke,
    AskedMove,
    AskedSync,
    DeleteChild,
    Inform,
)
from ikeway.model.errors import MalformedError, PeerError
from ikeway.model.time import Instant
from ikeway.wire.message import Message
from ikeway.wire.payloads import Authentication, Notify
from ikeway.wire.registry import ExchangeType, NotifyType

Waiting = TypeVar(
    "Waiting",
    AwaitIntermediateResponse,
    AwaitAuthResponse,
    AwaitEapRequest,
    AwaitEapProof,
    Established,
    Deleting,
)


def receive(state: State, received: Received, now: Instant) -> Step:
    """Take one datagram."""
    match state:
        case AwaitInitResponse():
            return candidates.answered(state, received, now)
        case Established():
            return hints.take(state, received) or _keyed(state, received, now)
        case (
            AwaitIntermediateRequest()
            | AwaitIntermediateResponse()
            | AwaitAuthRequest()
            | AwaitSecond()
            | AwaitEapResponse()
            | AwaitEapAuth()
            | AwaitAuthResponse()
            | AwaitEapRequest()
            | AwaitEapProof()
            | Replaced()
            | Deleting()
            | Lingering()
        ):
            return _keyed(state, received, now)
        case Gone() | Candidates():
            return Step(state)
        case _:
            return _drop(
                state, state.session, received.datagram, "the last message is being answered"
            )


def _drop(state: State, session: Session, datagram: Datagram, reason: str) -> Step:
    return Step(state, (session.report(Dropped(reason, datagram.peer)),))


def _beyond(state: Keyed, message_id: int, datagram: Datagram, now: Instant) -> Step:
    """Drop a request beyond the window; a peer that is established with us is told (§2.3)."""
    step = _drop(state, state.session, datagram, f"request {message_id} is outside the window")
    if not isinstance(state, Established):
        return step
    complained = invalid_message_id.complaint(state.complained, message_id, now)
    if complained is None:
        return step
    after = agenda.want(state, invalid_message_id.notice(message_id))
    return replace(step, state=replace(after, complained=complained))


def _keyed(state: Keyed, received: Received, now: Instant) -> Step:
    datagram = received.datagram
    verdict = inbox.admit(state.session, received, now)
    match verdict:
        case inbox.Ignored(reason):
            return _drop(state, state.session, datagram, reason)
        case inbox.Repeated(kept):
            after = ending.asked_again(state, now) if isinstance(state, Lingering) else state
            return Step(after, messages.send((datagram.local, datagram.peer), kept))
        case inbox.Unreadable(error, session):
            fault = faults.Fault(Message(received.header, ()), datagram, error)
            return faults.take(_after(state, session), fault, now)
        case inbox.Fresh(message, session, octets):
            step = _fresh(_after(state, session), verdict, datagram, now)
            said = session.report(MessageReceived(message, datagram.peer, octets))
            return Step(step.state, (said, *step.actions), step.offspring)
        case _:
            return _apart(state, verdict, datagram, now)


def _apart(
    state: Keyed,
    verdict: inbox.Beyond | inbox.Partial | inbox.Synchronization,
    datagram: Datagram,
    now: Instant,
) -> Step:
    """Take what is no message of the window, or not yet a whole one."""
    match verdict:
        case inbox.Beyond(message_id):
            return _beyond(state, message_id, datagram, now)
        case inbox.Partial(session, overflow):
            after = _after(state, session)
            return _drop(after, session, datagram, overflow) if overflow else Step(after)
        case inbox.Synchronization(message):
            return _synchronize(state, message, datagram)
        case _:
            assert_never(verdict)


def _synchronize(state: Keyed, message: Message, datagram: Datagram) -> Step:
    """Take a request to synchronise message IDs (RFC 6311)."""
    if not isinstance(state, Established):
        return _not_now(state, message, datagram)
    said = MessageReceived(message, datagram.peer, len(datagram.octets))
    step = message_id_sync.respond(state, message, datagram)
    return replace(step, actions=(state.session.report(said), *step.actions))


def _after(state: Keyed, session: Session) -> Keyed:
    return state if session is state.session else replace(state, session=session)


def _fresh(state: Keyed, fresh: inbox.Fresh, datagram: Datagram, now: Instant) -> Step:
    message = fresh.message
    handle = _request if message.header.is_request else _response
    try:
        check_critical(message)
        if isinstance(state, AwaitIntermediateRequest | AwaitIntermediateResponse):
            return _intermediate(state, fresh, datagram, now)
        if isinstance(state, AwaitAuthRequest) and _is_extra(message):
            return ike_intermediate_responder.respond(state, message, fresh.covered, datagram)
        return handle(state, message, datagram, now)
    except PeerError as error:
        return faults.take(state, faults.Fault(message, datagram, error), now)


def _intermediate(
    state: AwaitIntermediateRequest | AwaitIntermediateResponse,
    fresh: inbox.Fresh,
    datagram: Datagram,
    now: Instant,
) -> Step:
    """Take a message between IKE_SA_INIT and IKE_AUTH: all that was agreed on has to come."""
    message, header = fresh.message, fresh.message.header
    is_due = header.exchange is ExchangeType.IKE_INTERMEDIATE
    if isinstance(state, AwaitIntermediateResponse):
        if header.is_request:
            return _not_now(state, message, datagram)
        concluded = _concluded(state, message)
        return ike_intermediate_initiator.conclude(concluded, message, fresh.covered, now)
    if header.exchange is ExchangeType.IKE_AUTH:
        raise MalformedError("IKE_AUTH before all additional key exchanges were done")
    if header.is_response or not is_due:
        return _not_now(state, message, datagram)
    return ike_intermediate_responder.respond(state, message, fresh.covered, datagram)


def _is_extra(message: Message) -> bool:
    """Whether it is an IKE_INTERMEDIATE request, where none is due any more."""
    header = message.header
    return header.is_request and header.exchange is ExchangeType.IKE_INTERMEDIATE


# Requests of the peer -----------------------------------------------------------------------------


def _request(state: Keyed, message: Message, datagram: Datagram, now: Instant) -> Step:
    match state:
        case AwaitAuthRequest() | AwaitSecond() | AwaitEapResponse() | AwaitEapAuth():
            return _request_half_open(state, message, datagram, now)
        case Established():
            number = message.header.message_id
            if any(each.asked.message_id == number for each in state.answering):
                return _drop(state, state.session, datagram, "it is being answered")
            heard = _heard(state, message, now)
            followed = moving.follow(heard, message.header, datagram, now)
            step = _request_established(followed.state, message, datagram, now)
            return replace(step, actions=(*followed.actions, *step.actions))
        case Deleting() | Replaced():
            return _request_while_deleting(state, message, datagram, now)
        case _:
            return _not_now(state, message, datagram)


def _request_half_open(
    state: AsResponder, message: Message, datagram: Datagram, now: Instant
) -> Step:
    """Take the next IKE_AUTH request; who does not believe us may end it (§2.21.2)."""
    exchange = message.header.exchange
    is_refused = exchange is ExchangeType.INFORMATIONAL and informational.ends_sa(message)
    if is_refused and not isinstance(state, AwaitAuthRequest):
        return eap_responder.end(state, message, datagram, now)
    if exchange is ExchangeType.IKE_INTERMEDIATE:
        raise MalformedError("an IKE_INTERMEDIATE exchange that was not agreed on")
    if exchange is not ExchangeType.IKE_AUTH:
        return _not_now(state, message, datagram)
    match state:
        case AwaitAuthRequest():
            return ike_auth_responder.respond(state, message, datagram, now)
        case AwaitSecond():
            return another_auth_responder.respond(state, message, datagram, now)
        case AwaitEapResponse():
            return eap_responder.heard(state, message, datagram, now)
        case AwaitEapAuth():
            return ike_auth_responder.respond_after_eap(state, message, datagram, now)


def _request_established(
    state: Established, message: Message, datagram: Datagram, now: Instant
) -> Step:
    match message.header.exchange:
        case ExchangeType.INFORMATIONAL if informational.ends_sa(message):
            return informational.end(state, message, datagram, now)
        case ExchangeType.INFORMATIONAL:
            said = address_update.respond(state, message, datagram, now)
            step = informational.respond(said.change.state, message, datagram, said.payloads, now)
            step = replace(step, actions=(*said.change.actions, *step.actions))
            return _renewed(_redirected(step, message, now), message, now)
        case ExchangeType.CREATE_CHILD_SA:
            return create_child_sa.respond(state, message, datagram, now)
        case ExchangeType.IKE_FOLLOWUP_KE:
            return followup_ke.respond(state, message, datagram, now)
        case other:
            raise MalformedError(f"exchange {other.name} on an established IKE SA")


def _redirected(step: Step, message: Message, now: Instant) -> Step:
    """Go where an answered request sends us (RFC 5685 §5)."""
    if not isinstance(step.state, Established) or message.notify(NotifyType.REDIRECT) is None:
        return step
    heeded = redirection.heed(step.state, message, now)
    return replace(step, state=heeded.state, actions=(*step.actions, *heeded.actions))


def _renewed(step: Step, message: Message, now: Instant) -> Step:
    """Prove our identity anew when an answered request says so (RFC 4478)."""
    if not isinstance(step.state, Established):
        return step
    return replace(step, state=reauthentication.heed(step.state, message, now))


def _request_while_deleting(
    state: Deleting | Replaced, message: Message, datagram: Datagram, now: Instant
) -> Step:
    """Answer what crosses our Delete; the peer's own Delete ends the waiting (§2.25.2)."""
    path = datagram.local, datagram.peer
    if message.header.exchange is ExchangeType.INFORMATIONAL:
        session, actions = messages.respond(state.session, message.header, (), path)
        if informational.ends_sa(message):
            return Step(ending.linger(session, now), actions)
    else:
        busy = (Notify(NotifyType.TEMPORARY_FAILURE),)
        session, actions = messages.respond(state.session, message.header, busy, path)
    return Step(replace(state, session=session), actions)


# Responses to requests of ours --------------------------------------------------------------------


def _response(state: Keyed, message: Message, datagram: Datagram, now: Instant) -> Step:
    match state:
        case AwaitAuthResponse() | AwaitEapRequest() | AwaitEapProof():
            return _response_half_open(state, message, now)
        case Established():
            return _response_established(_heard(state, message, now), message, datagram, now)
        case Deleting():
            return _response_while_deleting(state, message, now)
        case _:
            return _not_now(state, message, datagram)


def _response_while_deleting(state: Deleting, message: Message, now: Instant) -> Step:
    """Go on saying goodbye, unless the peer never let us in (§2.21.2)."""
    is_refused = message.header.exchange is ExchangeType.IKE_AUTH and not message.all(
        Authentication
    )
    return Step(Gone()) if is_refused else ending.farewell(_concluded(state, message), now)


def _response_half_open(state: AsInitiator, message: Message, now: Instant) -> Step:
    match state:
        case AwaitAuthResponse():
            return ike_auth_initiator.conclude(_concluded(state, message), message, now)
        case AwaitEapRequest():
            return eap_initiator.heard(_concluded(state, message), message, now)
        case AwaitEapProof():
            return ike_auth_initiator.conclude_eap(_concluded(state, message), message, now)


def _response_established(
    state: Established, message: Message, datagram: Datagram, now: Instant
) -> Step:
    """Take a response: first of all it shows where the peer is, and which path works."""
    outstanding = state.session.window.find(message.header.message_id)
    asked = outstanding.asked if outstanding else None
    if isinstance(asked, AskedSync):
        return message_id_sync.conclude(state, asked, message, datagram)
    followed = moving.follow(state, message.header, datagram, now)
    arrived = paths.arrived(_concluded(followed.state, message), datagram, now)
    step = _conclude(arrived.state, asked, message, datagram, now)
    return replace(step, actions=(*followed.actions, *arrived.actions, *step.actions))


def _conclude(
    state: Established, asked: Asked | None, message: Message, datagram: Datagram, now: Instant
) -> Step:
    """Take a response; INVALID_SYNTAX is fatal in both peers, whatever was asked (§2.21.3)."""
    if message.notify(NotifyType.INVALID_SYNTAX) is not None:
        return ending.give_up(state, state.connection.name, "the peer says INVALID_SYNTAX")
    match asked:
        case AskedChild() | AskedIke():
            return create_child_sa.conclude(state, asked, message, now)
        case AskedFollow():
            return followup_ke.conclude(state, asked, message, now)
        case Inform(()) | AskedMove() | AskedCheck():
            return address_update.conclude(state, asked, message, datagram, now)
        case Inform() | DeleteChild():
            return informational.conclude(state, asked, message, now)
        case AskedSync() | None:
            return Step(state)


def _heard(state: Established, message: Message, now: Instant) -> Established:
    after = window_size.learn(state, message)
    return replace(after, pulse=state.pulse.beat(state.connection, now))


def _concluded(state: Waiting, message: Message) -> Waiting:
    session = state.session
    window = session.window.concluded(message.header.message_id)
    return replace(state, session=replace(session, window=window))


def _not_now(state: Keyed, message: Message, datagram: Datagram) -> Step:
    """Drop an authentic message that has no place in this state (§2)."""
    reason = f"{message.header.exchange.name} has no place in {type(state).__name__}"
    return _drop(state, state.session, datagram, reason)

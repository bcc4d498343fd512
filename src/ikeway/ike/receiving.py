# SPDX-License-Identifier: Apache-2.0
"""What a datagram does in each state (RFC 7296 §1.2-1.4, §2.1, §2.21)."""

from dataclasses import replace
from typing import TypeVar, assert_never

from ikeway.ike import ending, inbox, messages
from ikeway.ike.describe import describe
from ikeway.ike.exchanges import (
    create_child_sa,
    ike_auth,
    ike_auth_initiator,
    ike_auth_responder,
    ike_sa_init,
    informational,
)
from ikeway.ike.io import Action, Datagram, Received, Report, Send
from ikeway.ike.reports import Dropped, MessageReceived, RefusedRequest
from ikeway.ike.shape import check_critical
from ikeway.ike.states import (
    AwaitAuthRequest,
    AwaitAuthResponse,
    AwaitInitResponse,
    Deleting,
    Established,
    Gone,
    Lingering,
    State,
    Step,
)
from ikeway.model.errors import Ends, MalformedError, PeerError
from ikeway.model.time import Instant
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType

Waiting = TypeVar("Waiting", AwaitAuthResponse, Established)
Keyed = AwaitAuthRequest | AwaitAuthResponse | Established | Deleting | Lingering


def receive(state: State, received: Received, now: Instant) -> Step:
    """Take one datagram."""
    match state:
        case AwaitInitResponse():
            return _init_response(state, received, now)
        case AwaitAuthRequest() | AwaitAuthResponse() | Established() | Deleting() | Lingering():
            return _keyed(state, received, now)
        case Gone():
            return Step(state)
        case _:
            return _drop(state, state.session.sa, received, "the last message is being answered")


def _drop(state: State, sa: bytes, received: Received, reason: str) -> Step:
    return Step(state, (Report(sa, Dropped(reason, received.datagram.peer)),))


def _init_response(state: AwaitInitResponse, received: Received, now: Instant) -> Step:
    header = received.header
    is_answer = (
        header.is_response
        and header.exchange is ike_sa_init.TYPE
        and header.message_id == 0
        and not header.is_from_initiator
    )
    if not is_answer:
        return _drop(state, state.link.spi_i, received, "not an answer to our IKE_SA_INIT")
    result = ike_sa_init.conclude(state, received, now)
    if isinstance(result, Step):
        return result
    try:
        return ike_auth_initiator.request(state.connection, result, received, now)
    except PeerError as error:
        return ending.give_up(state, state.link.spi_i, state.connection.name, str(error))


def _keyed(state: Keyed, received: Received, now: Instant) -> Step:
    session = state.session
    datagram = received.datagram
    verdict = inbox.admit(session, received)
    match verdict:
        case inbox.Ignored(reason):
            return _drop(state, session.sa, received, reason)
        case inbox.Repeated(octets):
            return Step(state, (Send(datagram.local, datagram.peer, octets),))
        case inbox.Unreadable(error):
            return _bad(state, Message(received.header, ()), datagram, error, now)
        case inbox.Fresh(message):
            return _fresh(state, message, datagram, now)
        case _:
            assert_never(verdict)


def _fresh(state: Keyed, message: Message, datagram: Datagram, now: Instant) -> Step:
    what = describe(message.header, message.payloads)
    said = MessageReceived(what, datagram.peer, len(datagram.octets))
    try:
        check_critical(message)
        step = _dispatch(state, message, datagram, now)
    except PeerError as error:
        step = _bad(state, message, datagram, error, now)
    return Step(step.state, (state.session.report(said), *step.actions))


def _dispatch(state: Keyed, message: Message, datagram: Datagram, now: Instant) -> Step:
    is_request = message.header.is_request
    match state:
        case AwaitAuthRequest():
            return _auth_request(state, message, datagram, now)
        case AwaitAuthResponse():
            if is_request or message.header.exchange is not ike_auth.TYPE:
                return _not_now(state, message, datagram)
            return ike_auth_initiator.conclude(_concluded(state), message, now)
        case Established():
            heard = replace(state, heard=now, probe_at=now + state.connection.liveness)
            if is_request:
                return _request(heard, message, datagram, now)
            return informational.conclude(_concluded(heard), message)
        case Deleting():
            if is_request:
                return _request_while_deleting(state, message, datagram, now)
            return Step(Gone())
        case Lingering():
            return _not_now(state, message, datagram)


def _concluded(state: Waiting) -> Waiting:
    session = state.session
    return replace(state, session=replace(session, window=session.window.concluded()))


def _auth_request(
    state: AwaitAuthRequest, message: Message, datagram: Datagram, now: Instant
) -> Step:
    if message.header.exchange is not ike_auth.TYPE or not message.header.is_request:
        return _not_now(state, message, datagram)
    return ike_auth_responder.respond(state, message, datagram, now)


def _not_now(state: Keyed, message: Message, datagram: Datagram) -> Step:
    """Drop an authentic message that has no place in this state (§2)."""
    reason = f"{message.header.exchange.name} has no place in {type(state).__name__}"
    return Step(state, (state.session.report(Dropped(reason, datagram.peer)),))


def _request(state: Established, message: Message, datagram: Datagram, now: Instant) -> Step:
    match message.header.exchange:
        case ExchangeType.INFORMATIONAL:
            return informational.respond(state, message, datagram, now)
        case ExchangeType.CREATE_CHILD_SA:
            return create_child_sa.respond(state, message, datagram)
        case other:
            raise MalformedError(f"exchange {other.name} on an established IKE SA")


def _request_while_deleting(
    state: Deleting, message: Message, datagram: Datagram, now: Instant
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


def _bad(
    state: Keyed, message: Message, datagram: Datagram, error: PeerError, now: Instant
) -> Step:
    """Take an authentic message with an error in it (§2.21)."""
    session = state.session
    if message.header.is_response:
        return _bad_response(state, error, now)
    match state:
        case AwaitAuthRequest():
            path = datagram.local, datagram.peer
            return ike_auth_responder.reject(session, message, path, error, now)
        case Established():
            return _refuse(state, message, datagram, error, now)
        case _:
            dropped = Dropped(str(error), datagram.peer)
            return Step(state, (session.report(dropped),))


def _bad_response(state: Keyed, error: PeerError, now: Instant) -> Step:
    """Take a response that cannot be: both sides are out of step (§2.21.3)."""
    match state:
        case AwaitAuthResponse():
            return ike_auth_initiator.reject(_concluded(state), error, now)
        case Established():
            return ending.delete(_concluded(state), f"bad response: {error}", now)
        case Deleting():
            return Step(Gone())
        case _:
            return Step(state)


def _refuse(
    state: Established, message: Message, datagram: Datagram, error: PeerError, now: Instant
) -> Step:
    notify = NotifyType(error.notify)
    path = datagram.local, datagram.peer
    payloads = (Notify(notify, error.data),)
    session, actions = messages.respond(state.session, message.header, payloads, path)
    refused = session.report(RefusedRequest(notify.name, str(error), datagram.peer))
    after = replace(state, session=session)
    if error.ends is not Ends.SA:
        return Step(after, (*actions, refused))
    ended: tuple[Action, ...] = ending.give_up(
        after, session.sa, state.connection.name, str(error)
    ).actions
    return Step(ending.linger(session, now), (*actions, refused, *ended))

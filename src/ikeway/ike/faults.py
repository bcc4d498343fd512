# SPDX-License-Identifier: Apache-2.0
"""Authentic messages with an error in them: the answer, and what it ends (RFC 7296 §2.21)."""

from dataclasses import dataclass, replace
from typing import TypeAlias

from ikeway.ike import ending, messages
from ikeway.ike.eap_states import (
    AwaitEapAuth,
    AwaitEapProof,
    AwaitEapRequest,
    AwaitEapResponse,
    AwaitSecond,
    Hearing,
)
from ikeway.ike.exchanges import ike_auth_initiator, ike_auth_responder
from ikeway.ike.io import Datagram
from ikeway.ike.reports import Dropped, RefusedRequest
from ikeway.ike.states import (
    AwaitAuthRequest,
    AwaitAuthResponse,
    AwaitIntermediateRequest,
    AwaitIntermediateResponse,
    Deleting,
    Established,
    Lingering,
    Replaced,
    Step,
)
from ikeway.model.errors import ChildNotFoundError, Ends, PeerError
from ikeway.model.time import Instant
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType, ProtocolId

AsResponder: TypeAlias = AwaitAuthRequest | Hearing
"""We are to answer IKE_AUTH."""
AsInitiator: TypeAlias = AwaitAuthResponse | AwaitEapRequest | AwaitEapProof
"""We have asked IKE_AUTH."""
Keyed: TypeAlias = (
    AwaitIntermediateRequest
    | AwaitIntermediateResponse
    | AsResponder
    | AsInitiator
    | Established
    | Replaced
    | Deleting
    | Lingering
)
"""The states in which a message can be read."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A message and what is wrong with it. `message` has no payloads where they cannot be read."""

    message: Message
    datagram: Datagram
    error: PeerError

    @property
    def notify(self) -> Notify:
        """What the peer is told."""
        if isinstance(self.error, ChildNotFoundError):
            kind = NotifyType.CHILD_SA_NOT_FOUND
            return Notify(kind, protocol=self._named, spi=self.error.data)
        return Notify(NotifyType(self.error.notify), self.error.data)

    @property
    def _named(self) -> ProtocolId:
        """Return the protocol of the Child SA that the request is about (§2.25)."""
        rekeyed = self.message.notify(NotifyType.REKEY_SA)
        return ProtocolId.ESP if rekeyed is None else rekeyed.protocol

    @property
    def refused(self) -> RefusedRequest:
        """The report of the refusal."""
        return RefusedRequest(self.notify.type.name, str(self.error), self.datagram.peer)


def take(state: Keyed, fault: Fault, now: Instant) -> Step:
    """Take a message with an error in it."""
    if fault.message.header.is_response:
        return _response(state, fault, now)
    path = fault.datagram.local, fault.datagram.peer
    match state:
        case (
            AwaitIntermediateRequest()
            | AwaitAuthRequest()
            | AwaitSecond()
            | AwaitEapResponse()
            | AwaitEapAuth()
        ):
            return ike_auth_responder.reject(state.session, fault.message, path, fault.error, now)
        case Established() | Deleting() | Replaced():
            return _request(state, fault, now)
        case _:
            dropped = Dropped(str(fault.error), fault.datagram.peer)
            return Step(state, (state.session.report(dropped),))


def _response(state: Keyed, fault: Fault, now: Instant) -> Step:
    """Take a response that cannot be: both sides are out of step (§2.21.3)."""
    window = state.session.window.concluded(fault.message.header.message_id)
    session = replace(state.session, window=window)
    match state:
        case AwaitIntermediateResponse():
            return ending.give_up(state, state.connection.name, str(fault.error))
        case AwaitAuthResponse() | AwaitEapRequest() | AwaitEapProof():
            return ike_auth_initiator.reject(replace(state, session=session), fault.error, now)
        case Established():
            reason = f"bad response: {fault.error}"
            return ending.delete(replace(state, session=session), reason, now)
        case Deleting():
            return ending.farewell(replace(state, session=session), now)
        case _:
            return Step(state)


def _request(state: Established | Deleting | Replaced, fault: Fault, now: Instant) -> Step:
    """Answer with the error; a malformed request is the end of the IKE SA (§2.21.3)."""
    path = fault.datagram.local, fault.datagram.peer
    asked = fault.message.header
    session, actions = messages.respond(state.session, asked, (fault.notify,), path)
    refused = session.report(fault.refused)
    if fault.error.ends is not Ends.SA:
        return Step(replace(state, session=session), (*actions, refused))
    ended: Step = Step(state)
    if isinstance(state, Established):
        ended = ending.give_up(state, state.connection.name, str(fault.error))
    return Step(ending.linger(session, now), (*actions, refused, *ended.actions))

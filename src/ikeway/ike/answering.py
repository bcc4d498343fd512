# SPDX-License-Identifier: Apache-2.0
"""What the answer to a question does in each state. Answers that nobody waits for are dropped."""

from dataclasses import replace

from ikeway.ike import proof
from ikeway.ike.children import Child
from ikeway.ike.exchanges import (
    child_sa,
    ike_auth_initiator,
    ike_auth_responder,
    informational,
)
from ikeway.ike.io import Answer, Answered, Installed, Measured, Refused, RemoveChild, Ticket
from ikeway.ike.reports import ChildEstablished, ChildFailed
from ikeway.ike.session import Session
from ikeway.ike.states import (
    CheckingInitiator,
    CheckingResponder,
    Established,
    InstallingFirst,
    LeasingAddress,
    SigningRequest,
    SigningResponse,
    State,
    Step,
)
from ikeway.ike.tasks import Answering, DeleteChild
from ikeway.ike.waking import MEASURE
from ikeway.model.errors import PeerError
from ikeway.model.time import Instant
from ikeway.policy.proposals import esp_words
from ikeway.wire.payloads import Delete
from ikeway.wire.registry import ProtocolId

OnResponder = CheckingInitiator | LeasingAddress | SigningResponse | InstallingFirst


def answer(state: State, event: Answered, now: Instant) -> Step:
    """Take one answer."""
    ticket, given = event.ticket, event.answer
    match state:
        case SigningRequest() if _is(ticket, state.session, proof.SIGN):
            return ike_auth_initiator.signed(state, given, now)
        case CheckingResponder() if _is(ticket, state.session, proof.VERIFY):
            return _responder_checked(state, given, now)
        case CheckingInitiator() | LeasingAddress() | SigningResponse() | InstallingFirst():
            return _as_responder(state, ticket, given, now)
        case Established():
            return _established(state, ticket, given, now)
        case _:
            return Step(state)


def _is(ticket: Ticket, session: Session, purpose: str) -> bool:
    return ticket == session.ticket(purpose)


def _responder_checked(state: CheckingResponder, given: Answer, now: Instant) -> Step:
    try:
        return ike_auth_initiator.checked(state, given, now)
    except PeerError as error:
        return ike_auth_initiator.reject(state, error, now)


def _as_responder(state: OnResponder, ticket: Ticket, given: Answer, now: Instant) -> Step:
    session = state.session
    try:
        match state:
            case CheckingInitiator() if _is(ticket, session, proof.VERIFY):
                return ike_auth_responder.checked(state, given, now)
            case LeasingAddress() if _is(ticket, session, ike_auth_responder.LEASE):
                return ike_auth_responder.leased(state, given, now)
            case SigningResponse() if _is(ticket, session, proof.SIGN):
                return ike_auth_responder.signed(state, given, now)
            case InstallingFirst(outcome=outcome) if (
                outcome.child is not None
                and ticket == session.install_ticket(outcome.child.sa.spi_in)
            ):
                return ike_auth_responder.installed(state, given, now)
            case _:
                return Step(state)
    except PeerError as error:
        path = state.request.local, state.request.peer
        return ike_auth_responder.reject(session, state.request.message, path, error, now)


def _established(state: Established, ticket: Ticket, given: Answer, now: Instant) -> Step:
    if _is(ticket, state.session, MEASURE):
        return _measured(state, given, now)
    answering = state.answering
    if answering is not None and ticket == state.session.install_ticket(answering.child.sa.spi_in):
        return _answer_ready(state, answering, given, now)
    for child in state.children:
        if ticket == state.session.install_ticket(child.sa.spi_in):
            return _installed(state, child, given)
    return Step(state)


def _measured(state: Established, given: Answer, now: Instant) -> Step:
    """Packets that came in prove that the peer lives; otherwise it is asked (RFC 7296 §2.4)."""
    after = replace(state, is_measuring=False)
    if isinstance(given, Measured) and given.usage.packets_in > state.usage.packets_in:
        probe_at = now + state.connection.liveness
        return Step(replace(after, usage=given.usage, heard=now, probe_at=probe_at))
    return Step(informational.ask(after, ()))


def _answer_ready(state: Established, answering: Answering, given: Answer, now: Instant) -> Step:
    """The data plane can receive, or never will: the peer's request gets its answer."""
    name, child = state.connection.name, answering.child.sa
    if isinstance(given, Installed):
        step = child_sa.installed(state, answering, now)
        report = ChildEstablished(name, child, esp_words(child.suite))
        return step.then(state.session.report(report))
    reason = given.reason if isinstance(given, Refused) else "it could not be installed"
    failed = state.session.report(ChildFailed(name, f"the data plane says: {reason}"))
    return child_sa.refuse(state, answering).then(failed)


def _installed(state: Established, child: Child, given: Answer) -> Step:
    session, name = state.session, state.connection.name
    others = tuple(other for other in state.children if other is not child)
    if isinstance(given, Installed):
        report = ChildEstablished(name, child.sa, esp_words(child.sa.suite))
        after = replace(state, children=(*others, replace(child.installed(), replaces=0)))
        if child.replaces:
            after = replace(after, queued=(*after.queued, DeleteChild(child.replaces)))
        return Step(after, (session.report(report),))
    reason = given.reason if isinstance(given, Refused) else "it could not be installed"
    spi = child.sa.spi_in
    failed = session.report(ChildFailed(name, f"the data plane says: {reason}"))
    delete = Delete(ProtocolId.ESP, 4, (spi.to_bytes(4),))
    after = informational.ask(replace(state, children=others), (delete,))
    return Step(after, (RemoveChild(session.sa, spi), failed))

# SPDX-License-Identifier: Apache-2.0
"""What the answer to a question does in each state. Answers that nobody waits for are dropped."""

from ikeway.ike import admission, installing, liveness, paths, peer_certificates, signing, standing
from ikeway.ike.eap_states import AdmittingUser, AnsweringEap, AskingEap, SigningEap, SigningFirst
from ikeway.ike.exchanges import (
    another_auth_responder,
    eap_initiator,
    eap_responder,
    ike_auth_initiator,
    ike_auth_last_response,
    ike_auth_responder,
    ike_sa_init_initiator,
)
from ikeway.ike.io import Answered
from ikeway.ike.questions import Answer, Paths, Ticket
from ikeway.ike.session import Session
from ikeway.ike.states import (
    AwaitInitResponse,
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
from ikeway.model.errors import PeerError
from ikeway.model.time import Instant

OnInitiator = SigningRequest | CheckingResponder | AnsweringEap
OnResponder = CheckingInitiator | AdmittingUser | LeasingAddress | SigningResponse | InstallingFirst


def answer(state: State, event: Answered, now: Instant) -> Step:
    """Take one answer."""
    ticket, given = event.ticket, event.answer
    match state:
        case AwaitInitResponse():
            return ike_sa_init_initiator.solved(state, ticket, given, now)
        case SigningRequest() | CheckingResponder() | AnsweringEap():
            return _as_initiator(state, ticket, given, now)
        case SigningFirst() | SigningEap() | AskingEap():
            return _of_eap(state, ticket, given, now)
        case (
            CheckingInitiator()
            | AdmittingUser()
            | LeasingAddress()
            | SigningResponse()
            | InstallingFirst()
        ):
            return _as_responder(state, ticket, given, now)
        case Established():
            return _established(state, ticket, given, now)
        case _:
            return Step(state)


def _is(ticket: Ticket, session: Session, purpose: str) -> bool:
    return ticket == session.ticket(purpose)


def _as_initiator(state: OnInitiator, ticket: Ticket, given: Answer, now: Instant) -> Step:
    try:
        match state:
            case SigningRequest() if _is(ticket, state.session, signing.SIGN):
                return ike_auth_initiator.signed(state, given, now)
            case CheckingResponder() if _is(ticket, state.session, peer_certificates.VERIFY):
                return ike_auth_initiator.checked(state, given, now)
            case AnsweringEap() if _is(ticket, state.session, eap_initiator.TALK):
                return eap_initiator.answered(state, given, now)
            case _:
                return Step(state)
    except PeerError as error:
        return ike_auth_initiator.reject(state, error, now)


def _as_responder(state: OnResponder, ticket: Ticket, given: Answer, now: Instant) -> Step:
    session = state.session
    try:
        match state:
            case CheckingInitiator() | AdmittingUser():
                return _of_whom(state, ticket, given, now)
            case LeasingAddress() if _is(ticket, session, ike_auth_responder.LEASE):
                return ike_auth_responder.leased(state, given, now)
            case SigningResponse() if _is(ticket, session, signing.SIGN):
                return ike_auth_responder.signed(state, given, now)
            case InstallingFirst(outcome=outcome) if (
                outcome.child is not None
                and ticket == session.install_ticket(outcome.child.sa.spi_in)
            ):
                return ike_auth_last_response.installed(state, given, now)
            case _:
                return Step(state)
    except PeerError as error:
        path = state.request.local, state.request.peer
        return ike_auth_responder.reject(session, state.request.message, path, error, now)


def _of_whom(
    state: CheckingInitiator | AdmittingUser, ticket: Ticket, given: Answer, now: Instant
) -> Step:
    """Take what is known of the initiator."""
    if isinstance(state, AdmittingUser):
        is_asked = _is(ticket, state.session, admission.ADMIT)
        return ike_auth_responder.admitted(state, given, now) if is_asked else Step(state)
    is_asked = _is(ticket, state.session, peer_certificates.VERIFY)
    return ike_auth_responder.checked(state, given, now) if is_asked else Step(state)


def _of_eap(
    state: SigningFirst | SigningEap | AskingEap, ticket: Ticket, given: Answer, now: Instant
) -> Step:
    try:
        match state:
            case SigningFirst() if _is(ticket, state.session, signing.SIGN):
                return another_auth_responder.signed(state, given, now)
            case SigningEap() if _is(ticket, state.session, signing.SIGN):
                return eap_responder.signed(state, given, now)
            case AskingEap() if _is(ticket, state.session, eap_responder.TALK):
                return eap_responder.answered(state, given, now)
            case _:
                return Step(state)
    except PeerError as error:
        request = state.applicant.request
        path = request.local, request.peer
        return ike_auth_responder.reject(state.session, request.message, path, error, now)


def _established(state: Established, ticket: Ticket, given: Answer, now: Instant) -> Step:
    if _is(ticket, state.session, liveness.MEASURE):
        return liveness.measured(state, given, now)
    if _is(ticket, state.session, standing.ASK):
        return standing.answered(state, given, now)
    if isinstance(given, Paths):
        return _found(state, ticket, given, now)
    for answering in state.answering:
        if ticket == state.session.install_ticket(answering.child.sa.spi_in):
            return installing.ready(state, answering, given, now)
    for child in state.children:
        if ticket == state.session.install_ticket(child.sa.spi_in):
            return installing.answered(state, child, given)
    return Step(state)


def _found(state: Established, ticket: Ticket, given: Paths, now: Instant) -> Step:
    if _is(ticket, state.session, paths.LOOK):
        return paths.found(state, given, now)
    return paths.probe(state, given) if _is(ticket, state.session, paths.PROBE) else Step(state)

# SPDX-License-Identifier: Apache-2.0
"""EAP in IKE_AUTH as its responder (RFC 7296 §2.16, RFC 5998).

We prove ourselves first. Policy goes by who EAP has proven, never by IDi.
"""

from dataclasses import replace
from typing import Final

from ikeway.auth.eap import identity
from ikeway.auth.eap.methods import may_stand_alone
from ikeway.auth.eap.progress import Failure, Progress, Success
from ikeway.ike import ending, messages, proof, signing
from ikeway.ike.auth_request import AuthRequest
from ikeway.ike.eap_states import (
    Applicant,
    AskingEap,
    AwaitEapAuth,
    AwaitEapResponse,
    Hearing,
    SigningEap,
)
from ikeway.ike.exchanges import ike_auth
from ikeway.ike.io import Ask, Datagram
from ikeway.ike.questions import Answer, Converse, Refused, Signed, Visit
from ikeway.ike.reports import RefusedRequest
from ikeway.ike.session import Session, Transcript
from ikeway.ike.shape import need
from ikeway.ike.states import Step
from ikeway.ike.timers import EAP, HALF_OPEN
from ikeway.model.errors import AuthenticationError
from ikeway.model.identity import Identity
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection, Proof
from ikeway.policy.credentials import identities_equal
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Eap, IdR
from ikeway.wire.registry import NotifyType

TALK = "eap"
RELAYED: Final = "radius"
"""The name of whatever method a RADIUS server likes, which does not go with others."""
SHOWS_CERTIFICATE: Final = frozenset({"tls"})
"""Methods in which the peer's certificate may have been revoked."""


def respond(
    session: Session,
    transcript: Transcript,
    request: AuthRequest,
    now: Instant,
) -> Step:
    """Prove ourselves and begin EAP with an initiator that sent no AUTH.

    Raises:
        AuthenticationError: we cannot prove ourselves.
    """
    connection = request.connection
    applicant = Applicant(request, request.alternatives, now + (EAP.length or 0.0))
    if connection.local_auth.eap_method:
        return _ask(session, transcript, applicant, (our_id(connection),), b"", now)
    ours = proof.claim(session, transcript, our_id(connection), is_local=True)
    scheme, ask = signing.ask(session, connection, ours)
    expires = _expires(applicant, now)
    return Step(SigningEap(session, transcript, applicant, scheme, expires), (ask,))


def begin(session: Session, transcript: Transcript, applicant: Applicant, now: Instant) -> Step:
    """Begin EAP with an initiator to which we have proven ourselves."""
    return _ask(session, transcript, applicant, (), b"", now)


def choose(
    candidates: tuple[Connection, ...], id_i: Identity, message: Message
) -> tuple[Connection, tuple[Connection, ...]]:
    """Return what to show an initiator without AUTH, and to what it may turn out to belong.

    All of that has the same identity and proof of ours. IDi proves nothing yet, and only decides
    whose methods are offered.

    Raises:
        AuthenticationError: no connection allows EAP with it.
    """
    id_r = message.one(IdR)
    may_be_alone = message.notify(NotifyType.EAP_ONLY_AUTHENTICATION) is not None
    fitting = [
        connection
        for connection in candidates
        if _methods(connection)
        and (may_be_alone or not connection.local_auth.eap_method)
        and (id_r is None or identities_equal(connection.local_id, id_r.identity))
    ]
    if not fitting:
        raise AuthenticationError("the initiator wants EAP, which no connection allows")
    first = likely(tuple(fitting), id_i)
    return first, tuple(one for one in fitting if _face(one) == _face(first))


def _face(connection: Connection) -> tuple[Identity, str]:
    """Return what an initiator sees of us before EAP: who we are, and by what; alone if by EAP."""
    own = connection.local_auth
    return connection.local_id, "" if own.eap_method else own.value


def likely(candidates: tuple[Connection, ...], id_i: Identity) -> Connection:
    """Return the connection that an initiator may well be for, as long as IDi is all we know."""
    return min(candidates, key=lambda one: (not _is_named(one, id_i), one.peer_id.rank))


def _is_named(connection: Connection, id_i: Identity) -> bool:
    user = identity.of_user(identity.from_idi(id_i))
    return connection.peer_id.matches(id_i) or connection.peer_id.matches(user)


def _methods(connection: Connection, first: Proof | None = None) -> tuple[str, ...]:
    """Return the methods to offer; those that prove us too where nothing else does (RFC 5998).

    Where they come after a first proof, they are those that may follow it (RFC 4739).
    """
    if first is not None:
        return connection.eap_methods_after(first)
    is_alone = bool(connection.local_auth.eap_method)
    return tuple(name for name in connection.eap_methods if not is_alone or may_stand_alone(name))


def signed(state: SigningEap, answer: Answer, now: Instant) -> Step:
    """Begin EAP behind our signature.

    Raises:
        AuthenticationError: we cannot prove our identity; the peer hears no details.
    """
    if not isinstance(answer, Signed):
        reason = answer.reason if isinstance(answer, Refused) else "no signature"
        raise AuthenticationError(f"cannot sign: {reason}")
    connection, session = state.applicant.request.connection, state.session
    shown = (our_id(connection), *signing.proof(session, state.scheme, answer))
    return _ask(session, state.transcript, state.applicant, shown, b"", now)


def heard(state: AwaitEapResponse, message: Message, datagram: Datagram, now: Instant) -> Step:
    """Take the initiator's next EAP packet.

    Raises:
        PeerError: there is none.
    """
    ike_auth.EAP_ROUND.check(message)
    asked = Message(message.header, state.applicant.request.message.payloads)
    request = replace(
        state.applicant.request, message=asked, local=datagram.local, peer=datagram.peer
    )
    applicant = replace(state.applicant, request=request)
    packet = need(message, Eap).data
    return _ask(state.session, state.transcript, applicant, (), packet, now)


def _ask(
    session: Session,
    transcript: Transcript,
    applicant: Applicant,
    shown: tuple[Body, ...],
    packet: bytes,
    now: Instant,
) -> Step:
    request = applicant.request
    name = _name(request)
    visit = Visit(request.connection.name, request.local, request.peer)
    question = Converse(
        True,
        _offered(applicant, name),
        name,
        packet,
        revocation=request.connection.revocation,
        visit=visit,
    )
    waiting = AskingEap(session, transcript, applicant, shown, _expires(applicant, now))
    return Step(waiting, (Ask(session.ticket(TALK), question),))


def _name(request: AuthRequest) -> bytes:
    """Return who the initiator says it is; empty where it is to be asked."""
    is_asked = request.connection.ask_eap_identity
    return b"" if is_asked else identity.surely_of_user(request.id_i)


def _offered(applicant: Applicant, name: bytes) -> tuple[str, ...]:
    """Return the methods of all connections that it may be for, those of the likely one first.

    One that is asked for its name may be for any. What proves it has to be right for that one.
    """
    id_i = applicant.request.id_i
    named = [one for one in applicant.candidates if name and _is_named(one, id_i)]
    others = sorted(named or applicant.candidates, key=lambda one: one.peer_id.rank)
    found = [
        method
        for one in (applicant.request.connection, *others)
        for method in _methods(one, applicant.first)
    ]
    if found[0] == RELAYED:
        return (RELAYED,)
    return tuple(dict.fromkeys(method for method in found if method != RELAYED))


def _expires(applicant: Applicant, now: Instant) -> Instant:
    return min(now + (HALF_OPEN.length or 0.0), applicant.until)


def our_id(connection: Connection) -> IdR:
    """Return the IDr that a connection shows."""
    return IdR(connection.local_id.type, connection.local_id.data)


def answered(state: AskingEap, answer: Answer, now: Instant) -> Step:
    """Send the next EAP packet.

    Raises:
        AuthenticationError: there is none, or policy does not know who has been proven.
    """
    if not isinstance(answer, Progress) or answer.reply is None:
        reason = answer.reason if isinstance(answer, Refused) else "no answer"
        raise AuthenticationError(f"EAP: {reason}")
    eap = Eap(answer.reply)
    match answer.outcome:
        case Success():
            return _succeed(state, answer.outcome, eap, now)
        case Failure(reason):
            return _fail(state, reason, eap, now)
        case None:
            session, step = _say(state, eap)
            expires = _expires(state.applicant, now)
            waiting = AwaitEapResponse(session, state.transcript, state.applicant, expires)
            return replace(step, state=waiting)


def _succeed(state: AskingEap, success: Success, eap: Eap, now: Instant) -> Step:
    request = state.applicant.request
    user = identity.of_user(success.identity)
    connection = _connection(state.applicant, user, success)
    keys = proof.eap_keys(state.session, success.msk)
    framed, method = success.addresses, success.method
    proven = replace(
        request, id_i=user, connection=connection, keys=keys, method=method, framed=framed
    )
    session, step = _say(state, eap)
    waiting = AwaitEapAuth(session, state.transcript, proven, _expires(state.applicant, now))
    return replace(step, state=waiting)


def _connection(applicant: Applicant, user: Identity, success: Success) -> Connection:
    """Return the connection for who has been proven, an exact peer or a group before others.

    A certificate was checked as the likely one wants: others that trust less or more stay closed.
    """
    method, groups = success.method, success.groups
    looked = applicant.request.connection.revocation
    fitting = [
        one
        for one in applicant.candidates
        if method in _methods(one, applicant.first)
        and one.peer_id.matches(user)
        and one.takes(groups)
        and (one.revocation is looked or method not in SHOWS_CERTIFICATE)
    ]
    if not fitting:
        among = f" in {', '.join(groups)}" if groups else ""
        raise AuthenticationError(f"no connection is for {user}{among} by eap-{method}")
    return min(fitting, key=lambda one: (one.peer_id.rank, not one.groups))


def _fail(state: AskingEap, reason: str, eap: Eap, now: Instant) -> Step:
    """Say EAP Failure, and let the SA go once the peer has surely heard it."""
    session, step = _say(state, eap)
    peer = state.applicant.request.peer
    refused = session.report(RefusedRequest(NotifyType.AUTHENTICATION_FAILED.name, reason, peer))
    closed = ending.closed(session.sa, "", reason, is_failure=True)
    return Step(ending.linger(session, now), (*step.actions, refused, closed))


def _say(state: AskingEap, eap: Eap) -> tuple[Session, Step]:
    request = state.applicant.request
    payloads = (*state.proof, eap)
    path = request.local, request.peer
    session, actions = messages.respond(state.session, request.message.header, payloads, path)
    return session, Step(state, actions)


def end(state: Hearing, message: Message, datagram: Datagram, now: Instant) -> Step:
    """Let an initiator go that wants no more, such as one that does not believe us."""
    path = datagram.local, datagram.peer
    session, actions = messages.respond(state.session, message.header, (), path)
    closed = ending.closed(session.sa, "", "the peer ended EAP", is_failure=True)
    return Step(ending.linger(session, now), (*actions, closed))

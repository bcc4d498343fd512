# SPDX-License-Identifier: Apache-2.0
"""IKE_AUTH as its responder (RFC 7296 §1.2, §2.15, §2.19, §2.21.2)."""

from dataclasses import replace

from ikeway.ike import (
    admission,
    certificate_requests,
    configuration,
    ending,
    first_child,
    messages,
    null_auth,
    peer_certificates,
    ppk,
    proof,
    public_keys,
    redirection,
    signing,
)
from ikeway.ike.admission import Welcome
from ikeway.ike.auth_request import AuthRequest
from ikeway.ike.eap_states import AdmittingUser, AwaitEapAuth
from ikeway.ike.exchanges import another_auth_responder, eap_responder, ike_auth
from ikeway.ike.exchanges import ike_auth_last_response as last
from ikeway.ike.features import mobike, multiple_auth, redirect
from ikeway.ike.io import Ask, Datagram
from ikeway.ike.questions import Answer, Lease, Leased, Refused, Signed, Trusted
from ikeway.ike.reports import RefusedRequest
from ikeway.ike.session import Session, Transcript
from ikeway.ike.shape import need
from ikeway.ike.states import (
    AwaitAuthRequest,
    CheckingInitiator,
    ChildOutcome,
    LeasingAddress,
    SigningResponse,
    Step,
)
from ikeway.ike.tickets import Past
from ikeway.ike.vouched import Standing
from ikeway.model.address import Endpoint
from ikeway.model.errors import AuthenticationError, MalformedError, PeerError
from ikeway.model.identity import Identity
from ikeway.model.time import Instant
from ikeway.policy.connection import Childless, Connection, Proof
from ikeway.policy.credentials import identities_equal
from ikeway.wire.message import Message
from ikeway.wire.payloads import Authentication, Certificate, Configuration, IdI, IdR, Notify
from ikeway.wire.registry import NotifyType

LEASE = "lease"


def respond(state: AwaitAuthRequest, message: Message, datagram: Datagram, now: Instant) -> Step:
    """Take the request: which connection is it, and can the initiator prove its identity?

    Raises:
        PeerError: no connection fits, or it cannot.
    """
    ike_auth.REQUEST.check(message)
    auth = message.one(Authentication)
    need(message, IdI).identity.check()
    candidates = tuple[Connection, ...]()
    past = state.session.resumed
    if past is not None:
        return _resume(state, past, message, datagram, now)
    id_i = null_auth.identity(auth, need(message, IdI).identity)
    if auth is None:
        connection, candidates = eap_responder.choose(state.candidates, id_i, message)
    elif multiple_auth.another_follows(message):
        kinds, id_r = proof.kinds(auth, message), message.one(IdR)
        candidates = another_auth_responder.expect(state.candidates, id_i, id_r, kinds)
        connection = candidates[0]
    else:
        kinds = proof.kinds(auth, message)
        connection = _connection(state.candidates, id_i, message.one(IdR), kinds)
    if connection.does_mobike:
        mobike.check_no_nats(message, datagram.peer, datagram.local)
    session = ike_auth.moved(state.session, datagram.local, datagram.peer)
    session = ike_auth.sized(session, connection)
    session = replace(session, wishes=certificate_requests.learn(session.env, message))
    if auth is not None:
        session, message = ppk.accept(session, connection, message)
        auth = need(message, Authentication)
    path = datagram.local, datagram.peer
    request = AuthRequest(message, *path, id_i, connection, alternatives=candidates)
    if auth is None:
        return eap_responder.respond(session, state.transcript, request, now)
    if not candidates:
        _check_childless(request)
    return _check(session, state.transcript, request, auth, now)


def _check(
    session: Session,
    transcript: Transcript,
    request: AuthRequest,
    auth: Authentication,
    now: Instant,
) -> Step:
    """Check AUTH, at once or when its certificate is known; of two proofs it is the first."""
    connection, message = request.connection, request.message
    accepted = connection.peer_firsts if request.alternatives else connection.peer_auth
    kind = proof.kind(auth, message, accepted)
    if kind is Proof.CERTIFICATE:
        ask = peer_certificates.ask(session, connection, message, "client")
        return Step(CheckingInitiator(session, transcript, request, last.expires(now)), (ask,))
    theirs = proof.claim(session, transcript, need(message, IdI), is_local=False)
    if kind is Proof.NULL:
        null_auth.check(session, theirs, auth)
        return _authentic(session, transcript, request, now)
    if kind is Proof.PUBKEY:
        public_keys.check(session, connection, theirs, request.id_i, message)
    else:
        proof.check_psk(session, theirs, auth, (connection.local_id, request.id_i))
    return _authentic(session, transcript, request, now)


def _check_childless(request: AuthRequest) -> None:
    is_childless = not first_child.wants_child(request.message)
    if is_childless and request.connection.childless is Childless.NEVER:
        raise MalformedError("no Child SA is asked for, which `childless` does not allow")


def respond_after_eap(
    state: AwaitEapAuth, message: Message, datagram: Datagram, now: Instant
) -> Step:
    """Take the AUTH of an initiator that EAP has proven: has it the same key (§2.16)?

    Raises:
        PeerError: it has not.
    """
    ike_auth.LAST_REQUEST.check(message)
    first, session, keys = state.request, state.session, state.request.keys
    if keys is None:
        raise AuthenticationError("EAP made no key")
    if first.device is None:
        session, message = ppk.accept(session, first.connection, message)
    if first.connection.does_mobike:
        mobike.check_no_nats(first.message, first.peer, first.local)
    if multiple_auth.another_follows(message):
        raise AuthenticationError("the peer has more proofs than the connection takes")
    theirs = proof.claim(session, state.transcript, need(first.message, IdI), is_local=False)
    proof.check_eap(session, theirs, need(message, Authentication), keys)
    both = Message(message.header, first.message.payloads + message.payloads)
    request = replace(first, message=both, local=datagram.local, peer=datagram.peer)
    _check_childless(request)
    session = ike_auth.moved(session, datagram.local, datagram.peer)
    return _authentic(ike_auth.sized(session, request.connection), state.transcript, request, now)


def _resume(
    state: AwaitAuthRequest, past: Past, message: Message, datagram: Datagram, now: Instant
) -> Step:
    """Take the request of one who has presented a ticket (RFC 5723 §4.3.3)."""
    (connection,) = state.candidates
    id_r = message.one(IdR)
    if id_r is not None and id_r.identity != past.id_r:
        raise AuthenticationError(f"the ticket is of {past.id_r}, not of {id_r.identity}")
    if connection.does_mobike:
        mobike.check_no_nats(message, datagram.peer, datagram.local)
    request = AuthRequest(message, datagram.local, datagram.peer, past.id_i, connection)
    _check_childless(request)
    session = ike_auth.moved(state.session, datagram.local, datagram.peer)
    session = ike_auth.sized(session, connection)
    _check_resumed(session, past, state.transcript, message)
    return _authentic(session, state.transcript, request, now)


def _check_resumed(
    session: Session, past: Past, transcript: Transcript, message: Message
) -> proof.Covers:
    """Check that who resumes is who the ticket was given to, and return what its AUTH covers."""
    if message.one(Certificate) is not None:
        raise AuthenticationError("a certificate where an IKE SA is resumed")
    theirs = proof.claim(session, transcript, need(message, IdI), is_local=False)
    ids = need(message, IdI).identity, past.said
    return proof.check_resumed(session, theirs, need(message, Authentication), ids)


def _connection(
    candidates: tuple[Connection, ...], id_i: Identity, id_r: IdR | None, kinds: tuple[Proof, ...]
) -> Connection:
    """Return the connection that fits the identities best: an exact peer before a wildcard."""
    for kind in kinds:
        fitting = [
            connection
            for connection in candidates
            if connection.peer_id.matches(id_i)
            and kind in connection.peer_auth
            and (id_r is None or identities_equal(connection.local_id, id_r.identity))
        ]
        if fitting:
            return min(fitting, key=lambda connection: connection.peer_id.rank)
    asked = f" asking for {id_r.identity}" if id_r else ""
    by = " or ".join(kind.value for kind in kinds)
    raise AuthenticationError(f"no connection is for {id_i} by {by}{asked}")


def checked(state: CheckingInitiator, answer: Answer, now: Instant) -> Step:
    """Go on with what is known of the initiator's certificate.

    Raises:
        PeerError: it is not to be believed, is for somebody else, or its key did not sign.
    """
    if not isinstance(answer, Trusted):
        reason = answer.reason if isinstance(answer, Refused) else "it could not be checked"
        raise AuthenticationError(f"the peer's certificate is refused: {reason}")
    request, session = state.request, state.session
    peer_certificates.check_identity(request.id_i, answer.certificate)
    theirs = proof.claim(session, state.transcript, need(request.message, IdI), is_local=False)
    auth = need(request.message, Authentication)
    peer_certificates.check_signature(session, request.connection, theirs, auth, answer.certificate)
    question = peer_certificates.question_of(session, request.connection, request.message, "client")
    vouched = replace(request, standing=Standing.of(question, answer, now))
    return _authentic(session, state.transcript, vouched, now)


def _authentic(
    session: Session, transcript: Transcript, request: AuthRequest, now: Instant
) -> Step:
    """Ask about a user who is authentic: it may have been taken away since it was proven.

    A device whose user is not proven yet has none of it: it only hears who we are.
    """
    if request.alternatives and request.keys is None:
        return another_auth_responder.prove(session, transcript, request, now)
    past, by_eap = session.resumed, (request.method, 0.0)
    proven = by_eap if past is None else (past.proof.eap_method, now - past.proven)
    question = admission.question(request.id_i, *proven)
    if question is None:
        return _enter(session, transcript, request, now)
    ask = Ask(session.ticket(admission.ADMIT), question)
    return Step(AdmittingUser(session, transcript, request, last.expires(now)), (ask,))


def admitted(state: AdmittingUser, answer: Answer, now: Instant) -> Step:
    """Let a user in of whom nothing is known that speaks against it.

    Raises:
        AuthenticationError: there is.
    """
    if not isinstance(answer, Welcome):
        reason = answer.reason if isinstance(answer, Refused) else "nobody knows"
        raise AuthenticationError(f"{state.request.id_i} may not come in: {reason}")
    return _enter(state.session, state.transcript, state.request, now)


def _enter(session: Session, transcript: Transcript, request: AuthRequest, now: Instant) -> Step:
    """Lease addresses if there are any to lease; one that is to go elsewhere needs none."""
    gateway = redirection.elsewhere(session, request.connection, request.local.address)
    if gateway is not None:
        named = (Notify(NotifyType.REDIRECT, redirect.data(gateway)),)
        sent = ChildOutcome(named, None, (), f"it is sent to {gateway}")
        return _prove_for(session, transcript, request, sent, now)
    versions = configuration.wanted(request.message.one(Configuration))
    pool, framed = request.connection.pool, request.framed
    if not versions or (pool is None and not framed):
        return _decide(session, transcript, request, None, now)
    ask = Ask(session.ticket(LEASE), Lease(pool, request.id_i, versions, framed))
    return Step(LeasingAddress(session, transcript, request, last.expires(now)), (ask,))


def leased(state: LeasingAddress, answer: Answer, now: Instant) -> Step:
    """Go on with the addresses; a pool that is empty costs the Child SA only (§3.15.4)."""
    found = answer if isinstance(answer, Leased) else Leased(())
    return _decide(state.session, state.transcript, state.request, found, now)


def _decide(
    session: Session,
    transcript: Transcript,
    request: AuthRequest,
    found: Leased | None,
    now: Instant,
) -> Step:
    """Settle the Child SA, then prove who we are."""
    outcome = first_child.respond(session, transcript, request, found)
    return _prove_for(session, transcript, request, outcome, now)


def _prove_for(
    session: Session,
    transcript: Transcript,
    request: AuthRequest,
    outcome: ChildOutcome,
    now: Instant,
) -> Step:
    """Prove who we are, in the way that the request calls for."""
    connection = request.connection
    ours = proof.claim(session, transcript, last.identity(connection), is_local=True)
    if request.keys is not None:
        auth = proof.eap_proof(session, ours, request.keys)
        return last.prove(session, request, outcome, auth, now)
    if session.resumed is not None:
        covers = _check_resumed(session, session.resumed, transcript, request.message)
        return last.prove(
            session, request, outcome, proof.resumed_proof(session, ours, covers), now
        )
    if connection.local_auth is Proof.NULL:
        return last.prove(session, request, outcome, null_auth.prove(session, ours), now)
    if connection.local_auth is Proof.PSK:
        secret = proof.find_psk(session, connection.local_id, request.id_i)
        return last.prove(session, request, outcome, proof.psk_proof(session, ours, secret), now)
    scheme, ask = signing.ask(session, connection, ours)
    return Step(SigningResponse(session, request, outcome, scheme, last.expires(now)), (ask,))


def signed(state: SigningResponse, answer: Answer, now: Instant) -> Step:
    """Go on with our signature.

    Raises:
        PeerError: we cannot prove our identity; the peer hears no details.
    """
    if not isinstance(answer, Signed):
        reason = answer.reason if isinstance(answer, Refused) else "no signature"
        raise AuthenticationError(f"cannot sign: {reason}")
    auth = signing.proof(state.session, state.scheme, answer)
    return last.prove(state.session, state.request, state.outcome, auth, now)


def reject(
    session: Session,
    message: Message,
    path: tuple[Endpoint, Endpoint],
    error: PeerError,
    now: Instant,
) -> Step:
    """Answer with the error alone and let the SA go (§2.21.2). `path` is local and peer."""
    notify = NotifyType(error.notify or NotifyType.AUTHENTICATION_FAILED)
    payloads = (Notify(notify, error.data),)
    after, actions = messages.respond(session, message.header, payloads, path)
    refused = session.report(RefusedRequest(notify.name, str(error), path[1]))
    closed = ending.closed(session.sa, "", str(error), is_failure=True)
    return Step(ending.linger(after, now), (*actions, refused, closed))

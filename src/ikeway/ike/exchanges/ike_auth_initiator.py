# SPDX-License-Identifier: Apache-2.0
"""IKE_AUTH as its initiator (RFC 7296 §1.2, §2.15, §2.21.2)."""

from dataclasses import replace
from typing import TypeAlias

from ikeway.ike import (
    certificate_requests,
    crash_detection,
    ending,
    first_child,
    messages,
    mobility,
    null_auth,
    peer_certificates,
    ppk,
    proof,
    public_keys,
    redirection,
    resumption,
    siblings,
    signing,
    wanted,
    window_size,
)
from ikeway.ike.children import Wish
from ikeway.ike.eap_states import AnsweringEap, AwaitEapProof, AwaitEapRequest, Responder
from ikeway.ike.exchanges import (
    another_auth_initiator,
    eap_initiator,
    ike_auth,
    informational,
)
from ikeway.ike.exchanges.ike_sa_init_initiator import Agreement
from ikeway.ike.features import auth_methods, message_id_sync, multiple_auth
from ikeway.ike.io import Action, FollowRedirect, InstallChild
from ikeway.ike.questions import Answer, Refused, Signed, Trusted
from ikeway.ike.reports import ChildFailed
from ikeway.ike.session import Session
from ikeway.ike.shape import need
from ikeway.ike.states import AwaitAuthResponse, CheckingResponder, SigningRequest, Step
from ikeway.ike.tasks import CreateChild, End
from ikeway.ike.timers import HALF_OPEN, INSTALL
from ikeway.ike.trail import Trail
from ikeway.ike.vouched import Standing
from ikeway.model.errors import AuthenticationError, PeerError
from ikeway.model.identity import Identity
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection, Gateway, Proof
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Authentication, Delete, IdI, IdR, Notify
from ikeway.wire.registry import NotifyType, ProtocolId

INSTALLING = "install"
_NO_STANDING = Standing()
_NOT_BEFORE_EAP = {Proof.PSK, Proof.NULL}
"""What does not prove a responder well enough to say anything of EAP to it (RFC 7619 §2)."""

Asking: TypeAlias = AwaitAuthResponse | CheckingResponder | AwaitEapProof
"""The states in which the responder has answered IKE_AUTH."""


def request(connection: Connection, agreement: Agreement, wish: Wish, now: Instant) -> Step:
    """Ask IKE_AUTH with the keys that IKE_SA_INIT gave; a signature is asked for first.

    Raises:
        PeerError: we cannot prove our identity to that peer.
    """
    session, transcript = agreement.session, agreement.transcript
    first_child.starts_without(session, connection)
    child = first_child.draft(session.env, connection, session.link, wish)
    another_auth_initiator.check(session, connection)
    unsent = AwaitAuthResponse(session, transcript, connection, child)
    ours = proof.claim(session, transcript, _identity(connection), is_local=True)
    if session.resumed is not None:
        step = _send(unsent, proof.resumed_proof(session, ours), now)
        return Step(step.state, agreement.reports + step.actions)
    if connection.local_auth.eap_method:
        step = _send(unsent, (), now)
        return Step(step.state, agreement.reports + step.actions)
    session = ppk.use(session, connection)
    unsent = replace(unsent, session=session)
    if connection.local_auth is Proof.NULL:
        optional = ppk.may_do_without(session, connection)
        fallback = _data(null_auth.prove(session, ours)) if optional else b""
        step = _send(unsent, null_auth.prove(session, _claim(session, unsent)), now, fallback)
        return Step(step.state, agreement.reports + step.actions)
    if connection.local_auth is not Proof.PSK:
        # Where the peer may do without our PPK, the signature without it comes first.
        without = ppk.may_do_without(session, connection)
        first = ours if without else _claim(session, unsent)
        scheme, ask = signing.ask(session, connection, first)
        expires = now + (HALF_OPEN.length or 0.0)
        waiting = SigningRequest(session, transcript, connection, child, scheme, expires)
        return Step(waiting, (*agreement.reports, ask))
    secret = proof.find_psk(session, connection.local_id, _peer_id(connection))
    fallback = b""
    if ppk.may_do_without(session, connection):
        fallback = _data(proof.psk_proof(session, ours, secret))
    auth = proof.psk_proof(session, _claim(session, unsent), secret)
    step = _send(unsent, auth, now, fallback)
    return Step(step.state, agreement.reports + step.actions)


def _claim(session: Session, state: AwaitAuthResponse | SigningRequest) -> proof.Claim:
    """Return what our AUTH covers with the keys of a session."""
    return proof.claim(session, state.transcript, _identity(state.connection), is_local=True)


def _data(auth: tuple[Body, ...]) -> bytes:
    """Return the Authentication Data of a proof."""
    return b"".join(body.data for body in auth if isinstance(body, Authentication))


def _identity(connection: Connection) -> IdI:
    return IdI(connection.local_id.type, connection.local_id.data)


def _peer_id(connection: Connection) -> Identity:
    """Return the identity that we look our key up for, before the peer says its own."""
    return connection.peer_id.exact or Identity.parse(connection.peer_id.text)


def signed(state: SigningRequest, answer: Answer, now: Instant) -> Step:
    """Send the request that has waited for its signature."""
    session, connection = state.session, state.connection
    if not isinstance(answer, Signed):
        reason = answer.reason if isinstance(answer, Refused) else "no signature"
        return ending.give_up(state, connection.name, f"cannot sign: {reason}")
    auth = signing.proof(session, state.scheme, answer)
    if ppk.may_do_without(session, connection) and not state.without_ppk:
        scheme, ask = signing.ask(session, connection, _claim(session, state))
        return Step(replace(state, scheme=scheme, without_ppk=_data(auth)), (ask,))
    unsent = AwaitAuthResponse(session, state.transcript, connection, state.child)
    return _send(unsent, auth, now, state.without_ppk)


def _send(
    state: AwaitAuthResponse, auth: tuple[Body, ...], now: Instant, without_ppk: bytes = b""
) -> Step:
    connection, session = state.connection, state.session
    past = session.resumed
    wanted = past.id_r if past else connection.peer_id.exact
    *certificates, authentication = auth or (None,)
    payloads: tuple[Body, ...] = (
        _identity(connection),
        *message_id_sync.offer(),
        *certificates,
        *_initial_contact(connection),
        *(() if past else certificate_requests.ask(session.env, (connection,))),
        *((IdR(wanted.type, wanted.data),) if wanted else ()),
        *((authentication,) if authentication else eap_initiator.announce(connection)),
        *(() if past else multiple_auth.first_of_two(connection)),
        *(() if past else auth_methods.announce((connection,))),
        *resumption.announce(connection),
        *crash_detection.announce(session.env, session.link),
        *_wanted(state),
        *window_size.announce(connection),
        *mobility.announce(session, connection, (session.link.local, session.link.peer)),
        *ppk.said(session, without_ppk),
    )
    after, actions = messages.request(
        session, ike_auth.TYPE, payloads, connection.retransmission, now
    )
    return Step(replace(state, session=after), actions)


def _initial_contact(connection: Connection) -> tuple[Notify, ...]:
    """Return the notify; who proves nothing cannot mean anybody's IKE SAs (RFC 7619 §2.3)."""
    is_said = connection.initial_contact and connection.local_auth is not Proof.NULL
    return (Notify(NotifyType.INITIAL_CONTACT),) if is_said else ()


def _wanted(state: AwaitAuthResponse) -> tuple[Body, ...]:
    if first_child.starts_without(state.session, state.connection):
        return first_child.addresses(state.connection)
    return first_child.request(state.connection, state.child)


def conclude(state: AwaitAuthResponse, reply: Message, now: Instant) -> Step:
    """Take the response: who answers, and can it prove it?

    Raises:
        PeerError: it cannot, or the response is not as it has to be.
    """
    refusal = ike_auth.refusal(reply)
    if refusal is not None:
        return ending.give_up(state, state.connection.name, f"the peer says {refusal}")
    past = state.session.resumed
    wants_eap = past is None and bool(state.connection.local_auth.eap_method)
    (ike_auth.EAP_RESPONSE if wants_eap else ike_auth.RESPONSE).check(reply)
    state = replace(state, session=ppk.concluded(state.session, state.connection, reply))
    need(reply, IdR).identity.check()
    identity = null_auth.identity(reply.one(Authentication), need(reply, IdR).identity)
    connection = state.connection
    if not connection.peer_id.matches(identity):
        raise AuthenticationError(f"the peer is {identity}, expected was {connection.peer_id}")
    if wants_eap and reply.one(Authentication) is None:
        return eap_initiator.begin(state, Responder(need(reply, IdR), None), reply, now)
    auth = need(reply, Authentication)
    if past is not None:
        theirs = proof.claim(state.session, state.transcript, need(reply, IdR), is_local=False)
        proof.check_resumed(state.session, theirs, auth, (identity, past.id_r))
        return _establish(state, identity, reply, now)
    accepted = tuple(
        each for each in connection.peer_auth if each not in _NOT_BEFORE_EAP or not wants_eap
    )
    kind = proof.kind(auth, reply, accepted)
    if kind is Proof.CERTIFICATE:
        ask = peer_certificates.ask(state.session, connection, reply, "server")
        expires = now + (HALF_OPEN.length or 0.0)
        waiting = CheckingResponder(
            state.session, state.transcript, connection, state.child, reply, expires
        )
        return Step(waiting, (ask,))
    theirs = proof.claim(state.session, state.transcript, need(reply, IdR), is_local=False)
    if kind is Proof.NULL:
        null_auth.check(state.session, theirs, auth)
        return _proven(state, Responder(IdR(identity.type, b""), None), reply, now)
    if kind is Proof.PUBKEY:
        public_keys.check(state.session, connection, theirs, identity, reply)
    else:
        proof.check_psk(state.session, theirs, auth, (connection.local_id, identity))
    return _proven(state, Responder(need(reply, IdR), _NO_STANDING), reply, now)


def checked(state: CheckingResponder, answer: Answer, now: Instant) -> Step:
    """Go on with what is known of the responder's certificate.

    Raises:
        PeerError: it is not to be believed, is for somebody else, or its key did not sign.
    """
    if not isinstance(answer, Trusted):
        reason = answer.reason if isinstance(answer, Refused) else "it could not be checked"
        raise AuthenticationError(f"the peer's certificate is refused: {reason}")
    identity = need(state.reply, IdR)
    peer_certificates.check_identity(identity.identity, answer.certificate)
    session, connection = state.session, state.connection
    theirs = proof.claim(session, state.transcript, identity, is_local=False)
    auth = need(state.reply, Authentication)
    peer_certificates.check_signature(session, connection, theirs, auth, answer.certificate)
    question = peer_certificates.question_of(session, connection, state.reply, "server")
    return _proven(state, Responder(identity, Standing.of(question, answer, now)), state.reply, now)


def _proven(
    state: AwaitAuthResponse | CheckingResponder, responder: Responder, reply: Message, now: Instant
) -> Step:
    """Go on with a responder that knows us by one proof, which may be the first of two."""
    if state.connection.local_auth.eap_method:
        return eap_initiator.begin(state, responder, reply, now)
    another_auth_initiator.check_reply(state.connection, reply)
    if state.connection.local_then is not None:
        if responder.standing is None:
            raise AuthenticationError("the peer wants EAP before it has proven itself")
        return another_auth_initiator.follow(state, responder, now)
    standing = responder.standing or _NO_STANDING
    return _establish(state, responder.id_r.identity, reply, now, standing)


def conclude_eap(state: AwaitEapProof, reply: Message, now: Instant) -> Step:
    """Take the response to our AUTH after EAP: has the responder the same key?

    Raises:
        PeerError: it has not, or the response is not as it has to be.
    """
    refusal = ike_auth.refusal(reply)
    if refusal is not None:
        return ending.give_up(state, state.connection.name, f"the peer says {refusal}")
    ike_auth.LAST_RESPONSE.check(reply)
    responder = state.responder
    theirs = proof.claim(state.session, state.transcript, responder.id_r, is_local=False)
    proof.check_eap(state.session, theirs, need(reply, Authentication), state.keys)
    standing = responder.standing or _NO_STANDING
    return _establish(state, responder.id_r.identity, reply, now, standing)


def _establish(
    state: Asking,
    identity: Identity,
    reply: Message,
    now: Instant,
    standing: Standing = _NO_STANDING,
) -> Step:
    connection, session, transcript = state.connection, state.session, state.transcript
    ids = connection.local_id, identity
    subject = resumption.Subject(session, connection, *ids)
    known = resumption.begin(subject, reply, now, is_watched=standing.is_watched)
    proven = ike_auth.Proven(session, connection, *ids, reply, standing=standing, resumption=known)
    elsewhere = redirection.authenticated(session, connection, reply, now)
    if elsewhere is not None:
        return _redirected(proven, state, elsewhere, now)
    if first_child.starts_without(session, connection) or first_child.comes_later(reply):
        return _child_follows(proven, state, reply, now)
    try:
        granted = first_child.conclude(session, transcript, connection, state.child, reply)
    except PeerError as error:
        return _childless(proven, state, reply, str(error), now)
    addresses = granted.assigned.addresses
    child = granted.child.installing(now + (INSTALL.length or 0.0))
    established, report = ike_auth.establish(proven, (child,), addresses, now)
    established = wanted.begin(established, state.child.policy.name, state.child.others)
    established = siblings.ask(established, child)
    install = InstallChild(
        ticket=session.install_ticket(granted.child.sa.spi_in),
        connection=connection.name,
        child=granted.child.sa,
        virtual_ips=addresses,
        dns=granted.assigned.dns,
    )
    return Step(established, (report, install))


def _redirected(
    proven: ike_auth.Proven, state: Asking, where: tuple[Gateway, Trail], now: Instant
) -> Step:
    """Go where the proven gateway sends us, and delete what is here (RFC 5685 §6)."""
    gateway, trail = where
    established, report = ike_auth.establish(proven, (), (), now)
    end = End(f"the gateway sends us to {gateway}")
    wish = Wish(state.child.policy.name, state.child.trigger)
    session, connection = proven.session, proven.connection
    follow = FollowRedirect(session.sa, connection, gateway, trail, wish)
    leaving = replace(established, queued=(end, *established.queued))
    return Step(leaving, (report, follow))


def _child_follows(proven: ike_auth.Proven, state: Asking, reply: Message, now: Instant) -> Step:
    """Ask for the Child SA in an exchange of its own, as we wanted (RFC 6023)."""
    try:
        addresses = first_child.assigned(proven.connection, reply)
    except PeerError as error:
        established, report = ike_auth.establish(proven, (), (), now)
        failed = ChildFailed(proven.connection.name, str(error))
        return Step(established, (report, proven.session.report(failed)))
    established, report = ike_auth.establish(proven, (), addresses, now)
    child = state.child
    established = wanted.begin(established, child.policy.name, child.others)
    first = CreateChild(child.policy.name, child.trigger)
    return Step(replace(established, queued=(first, *established.queued)), (report,))


def _childless(
    proven: ike_auth.Proven, state: Asking, reply: Message, reason: str, now: Instant
) -> Step:
    """Keep the IKE SA; if the peer believes in a Child SA, tell it that there is none (§2.21.2)."""
    session, connection = proven.session, proven.connection
    established, report = ike_auth.establish(proven, (), (), now)
    established = wanted.begin(established, state.child.policy.name, state.child.others)
    failed = session.report(ChildFailed(connection.name, reason))
    actions: tuple[Action, ...] = (report, failed)
    if reply.notify(NotifyType.SINGLE_PAIR_REQUIRED) and state.child.trigger is not None:
        single = CreateChild(state.child.policy.name, state.child.trigger, is_single=True)
        established = replace(established, queued=(single, *established.queued))
        return Step(established, actions)
    if reply.notify(NotifyType.NO_ADDITIONAL_SAS) is not None:
        established = wanted.refused(established)
    if _believes_in_child(reply):
        spi = state.child.spi_in.to_bytes(first_child.SPI_OCTETS)
        deleted = Delete(state.child.policy.protocol, 4, (spi,))
        return Step(informational.ask(established, (deleted,)), actions)
    return Step(established, actions)


def _believes_in_child(reply: Message) -> bool:
    return not any(notify.type.is_error for notify in reply.all(Notify))


def reject(
    state: SigningRequest | Asking | AnsweringEap | AwaitEapRequest, error: PeerError, now: Instant
) -> Step:
    """End the SA because of what the responder is or says, and tell it so (§2.21.2)."""
    session, connection = state.session, state.connection
    word: Body = Delete(ProtocolId.IKE, 0, ())
    if isinstance(error, AuthenticationError):
        word = Notify(NotifyType.AUTHENTICATION_FAILED)
    step = ending.tell(session, connection, (word,), now)
    return step.then(ending.closed(session.sa, connection.name, str(error), is_failure=True))

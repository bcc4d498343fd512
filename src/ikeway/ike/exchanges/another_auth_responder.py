# SPDX-License-Identifier: Apache-2.0
"""Two proofs of one initiator, as its responder: of a device, then of its user by EAP (RFC 4739).

Nothing is given for the first proof alone. Who has both is decided on once both are there.
"""

from dataclasses import replace

from ikeway.ike import messages, ppk, proof, signing
from ikeway.ike.auth_request import AuthRequest
from ikeway.ike.eap_states import Applicant, AwaitSecond, SigningFirst
from ikeway.ike.exchanges import eap_responder, ike_auth
from ikeway.ike.io import Datagram
from ikeway.ike.questions import Answer, Refused, Signed
from ikeway.ike.reports import DeviceProven
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
from ikeway.wire.payloads import Authentication, IdI, IdR


def expect(
    candidates: tuple[Connection, ...],
    device: Identity,
    id_r: IdR | None,
    kinds: tuple[Proof, ...],
) -> tuple[Connection, ...]:
    """Return the connections that a device may be for, the most exact first.

    All of them show it the same proof of ours, and look at its own in the same way.

    Raises:
        AuthenticationError: there are none.
    """
    for kind in kinds:
        fitting = [
            connection
            for connection in candidates
            if connection.device_id.matches(device)
            and connection.eap_methods_after(kind)
            and (id_r is None or identities_equal(connection.local_id, id_r.identity))
        ]
        if fitting:
            fitting.sort(key=lambda connection: connection.device_id.rank)
            return tuple(one for one in fitting if _face(one) == _face(fitting[0]))
    by = " or ".join(kind.value for kind in kinds)
    raise AuthenticationError(f"no connection is for {device} by {by} and another one")


def _face(connection: Connection) -> tuple[object, ...]:
    return (
        connection.local_id,
        connection.local_auth,
        connection.revocation,
        connection.allow_sha1_signatures,
    )


def prove(session: Session, transcript: Transcript, request: AuthRequest, now: Instant) -> Step:
    """Prove ourselves to a device that is authentic.

    Raises:
        AuthenticationError: we cannot.
    """
    connection = request.connection
    auth = need(request.message, Authentication)
    first = proof.kind(auth, request.message, connection.peer_firsts)
    known = replace(request, device=request.id_i)
    applicant = Applicant(known, request.alternatives, now + (EAP.length or 0.0), first)
    ours = proof.claim(session, transcript, eap_responder.our_id(connection), is_local=True)
    if connection.local_auth is Proof.PSK:
        secret = proof.find_psk(session, connection.local_id, request.id_i)
        ours_by_key = proof.psk_proof(session, ours, secret)
        return _tell(session, transcript, applicant, ours_by_key, now)
    scheme, ask = signing.ask(session, connection, ours)
    expires = now + (HALF_OPEN.length or 0.0)
    return Step(SigningFirst(session, transcript, applicant, scheme, expires), (ask,))


def signed(state: SigningFirst, answer: Answer, now: Instant) -> Step:
    """Go on with our signature.

    Raises:
        AuthenticationError: we cannot prove our identity; the peer hears no details.
    """
    if not isinstance(answer, Signed):
        reason = answer.reason if isinstance(answer, Refused) else "no signature"
        raise AuthenticationError(f"cannot sign: {reason}")
    auth = signing.proof(state.session, state.scheme, answer)
    return _tell(state.session, state.transcript, state.applicant, auth, now)


def _tell(
    session: Session,
    transcript: Transcript,
    applicant: Applicant,
    auth: tuple[Body, ...],
    now: Instant,
) -> Step:
    """Answer the first request with our proof alone (§2.3)."""
    request = applicant.request
    payloads = (eap_responder.our_id(request.connection), *auth, *ppk.answer(session))
    path = request.local, request.peer
    after, actions = messages.respond(session, request.message.header, payloads, path)
    known = session.report(DeviceProven(request.id_i, request.peer))
    waiting = AwaitSecond(after, transcript, applicant, now + (HALF_OPEN.length or 0.0))
    return Step(waiting, (*actions, known))


def respond(state: AwaitSecond, message: Message, datagram: Datagram, now: Instant) -> Step:
    """Begin EAP with the user who is now at the device.

    Raises:
        PeerError: the request names none, or is to prove him in another way.
    """
    ike_auth.ANOTHER_REQUEST.check(message)
    if message.one(Authentication) is not None:
        raise AuthenticationError("the second proof has to be by EAP")
    id_i = need(message, IdI)
    id_i.identity.check()
    asked = state.applicant.request
    kept = tuple(
        body for body in asked.message.payloads if not isinstance(body, IdI | Authentication)
    )
    request = replace(
        asked,
        message=Message(message.header, (id_i, *kept)),
        local=datagram.local,
        peer=datagram.peer,
        id_i=id_i.identity,
        connection=eap_responder.likely(state.applicant.candidates, id_i.identity),
    )
    applicant = replace(state.applicant, request=request)
    return eap_responder.begin(state.session, state.transcript, applicant, now)

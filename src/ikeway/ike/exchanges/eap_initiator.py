# SPDX-License-Identifier: Apache-2.0
"""EAP in IKE_AUTH as its initiator (RFC 7296 §2.16, RFC 5998).

Nothing of EAP is said before the responder is proven, unless the method proves it.
"""

from dataclasses import replace

from ikeway.auth.eap import identity
from ikeway.auth.eap.methods import may_stand_alone
from ikeway.auth.eap.progress import Failure, Progress, Success
from ikeway.ike import ending, messages, proof
from ikeway.ike.auth_request import EapKeys
from ikeway.ike.eap_states import AnsweringEap, AwaitEapProof, AwaitEapRequest, Responder
from ikeway.ike.exchanges import ike_auth
from ikeway.ike.io import Ask
from ikeway.ike.questions import Answer, Converse, Refused
from ikeway.ike.shape import need
from ikeway.ike.states import AwaitAuthResponse, CheckingResponder, Step
from ikeway.ike.timers import HALF_OPEN
from ikeway.model.errors import AuthenticationError
from ikeway.model.secret import Secret
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Eap, IdI, Notify
from ikeway.wire.registry import NotifyType

TALK = "eap"


def announce(connection: Connection) -> tuple[Notify, ...]:
    """Return what says that we do without AUTH of the responder's, if we do (RFC 5998 §3)."""
    return (Notify(NotifyType.EAP_ONLY_AUTHENTICATION),) if _trusts_eap(connection) else ()


def _trusts_eap(connection: Connection) -> bool:
    own = connection.local_auth
    return own in connection.peer_auth and may_stand_alone(own.eap_method)


def begin(
    state: AwaitAuthResponse | CheckingResponder,
    responder: Responder,
    reply: Message,
    now: Instant,
) -> Step:
    """Answer the first EAP packet of a responder that is who it should be.

    Raises:
        AuthenticationError: it has not proven itself, and we do not let EAP do that.
    """
    if responder.standing is None and not _trusts_eap(state.connection):
        raise AuthenticationError("the peer wants EAP before it has proven itself")
    unasked = AwaitEapRequest(
        state.session, state.transcript, state.connection, state.child, responder
    )
    return _ask(unasked, need(reply, Eap).data, now)


def _ask(state: AwaitEapRequest, packet: bytes, now: Instant) -> Step:
    connection, session = state.connection, state.session
    waiting = AnsweringEap(
        session,
        state.transcript,
        connection,
        state.child,
        state.responder,
        now + (HALF_OPEN.length or 0.0),
    )
    method = connection.eap_proof.eap_method
    server = connection.eap_server or state.responder.id_r.identity
    question = Converse(
        False,
        (method,),
        user(connection),
        packet,
        server,
        connection.revocation,
        connection.eap_inner,
    )
    return Step(waiting, (Ask(session.ticket(TALK), question),))


def user(connection: Connection) -> bytes:
    """Return who we say we are in EAP."""
    named = connection.eap_identity.encode()
    return named or identity.from_idi(connection.local_id) or str(connection.local_id).encode()


def our_id(connection: Connection) -> IdI:
    """Return the IDi before EAP: where that is our second proof, another one may be the first's."""
    chosen = connection.local_id
    if connection.local_then is not None and connection.eap_identity:
        chosen = identity.to_idi(connection.eap_identity)
    return IdI(chosen.type, chosen.data)


def heard(state: AwaitEapRequest, reply: Message, now: Instant) -> Step:
    """Take the responder's next EAP packet.

    Raises:
        PeerError: there is none.
    """
    refusal = ike_auth.refusal(reply)
    if refusal is not None:
        return ending.give_up(state, state.connection.name, f"the peer says {refusal}")
    ike_auth.EAP_ROUND.check(reply)
    return _ask(state, need(reply, Eap).data, now)


def answered(state: AnsweringEap, answer: Answer, now: Instant) -> Step:
    """Send our EAP packet, or AUTH if EAP is over.

    Raises:
        AuthenticationError: the responder does not prove what it has to, or we cannot.
    """
    if not isinstance(answer, Progress):
        reason = answer.reason if isinstance(answer, Refused) else "no answer"
        raise AuthenticationError(f"EAP: {reason}")
    match answer.outcome:
        case Success(msk=msk):
            return _prove(state, msk, now)
        case Failure(reason, is_said):
            if is_said:
                return ending.give_up(state, state.connection.name, reason)
            raise AuthenticationError(reason)
        case None:
            return _say(state, answer.reply or b"", now)


def _say(state: AnsweringEap, packet: bytes, now: Instant) -> Step:
    after = AwaitEapRequest(
        state.session, state.transcript, state.connection, state.child, state.responder
    )
    return send(after, (Eap(packet),), now)


def _prove(state: AnsweringEap, msk: Secret | None, now: Instant) -> Step:
    """Send our AUTH; without one of the responder's before, only a key of EAP can be its proof."""
    if msk is None and state.responder.standing is None:
        raise AuthenticationError("EAP made no key, and nothing else proves the peer")
    session, connection = state.session, state.connection
    keys = proof.eap_keys(session, msk)
    ours = proof.claim(session, state.transcript, our_id(connection), is_local=True)
    unsent = _awaiting_proof(state, keys)
    return send(unsent, proof.eap_proof(session, ours, keys), now)


def _awaiting_proof(state: AnsweringEap, keys: EapKeys) -> AwaitEapProof:
    return AwaitEapProof(
        state.session, state.transcript, state.connection, state.child, state.responder, keys
    )


def send(state: AwaitEapRequest | AwaitEapProof, payloads: tuple[Body, ...], now: Instant) -> Step:
    """Send the next IKE_AUTH request, and wait for its response."""
    timing = state.connection.retransmission
    session, actions = messages.request(state.session, ike_auth.TYPE, payloads, timing, now)
    return Step(replace(state, session=session), actions)

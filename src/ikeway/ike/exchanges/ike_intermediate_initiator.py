# SPDX-License-Identifier: Apache-2.0
"""IKE_INTERMEDIATE as its initiator (RFC 9242 §3.2, §3.4; RFC 9370 §2.2.2; RFC 9867 §3.1)."""

from dataclasses import replace

from ikeway.crypto.kex import key_exchange
from ikeway.crypto.offer import Offer
from ikeway.ike import ending, int_auth, messages, ppk_intermediate
from ikeway.ike.children import Wish
from ikeway.ike.exchanges import ike_auth_initiator, ike_intermediate
from ikeway.ike.exchanges.ike_sa_init_initiator import Agreement
from ikeway.ike.features import auth_methods
from ikeway.ike.rounds import Round, agreed_on
from ikeway.ike.session import Session, Transcript
from ikeway.ike.states import AwaitIntermediateResponse, Step
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange, Notify
from ikeway.wire.registry import KeMethod


def begin(connection: Connection, agreement: Agreement, wish: Wish, now: Instant) -> Step:
    """Go on after IKE_SA_INIT: with the first exchange that was agreed on, or else with IKE_AUTH.

    Raises:
        PeerError: we cannot prove our identity to that peer.
    """
    return _next(connection, agreement, wish, agreed_on(agreement.session), now)


def _next(
    connection: Connection,
    agreement: Agreement,
    wish: Wish,
    rounds: tuple[Round, ...],
    now: Instant,
) -> Step:
    if not rounds:
        return ike_auth_initiator.request(connection, agreement, wish, now)
    session, transcript = agreement.session, agreement.transcript
    payloads, offer = _payloads(rounds[0], session, transcript, connection)
    message_id = session.window.next_request
    head = messages.header(session.link, ike_intermediate.TYPE, message_id, is_response=False)
    timing = connection.retransmission
    after, actions = messages.request(session, ike_intermediate.TYPE, payloads, timing, now)
    covered = int_auth.of_ours(head, payloads)
    state = AwaitIntermediateResponse(after, transcript, connection, wish, rounds, offer, covered)
    return Step(state, (*agreement.reports, *actions))


def _payloads(
    due: Round, session: Session, transcript: Transcript, connection: Connection
) -> tuple[tuple[Body, ...], Offer | None]:
    named = ppk_intermediate.offer(session, transcript, connection) if due.has_ppk else ()
    if due.method is None:
        return named, None
    offer = key_exchange(due.method).offer(session.env.random)
    return (KeyExchange(KeMethod(due.method), offer.public), *named), offer


def conclude(
    state: AwaitIntermediateResponse, reply: Message, covered: bytes, now: Instant
) -> Step:
    """Take the response: new keys, and the next exchange.

    An error is that of one who is not authentic, so it ends this answer to our IKE_SA_INIT and no
    other (RFC 9242 §3.4).

    Raises:
        PeerError: the response is not one to our request.
    """
    error = next((notify for notify in reply.all(Notify) if notify.type.is_error), None)
    if error is not None:
        return ending.give_up(state, state.connection.name, f"the peer says {error.type.name}")
    ike_intermediate.RESPONSE.check(reply)
    due, *later = state.rounds
    data, shared = ike_intermediate.data(reply, due.method), None
    if due.method is not None and state.offer is not None:
        shared = key_exchange(due.method).finish(state.offer.private, data)
    seen = state.transcript.int_auth.after(state.session.keyring, state.covered, covered)
    transcript = replace(state.transcript, int_auth=seen)
    session = ike_intermediate.mix(state.session, transcript, shared)
    if due.has_ppk:
        session = ppk_intermediate.concluded(session, transcript, state.connection, reply)
    session = _told(session, reply)
    agreement = Agreement(session, transcript, ())
    return _next(state.connection, agreement, state.wish, tuple(later), now)


def _told(session: Session, reply: Message) -> Session:
    """Note which methods the responder announces, where its list was too long before (RFC 9593)."""
    methods = auth_methods.learn(reply, may_link=False)
    if not methods:
        return session
    return replace(session, wishes=replace(session.wishes, methods=methods))

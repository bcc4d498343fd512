# SPDX-License-Identifier: Apache-2.0
"""IKE_INTERMEDIATE as its responder (RFC 9242 §3.2, §3.4, §5; RFC 9370 §2.2.2; RFC 9867 §3.1)."""

from dataclasses import replace
from typing import Final

from ikeway.crypto.kex import key_exchange
from ikeway.ike import int_auth, messages, ppk_intermediate
from ikeway.ike.exchanges import ike_auth, ike_intermediate
from ikeway.ike.features import auth_methods
from ikeway.ike.io import Datagram
from ikeway.ike.rounds import Round, agreed_on
from ikeway.ike.session import Outdated, Session, Transcript
from ikeway.ike.states import AwaitAuthRequest, AwaitIntermediateRequest, Step
from ikeway.model.errors import MalformedError
from ikeway.model.secret import Secret
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange
from ikeway.wire.registry import KeMethod

EXCHANGES_MOST: Final = 8
"""How many of them one who has proven nothing may have in all: seven have key exchanges (§5)."""


def wait(
    session: Session,
    transcript: Transcript,
    candidates: tuple[Connection, ...],
    expires: Instant,
) -> AwaitIntermediateRequest | AwaitAuthRequest:
    """Return the state after IKE_SA_INIT."""
    rounds = agreed_on(session)
    return _wait(session, transcript, candidates, rounds, expires)


def _wait(
    session: Session,
    transcript: Transcript,
    candidates: tuple[Connection, ...],
    rounds: tuple[Round, ...],
    expires: Instant,
) -> AwaitIntermediateRequest | AwaitAuthRequest:
    if not rounds:
        return AwaitAuthRequest(session, transcript, candidates, expires)
    return AwaitIntermediateRequest(session, transcript, candidates, rounds, expires)


def respond(
    state: AwaitIntermediateRequest | AwaitAuthRequest,
    message: Message,
    covered: bytes,
    datagram: Datagram,
) -> Step:
    """Answer a request, with the keys that it came with; what follows has new ones.

    Raises:
        PeerError: it is not the exchange that is due.
    """
    ike_intermediate.REQUEST.check(message)
    due, *later = _due(state)
    session = ike_auth.moved(state.session, datagram.local, datagram.peer)
    payloads, shared = _exchange(session, due, message)
    found = ppk_intermediate.Found()
    if due.has_ppk:
        found = ppk_intermediate.find(session, state.transcript, state.candidates, message)
        payloads = (*payloads, *found.answer)
    if not later and due.method is not None:
        payloads = (*payloads, *auth_methods.announce(state.candidates))
    number, path = message.header.message_id, (datagram.local, datagram.peer)
    head = messages.header(session.link, ike_intermediate.TYPE, number, is_response=True)
    answered, actions = messages.respond(session, message.header, payloads, path)
    ours = int_auth.of_ours(head, payloads)
    seen = state.transcript.int_auth.after(session.keyring, covered, ours)
    transcript = replace(state.transcript, int_auth=seen)
    mixed = found.mix(ike_intermediate.mix(answered, transcript, shared), transcript)
    after = replace(mixed, outdated=Outdated(number, answered.keyring))
    wait_for = _wait(after, transcript, state.candidates, tuple(later), state.expires)
    return Step(wait_for, actions)


def _due(state: AwaitIntermediateRequest | AwaitAuthRequest) -> tuple[Round, ...]:
    """Return the exchanges to come; one for nothing may, where both sides know of them (§3.2)."""
    if isinstance(state, AwaitIntermediateRequest):
        return state.rounds
    # INTEROP libreswan: with `intermediate=yes` it sends one that is empty.
    is_known = state.session.agreed.intermediate and state.session.resumed is None
    if not is_known or state.transcript.int_auth.exchanges >= EXCHANGES_MOST:
        raise MalformedError("an IKE_INTERMEDIATE exchange that was not agreed on")
    return (Round(None),)


def _exchange(
    session: Session, due: Round, message: Message
) -> tuple[tuple[Body, ...], Secret | None]:
    data = ike_intermediate.data(message, due.method)
    if due.method is None:
        return (), None
    public, shared = key_exchange(due.method).answer(session.env.random, data)
    return (KeyExchange(KeMethod(due.method), public),), shared

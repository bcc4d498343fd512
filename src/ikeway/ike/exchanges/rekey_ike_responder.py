# SPDX-License-Identifier: Apache-2.0
"""Rekeying the IKE SA as its responder (RFC 7296 §1.3.2, §2.8.2, §2.25; RFC 9370 §2.2.4)."""

import math
from dataclasses import replace

from ikeway.crypto.kex import key_exchange
from ikeway.ike import (
    crash_detection,
    following,
    messages,
    negotiate,
)
from ikeway.ike.exchanges import rekey_ike
from ikeway.ike.io import Action, Datagram
from ikeway.ike.nonces import NONCE_OCTETS
from ikeway.ike.series import IkePromise, Response, Secrets
from ikeway.ike.session import Link
from ikeway.ike.shape import need
from ikeway.ike.states import Established, Offspring, Replaced, Step
from ikeway.ike.tasks import (
    AskedChild,
    AskedIke,
    DeleteChild,
    Rival,
)
from ikeway.ike.timers import REPLACED
from ikeway.model.errors import BusyError, NoProposalError
from ikeway.model.time import Instant
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange, Nonce, SecurityAssociation
from ikeway.wire.registry import KeMethod


def respond(state: Established, message: Message, datagram: Datagram, now: Instant) -> Step:
    """Answer with our half of the new IKE SA, which inherits the children at once.

    Raises:
        PeerError: not now, or what is asked for cannot be.
    """
    # Who asks anew has given up what it began before.
    state = following.drop(state, state.series.their_ike)
    is_changing = bool(state.asking(AskedChild)) or bool(state.asking(DeleteChild))
    if (
        is_changing
        or state.answering
        or state.rival
        or not state.series.is_empty
        or any(not child.is_installed for child in state.children)
    ):
        raise BusyError("Child SAs are being changed")
    rekey_ike.REQUEST.check(message)
    exchange = need(message, KeyExchange)
    offered = need(message, SecurityAssociation)
    chosen = negotiate.choose(offered, state.connection.ike, prefer_ke=exchange.method)
    if len(chosen.proposal.spi) != rekey_ike.SPI_OCTETS or not any(chosen.proposal.spi):
        raise NoProposalError("no SPI for the new IKE SA")
    negotiate.check_key_exchange(chosen.method, exchange)
    env, path = state.session.env, (datagram.local, datagram.peer)
    public, shared = key_exchange(chosen.method).answer(env.random, exchange.data)
    nonces = need(message, Nonce).data, env.random.octets(NONCE_OCTETS)
    spis = chosen.proposal.spi, env.new_ike_spi()
    payloads: tuple[Body, ...] = (
        chosen.answer(spis[1]),
        Nonce(nonces[1]),
        KeyExchange(KeMethod(chosen.method), public),
        *crash_detection.tokens(env, *spis)[:1],
    )
    promise = IkePromise(chosen, nonces, spis)
    if chosen.additional:
        after, link = following.promise(state, promise, (shared,), now)
        said = (*payloads, link)
        session, actions = messages.respond(state.session, message.header, said, path)
        return Step(replace(after, session=session), actions)
    return install(state, promise, (shared,), Response(message.header, path, payloads), now)


def install(
    state: Established, promise: IkePromise, secrets: Secrets, said: Response, now: Instant
) -> Step:
    """Make the new IKE SA of the peer's rekey, and answer the last request of it."""
    spis, nonces, path = promise.spis, promise.nonces, said.path
    keyring = rekey_ike.keyring(state, promise, secrets, is_initiator=False)
    session, actions = messages.respond(state.session, said.asked, said.payloads, path)
    made = rekey_ike.make(state, keyring, Link(*spis, False, *path), nonces, now)
    return _answered(replace(state, session=session), made, actions, now)


def _answered(
    state: Established, made: rekey_ike.Made, actions: tuple[Action, ...], now: Instant
) -> Step:
    """Make way for the new SA, unless a rekey of ours is under way that may win."""
    if state.asking(AskedIke):
        rival = replace(state, rival=Rival(made.spi, made.lowest))
        until = now + (REPLACED.length or 0.0)
        waits = replace(
            made.state, is_provisional=True, queued=(), rekey_at=math.inf, expires_at=until
        )
        return Step(rival, actions, (Offspring(made.spi, waits),))
    heir = replace(made.state, children=state.children)
    left = Replaced(state.session, state.connection, now + (REPLACED.length or 0.0))
    return Step(left, (*actions, rekey_ike.rekeyed(state, made)), (Offspring(made.spi, heir),))

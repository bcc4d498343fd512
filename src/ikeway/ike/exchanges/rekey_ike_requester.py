# SPDX-License-Identifier: Apache-2.0
"""Rekeying the IKE SA as its requester (RFC 7296 §1.3.2, §2.8.2, §2.25; RFC 9370 §2.2.4)."""

from dataclasses import replace

from ikeway.crypto.kex import key_exchange
from ikeway.ike import (
    crash_detection,
    ending,
    following,
    messages,
    negotiate,
    postponing,
)
from ikeway.ike.exchanges import rekey_ike
from ikeway.ike.nonces import NONCE_OCTETS
from ikeway.ike.reports import Warned
from ikeway.ike.series import IkePromise, Secrets
from ikeway.ike.session import Link
from ikeway.ike.shape import need
from ikeway.ike.states import Established, Offspring, Step
from ikeway.ike.tasks import (
    AskedIke,
    RekeyIke,
)
from ikeway.model.errors import MalformedError
from ikeway.model.secret import Secret
from ikeway.model.time import Instant
from ikeway.policy.proposals import ProposalSpec
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Delete, KeyExchange, Nonce, Notify, SecurityAssociation
from ikeway.wire.registry import KeMethod, NotifyType, ProtocolId


def request(state: Established, task: RekeyIke, now: Instant) -> Step:
    """Ask for the successor of this IKE SA; the method in use comes first."""
    env, connection = state.session.env, state.connection
    method = task.method or state.session.keyring.suite.ke
    offer = key_exchange(method).offer(env.random)
    spi, nonce = env.new_ike_spi(), env.random.octets(NONCE_OCTETS)
    payloads: tuple[Body, ...] = (
        negotiate.offer(_specs(state), spi, with_ke=True),
        Nonce(nonce),
        KeyExchange(KeMethod(method), offer.public),
    )
    timing = connection.retransmission
    asked = AskedIke(spi, nonce, method, offer, task.refusals)
    session, actions = messages.request(state.session, rekey_ike.TYPE, payloads, timing, now, asked)
    return Step(replace(state, session=session), actions)


def _specs(state: Established) -> tuple[ProposalSpec, ...]:
    """Return what we offer: our proposals, with the method in use first wherever it is allowed."""
    method = (state.session.keyring.suite.ke, 0)
    return tuple(
        replace(spec, ke=(method, *(c for c in spec.ke if c != method)))
        if method in spec.ke
        else spec
        for spec in state.connection.ike
    )


def conclude(state: Established, asked: AskedIke, reply: Message, now: Instant) -> Step:
    """Take the response: the new IKE SA inherits the children, this one is deleted.

    Raises:
        PeerError: the response is not one to our request.
    """
    failure = next((n for n in reply.all(Notify) if n.type.is_error), None)
    if failure is not None:
        return failed(state, asked, failure, now)
    rekey_ike.RESPONSE.check(reply)
    chosen = _chosen(state, reply)
    exchange = need(reply, KeyExchange)
    if chosen.method != asked.method or exchange.method != asked.method:
        raise MalformedError(f"a key exchange by method {exchange.method}, not {asked.method}")
    shared = key_exchange(asked.method).finish(asked.offer.private, exchange.data)
    if chosen.additional:
        return _follow(state, asked, reply, shared, now)
    return complete(state, asked, reply, (shared,), now)


def _chosen(state: Established, reply: Message) -> negotiate.Choosing:
    offered = need(reply, SecurityAssociation)
    specs = _specs(state)
    return negotiate.check_choice(offered, specs, with_ke=True, spi_octets=rekey_ike.SPI_OCTETS)


def _follow(
    state: Established, asked: AskedIke, reply: Message, shared: Secret, now: Instant
) -> Step:
    """Go on with the other key exchanges, unless a rekey of the peer's has won (RFC 9370 §2.2.4).

    Then there "is nothing to delete yet", and this one just stops.
    """
    begun = following.begin(state, asked, reply, (shared,), _chosen(state, reply).additional)
    ours, theirs = begun.series.ours[-1], state.series.their_ike
    if theirs is not None and ours.lowest < theirs.lowest:
        return Step(state)
    if state.rival is not None and ours.lowest < state.rival.lowest:
        return rekey_ike.hand_over(state, now)
    return Step(following.drop(begun, theirs))


def complete(
    state: Established,
    asked: AskedIke,
    reply: Message,
    secrets: Secrets,
    now: Instant,
) -> Step:
    """Make the new IKE SA of a response and of the secrets of all key exchanges."""
    chosen = _chosen(state, reply)
    nonces = asked.nonce, need(reply, Nonce).data
    spis = asked.spi, chosen.proposal.spi
    keyring = rekey_ike.keyring(state, IkePromise(chosen, nonces, spis), secrets, is_initiator=True)
    path = state.session.link.local, state.session.link.peer
    made = rekey_ike.make(state, keyring, Link(*spis, True, *path), nonces, now)
    told = replace(made.state, crash_tokens=crash_detection.learn(reply))
    return _take_over(state, replace(made, state=told), now)


def _take_over(state: Established, made: rekey_ike.Made, now: Instant) -> Step:
    """End our rekey: where the peer's crossed it, the SA of the lowest nonce goes (§2.8.2)."""
    rival, theirs = state.rival, state.series.their_ike
    better = rival or theirs
    if better is not None and made.lowest < better.lowest:
        # Ours is the redundant one: we delete it, and the peer deletes this one.
        doomed = ending.tell(
            made.state.session, state.connection, (Delete(ProtocolId.IKE, 0, ()),), now
        )
        born = Offspring(made.spi, doomed.state)
        step = rekey_ike.hand_over(state, now)
        return Step(step.state, (*step.actions, *doomed.actions), (*step.offspring, born))
    heir = replace(made.state, children=state.children)
    gone = ending.tell(state.session, state.connection, (Delete(ProtocolId.IKE, 0, ()),), now)
    said = rekey_ike.rekeyed(state, made)
    return Step(gone.state, (*gone.actions, said), (Offspring(made.spi, heir),))


def failed(state: Established, asked: AskedIke, failure: Notify, now: Instant) -> Step:
    """Take a refusal (§2.25)."""
    if state.series.their_ike is not None:
        return Step(state)
    if state.rival is not None:
        return rekey_ike.hand_over(state, now)
    method = int.from_bytes(failure.data)
    offered = {code for spec in state.connection.ike for code, _ in spec.ke}
    is_other = len(failure.data) == 2 and method in offered and method != asked.method
    if failure.type is NotifyType.INVALID_KE_PAYLOAD and is_other:
        return Step(replace(state, queued=(RekeyIke(method, asked.refusals), *state.queued)))
    said = state.session.report(Warned(f"rekeying the IKE SA: the peer says {failure.type.name}"))
    refusals = asked.refusals.another(failure.type, now)
    if refusals.is_hopeless(now):
        return ending.out_of_step(state, now)
    return Step(postponing.postpone(state, RekeyIke(refusals=refusals), now), (said,))

# SPDX-License-Identifier: Apache-2.0
"""Rekeying the IKE SA (RFC 7296 §1.3.2, §2.8.2, §2.18, §2.25; RFC 9370 §2.2.4)."""

import math
from dataclasses import dataclass, replace

from ikeway.crypto.kex import key_exchange
from ikeway.ike import (
    crash_detection,
    ending,
    following,
    messages,
    negotiate,
    postponing,
    resumption,
    window_size,
)
from ikeway.ike.io import Action, Datagram, Report
from ikeway.ike.keys import Keyring
from ikeway.ike.nonces import NONCE_OCTETS, lowest
from ikeway.ike.refusals import Refusals
from ikeway.ike.reports import Rekeyed, Warned
from ikeway.ike.series import IkePromise, Response, Secrets
from ikeway.ike.session import Link, Session
from ikeway.ike.shape import Shape, need, one
from ikeway.ike.states import Established, Offspring, Place, Replaced, Step
from ikeway.ike.tasks import (
    AskedCheck,
    AskedChild,
    AskedIke,
    AskedMove,
    CheckReturn,
    DeleteChild,
    Follow,
    Inform,
    RekeyIke,
    Rival,
    Task,
    TellAddresses,
)
from ikeway.ike.timers import REPLACED
from ikeway.ike.window import Window
from ikeway.model.errors import BusyError, MalformedError, NoProposalError
from ikeway.model.secret import Secret
from ikeway.model.time import Instant
from ikeway.policy.proposals import ProposalSpec
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Delete, KeyExchange, Nonce, Notify, SecurityAssociation
from ikeway.wire.registry import ExchangeType, KeMethod, NotifyType, ProtocolId

TYPE = ExchangeType.CREATE_CHILD_SA
REQUEST = Shape(one(SecurityAssociation), one(Nonce), one(KeyExchange))
RESPONSE = REQUEST
SPI_OCTETS = 8


@dataclass(frozen=True, slots=True)
class Made:
    """A new IKE SA as one exchange made it."""

    state: Established
    lowest: bytes

    @property
    def spi(self) -> bytes:
        """Our SPI of it."""
        return self.state.session.sa


# We rekey -----------------------------------------------------------------------------------------


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
    session, actions = messages.request(state.session, TYPE, payloads, timing, now, asked)
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
    RESPONSE.check(reply)
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
    return negotiate.check_choice(offered, specs, with_ke=True, spi_octets=SPI_OCTETS)


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
        return hand_over(state, now)
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
    keyring = _keyring(state, IkePromise(chosen, nonces, spis), secrets, is_initiator=True)
    path = state.session.link.local, state.session.link.peer
    made = _make(state, keyring, Link(*spis, True, *path), nonces, now)
    told = replace(made.state, crash_tokens=crash_detection.learn(reply))
    return _take_over(state, replace(made, state=told), now)


def _keyring(
    state: Established, agreed: IkePromise, secrets: Secrets, *, is_initiator: bool
) -> Keyring:
    first, *further = secrets
    return Keyring.derive(
        agreed.chosen.ike,
        first,
        agreed.nonces,
        agreed.spis,
        is_initiator=is_initiator,
        replaced=state.session.keyring.heritage,
        further=tuple(further),
    )


def _make(
    state: Established, keyring: Keyring, link: Link, nonces: tuple[bytes, bytes], now: Instant
) -> Made:
    """Return the new IKE SA, without children yet. Its windows begin anew (§2.2, §2.3)."""
    before = state.session
    known = replace(before.fragmentation, incomplete=())
    named, trail, agreed = before.ppk, before.trail, before.agreed
    session = Session(
        before.env,
        link,
        before.branch,
        keyring,
        Window(),
        agreed,
        known,
        ppk=named,
        trail=trail,
    )
    fresh = Established(
        session=session,
        connection=state.connection,
        local_id=state.local_id,
        peer_id=state.peer_id,
        children=(),
        virtual_ips=state.virtual_ips,
        since=state.since,
        pulse=state.pulse.beat(state.connection, now),
        keep_at=state.keep_at,
        queued=(*crash_detection.announcement(session), *_inherited(state)),
        wanted=replace(state.wanted, is_refused=False),
        mobility=state.mobility.succeeded(),
        authenticity=state.authenticity,
        standing=state.standing,
        resumption=state.resumption.succeeded(),
        pace=state.pace,
        parting=state.parting,
    )
    return Made(ending.aging(fresh, now), lowest(*nonces))


def _inherited(state: Established) -> tuple[Task, ...]:
    """Return what the successor still has to ask: all but what has just happened.

    What was told on the old SA and may not have arrived is told again. The windows of the new one
    are of size 1 until both sides say otherwise (§2.3), which only a peer cares for that did so.
    """
    told: list[Task] = [task for task in state.asking(Inform) if task.payloads]
    told += [TellAddresses(move.is_update) for move in state.asking(AskedMove)]
    told += [CheckReturn() for _ in state.asking(AskedCheck)]
    # Where the peer was busy rekeying this SA, it is so no more (§2.25).
    refused = [replace(each.task, refusals=Refusals()) for each in state.postponed]
    wanted = [task for task in (*state.queued, *refused) if not isinstance(task, RekeyIke | Follow)]
    is_wide = state.session.window.peer_size > 1
    size = [Inform(window_size.announce(state.connection))] if is_wide else []
    ticket = resumption.ask_again(state.resumption, state.connection)
    return tuple(dict.fromkeys([*size, *told, *wanted, *ticket]))


def _take_over(state: Established, made: Made, now: Instant) -> Step:
    """End our rekey: where the peer's crossed it, the SA of the lowest nonce goes (§2.8.2)."""
    rival, theirs = state.rival, state.series.their_ike
    better = rival or theirs
    if better is not None and made.lowest < better.lowest:
        # Ours is the redundant one: we delete it, and the peer deletes this one.
        doomed = ending.tell(
            made.state.session, state.connection, (Delete(ProtocolId.IKE, 0, ()),), now
        )
        born = Offspring(made.spi, doomed.state)
        step = hand_over(state, now)
        return Step(step.state, (*step.actions, *doomed.actions), (*step.offspring, born))
    heir = replace(made.state, children=state.children)
    gone = ending.tell(state.session, state.connection, (Delete(ProtocolId.IKE, 0, ()),), now)
    said = _rekeyed(state, made)
    return Step(gone.state, (*gone.actions, said), (Offspring(made.spi, heir),))


def _rekeyed(state: Established, made: Made) -> Report:
    suite = str(made.state.session.keyring.suite)
    return state.session.report(Rekeyed(state.connection.name, made.spi, suite))


def hand_over(state: Established, now: Instant) -> Step:
    """Give the children to the SA that the peer's rekey made, and wait for the end of this one."""
    if state.rival is None:
        return Step(state)
    suite = str(state.session.keyring.suite)
    said = state.session.report(Rekeyed(state.connection.name, state.rival.spi, suite))
    until = now + (REPLACED.length or 0.0)
    left = Replaced(state.session, state.connection, until)
    queued, link = _inherited(state), state.session.link
    place = Place(
        link.local, link.peer, state.session.agreed.nat, state.mobility.succeeded(), state.keep_at
    )
    name = state.connection.name
    heir = Offspring(state.rival.spi, None, state.children, queued, name, place)
    return Step(left, (said,), (heir,))


def failed(state: Established, asked: AskedIke, failure: Notify, now: Instant) -> Step:
    """Take a refusal (§2.25)."""
    if state.series.their_ike is not None:
        return Step(state)
    if state.rival is not None:
        return hand_over(state, now)
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


# The peer rekeys ----------------------------------------------------------------------------------


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
    REQUEST.check(message)
    exchange = need(message, KeyExchange)
    offered = need(message, SecurityAssociation)
    chosen = negotiate.choose(offered, state.connection.ike, prefer_ke=exchange.method)
    if len(chosen.proposal.spi) != SPI_OCTETS or not any(chosen.proposal.spi):
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
    keyring = _keyring(state, promise, secrets, is_initiator=False)
    session, actions = messages.respond(state.session, said.asked, said.payloads, path)
    made = _make(state, keyring, Link(*spis, False, *path), nonces, now)
    return _answered(replace(state, session=session), made, actions, now)


def _answered(state: Established, made: Made, actions: tuple[Action, ...], now: Instant) -> Step:
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
    return Step(left, (*actions, _rekeyed(state, made)), (Offspring(made.spi, heir),))

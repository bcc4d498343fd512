# SPDX-License-Identifier: Apache-2.0
"""Asking for a Child SA, a new one or a successor (RFC 7296 §1.3.1, §1.3.3, §2.8.1, §2.25)."""

from dataclasses import dataclass, replace

from ikeway.crypto.kex import key_exchange
from ikeway.ike import (
    building,
    child_terms,
    following,
    ipcomp,
    messages,
    narrow,
    negotiate,
    refused_child,
    siblings,
)
from ikeway.ike.children import Child, Scope, Seed
from ikeway.ike.exchanges.child_sa import (
    RESPONSE,
    SPI_OCTETS,
    TYPE,
    change,
    crossings,
    find,
    place,
    specs_for,
    uncrossed,
)
from ikeway.ike.io import InstallChild
from ikeway.ike.nonces import NONCE_OCTETS, lowest
from ikeway.ike.refusals import Refusals
from ikeway.ike.shape import need
from ikeway.ike.states import Established, Step
from ikeway.ike.tasks import (
    AskedChild,
    CreateChild,
    DeleteChild,
    RekeyChild,
)
from ikeway.ike.timers import INSTALL
from ikeway.model.errors import MalformedError, SelectorsError
from ikeway.model.esp import Mode
from ikeway.model.secret import Secret
from ikeway.model.selectors import Selectors, Trigger
from ikeway.model.time import Instant
from ikeway.policy.connection import ChildPolicy, resolve_selectors
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange, Nonce, Notify, SecurityAssociation, TsI, TsR
from ikeway.wire.registry import KeMethod, NotifyType


def rekey(state: Established, task: RekeyChild, now: Instant) -> Step:
    """Ask for the successor of a child, with the same selectors (§2.9.2)."""
    old = find(state, task.spi_in)
    if old is None or old.is_deleting or old.is_replaced:
        return Step(state)
    policy = replace(state.connection.child(old.name), mode=old.sa.mode)
    scope = old.sa.local_ts, old.sa.peer_ts
    wanted = Wanted(policy, *scope, task.method, task.refusals, old, number=old.number)
    return _request(state, wanted, now)


def create(state: Established, task: CreateChild, now: Instant) -> Step:
    """Ask for one more child, its packet's own selectors first (§1.3.1, §2.9)."""
    if task.number:
        return _create_sibling(state, task, now)
    policy, link = state.connection.child(task.name), state.session.link
    here = place(state, (link.local, link.peer))
    local, peer, trigger = narrow.led_by(
        task.trigger,
        resolve_selectors(policy.local_ts, here.local),
        resolve_selectors(policy.peer_ts, here.peer),
    )
    if task.is_single and trigger is not None:
        local, peer = (trigger.local,), (trigger.peer,)
    wanted = Wanted(policy, local, peer, task.method, task.refusals, trigger=trigger)
    wanted = replace(wanted, unless_present=task.unless_present)
    return _request(state, wanted, now)


def _create_sibling(state: Established, task: CreateChild, now: Instant) -> Step:
    """Ask for one more child that carries what the first one does, if that is still there."""
    like = siblings.first(state, task.name)
    if like is None:
        return Step(state)
    policy = replace(state.connection.child(task.name), mode=like.sa.mode)
    scope = like.sa.local_ts, like.sa.peer_ts
    wanted = Wanted(policy, *scope, task.method, task.refusals, number=task.number)
    return _request(state, wanted, now)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to ask for; `old` is the child to replace, `number` its place among siblings."""

    policy: ChildPolicy
    local_ts: Selectors
    peer_ts: Selectors
    method: int
    refusals: Refusals
    old: Child | None = None
    trigger: Trigger | None = None
    unless_present: bool = False
    number: int | None = 0

    @property
    def rekeys(self) -> tuple[Notify, ...]:
        """What names the child to replace (§1.3.3)."""
        if self.old is None:
            return ()
        spi = self.old.sa.spi_in.to_bytes(SPI_OCTETS)
        return (Notify(NotifyType.REKEY_SA, protocol=self.old.protocol, spi=spi),)


def _request(state: Established, wanted: Wanted, now: Instant) -> Step:
    env, connection, old = state.session.env, state.connection, wanted.old
    specs = specs_for(wanted.policy, old.method if old else 0)
    methods = [code for spec in specs for code, _ in spec.ke]
    method = wanted.method or (methods[0] if methods else 0)
    offer = key_exchange(method).offer(env.random) if method else None
    asked = AskedChild(
        wanted.policy,
        siblings.spi(env, wanted.policy, wanted.number),
        old.sa.spi_in if old else 0,
        wanted.local_ts,
        wanted.peer_ts,
        env.random.octets(NONCE_OCTETS),
        method,
        offer,
        wanted.trigger,
        wanted.unless_present,
        wanted.refusals,
        wanted.number,
    )
    payloads: tuple[Body, ...] = (
        *wanted.rekeys,
        *child_terms.asked(wanted.policy),
        *ipcomp.offer(wanted.policy, asked.spi_in),
        *(() if old else siblings.announce(wanted.policy)),
        negotiate.offer(specs, asked.spi_in.to_bytes(SPI_OCTETS), with_ke=bool(method)),
        Nonce(asked.nonce),
        *((KeyExchange(KeMethod(method), offer.public),) if offer else ()),
        TsI(wanted.local_ts),
        TsR(wanted.peer_ts),
    )
    timing = connection.retransmission
    session, actions = messages.request(state.session, TYPE, payloads, timing, now, asked)
    return Step(replace(state, session=session), actions)


def conclude(state: Established, asked: AskedChild, reply: Message, now: Instant) -> Step:
    """Take the response: install the new child; who deletes what follows from the nonces.

    Raises:
        PeerError: the response is not one to our request.
    """
    failure = next((n for n in reply.all(Notify) if n.type.is_error), None)
    if failure is not None:
        return refused_child.failed(state, asked, failure, now)
    RESPONSE.check(reply)
    chosen = _chosen(asked, reply)
    shared = _finish(asked, chosen.method, reply)
    secrets = () if shared is None else (shared,)
    if chosen.additional:
        return _follow(state, asked, reply, secrets)
    return complete(state, asked, reply, secrets, now)


def _chosen(asked: AskedChild, reply: Message) -> negotiate.Choosing:
    specs, has_ke = specs_for(asked.policy, asked.method), bool(asked.method)
    offered = need(reply, SecurityAssociation)
    return negotiate.check_choice(offered, specs, with_ke=has_ke, spi_octets=SPI_OCTETS)


def _follow(
    state: Established, asked: AskedChild, reply: Message, secrets: tuple[Secret, ...]
) -> Step:
    """Go on with the other key exchanges, unless a rekey of the peer's has won (RFC 9370 §2.2.4).

    Then there "is nothing to delete yet", and this one just stops.
    """
    begun = following.begin(state, asked, reply, secrets, _chosen(asked, reply).additional)
    crossed = [each for each in crossings(state) if each.old == asked.replaces]
    if any(begun.series.ours[-1].lowest < each.lowest for each in crossed):
        return Step(uncrossed(state, asked))
    return Step(following.drop_rekey(begun, asked.replaces))


def complete(
    state: Established,
    asked: AskedChild,
    reply: Message,
    secrets: tuple[Secret, ...],
    now: Instant,
) -> Step:
    """Make the Child SA of a response and of the secrets of all key exchanges."""
    session, chosen = state.session, _chosen(asked, reply)
    path = session.link.local, session.link.peer
    offered = asked.local_ts, asked.peer_ts
    try:
        scope = child_terms.accept(asked.policy, offered, reply, place(state, path))
        scope = siblings.accept(state, asked, scope, chosen.esp, reply)
    except SelectorsError as error:
        return refused_child.reject(state, asked, str(error))
    spi_out = building.peer_spi(chosen)
    if spi_out in state.stillborn:
        return Step(uncrossed(_without_stillborn(state, spi_out), asked))
    state = _without_stillborn(state, spi_out)
    nonces = asked.nonce, need(reply, Nonce).data
    seed = Seed(nonces, is_requester=True, secrets=secrets)
    made = building.make(session, asked.spi_in, chosen, scope, seed, path)
    new = Child(made, asked.policy.name, method=chosen.method, replaces=asked.replaces)
    new = replace(new, number=scope.number)
    after, install = _installing(state, asked, new, nonces, now)
    after = after if asked.replaces else siblings.ask(after, new)
    return Step(_ask_for_the_rest(after, asked, scope), (install,))


def _installing(
    state: Established, asked: AskedChild, new: Child, nonces: tuple[bytes, bytes], now: Instant
) -> tuple[Established, InstallChild]:
    """Install the new child in the place of the one that it replaces, unless the nonces say no."""
    session = state.session
    child = new.aging(asked.policy.lifetimes, session.env.random, now)
    child = child.installing(now + (INSTALL.length or 0.0))
    old = find(state, asked.replaces)
    if old is not None:
        state = change(state, replace(old, is_replaced=True, rekey_at=old.expires_at))
    after, child = _resolve(state, child, lowest(*nonces))
    install = InstallChild(
        session.install_ticket(child.sa.spi_in),
        state.connection.name,
        child.sa,
        state.virtual_ips,
        # One that has lost only receives: its end is on its way, and the other one is to send.
        is_standby=child.is_replaced,
    )
    return replace(after, children=(*after.children, child)), install


def _without_stillborn(state: Established, spi_out: int) -> Established:
    """Return the state that knows what became of a child; others that we ask for may be to come."""
    is_asking = state.asking(AskedChild) or state.series.our_children
    pending = state.stillborn if is_asking else ()
    return replace(state, stillborn=tuple(spi for spi in pending if spi != spi_out))


def _ask_for_the_rest(state: Established, asked: AskedChild, scope: Scope) -> Established:
    """Where the peer left out the very packet, ask for one with nothing else in it (§2.9, §2.9.1).

    That can only be granted whole or refused, and so it is asked for once.
    """
    trigger = asked.trigger
    if trigger is None or scope.mode is Mode.TRANSPORT:
        return state
    sides = (trigger.local, scope.local_ts), (trigger.peer, scope.peer_ts)
    if all(any(ts.covers(own) for ts in granted) for own, granted in sides):
        return state
    single = CreateChild(asked.policy.name, trigger, is_single=True)
    return replace(state, queued=(*state.queued, single))


def _finish(asked: AskedChild, method: int, reply: Message) -> Secret | None:
    if asked.offer is None or not method:
        return None
    exchange = need(reply, KeyExchange)
    if method != asked.method or exchange.method != method:
        raise MalformedError(f"a key exchange by method {exchange.method}, not {asked.method}")
    return key_exchange(method).finish(asked.offer.private, exchange.data)


def _resolve(state: Established, child: Child, ours: bytes) -> tuple[Established, Child]:
    """Decide a simultaneous rekey: the lowest nonce was part of the redundant exchange (§2.8.1).

    Its creator deletes it, and the creator of the other one deletes the old child. Until then it
    receives, and nothing of ours is sent through it: that could arrive after our Delete.
    """
    crossed = next((each for each in crossings(state) if each.old == child.replaces), None)
    if crossed is None:
        return state, child
    left = tuple(each for each in state.crossed if each != crossed)
    after = replace(state, crossed=left)
    if ours < crossed.lowest:
        queued = (*after.queued, DeleteChild(child.sa.spi_in))
        lost = replace(child, replaces=0, is_replaced=True, beaten_by=crossed.new)
        return replace(after, queued=queued), lost
    return following.drop_rekey(_replaced(after, crossed.new), child.replaces), child


def _replaced(state: Established, spi_in: int) -> Established:
    """Return the state in which the peer's child has lost, also where it is yet to be installed."""
    theirs = find(state, spi_in)
    if theirs is not None:
        return change(state, replace(theirs, is_replaced=True, rekey_at=theirs.expires_at))
    answering = (
        replace(each, child=replace(each.child, is_replaced=True))
        if each.child.sa.spi_in == spi_in
        else each
        for each in state.answering
    )
    return replace(state, answering=tuple(answering))

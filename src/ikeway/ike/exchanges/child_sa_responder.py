# SPDX-License-Identifier: Apache-2.0
"""Answering a request for a Child SA, a new one or a successor (RFC 7296 §1.3, §2.8, §2.25)."""

import math
from dataclasses import replace

from ikeway.crypto.kex import key_exchange
from ikeway.ike import building, child_terms, following, ipcomp, messages, negotiate, siblings
from ikeway.ike.child_terms import Grant
from ikeway.ike.children import Child, Seed
from ikeway.ike.exchanges.child_sa import (
    REQUEST,
    SPI_OCTETS,
    change,
    find,
    place,
)
from ikeway.ike.io import UNUSED, Datagram, InstallChild, RemoveChild
from ikeway.ike.nonces import NONCE_OCTETS, lowest
from ikeway.ike.series import ChildPromise, Response, Secrets
from ikeway.ike.shape import need
from ikeway.ike.states import Established, Step
from ikeway.ike.tasks import (
    Answering,
    AskedChild,
    Crossed,
    DeleteChild,
)
from ikeway.ike.timers import HALF_OPEN
from ikeway.model.errors import (
    BusyError,
    ChildNotFoundError,
    NoProposalError,
)
from ikeway.model.time import Instant
from ikeway.policy.connection import ChildPolicy, Connection
from ikeway.policy.distinct import NONE, Choice
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange, Nonce, Notify, SecurityAssociation
from ikeway.wire.registry import KeMethod, NotifyType, TransformType

CHILDREN_MOST = 64


def respond(state: Established, message: Message, datagram: Datagram, now: Instant) -> Step:
    """Agree on a child; the answer leaves once the data plane can receive (§2.8).

    Raises:
        PeerError: the child to rekey is not there, or what is asked for cannot be.
    """
    rekeyed = message.notify(NotifyType.REKEY_SA)
    old = _rekeyed(state, rekeyed) if rekeyed is not None else None
    # Who asks anew has given up what it began before.
    state = following.drop_rekey(state, old.sa.spi_in if old else 0)
    REQUEST.check(message)
    coming = len(state.answering) + len(state.series.their_children)
    if old is None and len(state.children) + coming >= CHILDREN_MOST:
        raise siblings.too_many(message, len(state.children))
    granted = _grant(state, message, datagram, old)
    if old is None:
        granted = siblings.join(state, granted, message)
        _check_crossing(state, granted.scope.policy)
    chosen, scope = granted.chosen, granted.scope
    method = chosen.method
    env, session = state.session.env, state.session
    public = b""
    secrets: Secrets = ()
    if method:
        exchange = need(message, KeyExchange)
        negotiate.check_key_exchange(method, exchange)
        public, shared = key_exchange(method).answer(env.random, exchange.data)
        secrets = (shared,)
    nonces = need(message, Nonce).data, env.random.octets(NONCE_OCTETS)
    spi_in = siblings.spi(env, scope.policy, scope.number)
    building.peer_spi(chosen)
    path = datagram.local, datagram.peer
    payloads: tuple[Body, ...] = (
        *granted.notifies,
        *ipcomp.answer(scope.cpi_out, spi_in),
        chosen.answer(spi_in.to_bytes(SPI_OCTETS)),
        Nonce(nonces[1]),
        *((KeyExchange(KeMethod(method), public),) if method else ()),
        *child_terms.told(scope),
    )
    promise = ChildPromise(chosen, nonces, scope, spi_in, old.sa.spi_in if old else 0)
    if chosen.additional:
        after, link = following.promise(state, promise, secrets, now)
        said = (*payloads, link)
        after_session, actions = messages.respond(session, message.header, said, path)
        return Step(replace(after, session=after_session), actions)
    return install(state, promise, secrets, Response(message.header, path, payloads), now)


def install(
    state: Established, promise: ChildPromise, secrets: Secrets, said: Response, now: Instant
) -> Step:
    """Make the child of the peer's request, and answer once the data plane can receive (§2.8)."""
    session, scope, chosen = state.session, promise.scope, promise.chosen
    seed = Seed(promise.nonces, is_requester=False, secrets=secrets)
    made = building.make(session, promise.spi_in, chosen, scope, seed, said.path)
    name, method = scope.policy.name, chosen.method
    child = Child(made, name, method=method, replaces=promise.replaces, number=scope.number)
    expires = now + (HALF_OPEN.length or 0.0)
    answering = Answering(said.asked, said.path, said.payloads, child, promise.nonces, expires)
    wanted = InstallChild(
        session.install_ticket(promise.spi_in),
        state.connection.name,
        made,
        state.virtual_ips,
        is_standby=True,
        # The Delete of the one that it replaces tells that the peer has it.
        active_after=math.inf if promise.replaces else UNUSED,
    )
    return Step(replace(state, answering=(*state.answering, answering)), (wanted,))


def _grant(state: Established, message: Message, datagram: Datagram, old: Child | None) -> Grant:
    here = place(state, (datagram.local, datagram.peer))
    if old is None:
        return child_terms.grant(
            state.connection,
            message,
            here,
            lambda policy: choose(state.connection, policy, message),
            tuple(child.name for child in state.children),
        )
    connection = state.connection
    chosen = choose(connection, connection.child(old.name), message)
    scope = child_terms.renew(old, connection, message, here)
    return Grant(scope, chosen, child_terms.granted(scope))


def _check_crossing(state: Established, policy: ChildPolicy) -> None:
    """Let only one of two requests for the same Child SA succeed that have crossed (§2.25).

    That of the initiator of the IKE SA goes through, if one is enough for it.

    Raises:
        BusyError: the peer asks for what we have asked for, and we go first.
    """
    asked = (*state.asking(AskedChild), *state.series.our_children)
    is_asked = any(
        each.policy.name == policy.name and not each.replaces and each.unless_present
        for each in asked
    )
    if is_asked and state.session.link.is_initiator:
        raise BusyError(f"we have asked for the Child SA {policy.name} ourselves")


def _rekeyed(state: Established, rekey: Notify) -> Child:
    """Return the child that REKEY_SA names by the peer's inbound SPI, our outbound one.

    Raises:
        ChildNotFoundError: there is none; its data is empty, the notify names the SPI.
        BusyError: we are deleting it, it is replaced already, or it may be about to come.
    """
    spi = int.from_bytes(rekey.spi)
    named = (rekey.protocol, spi)
    old = next((one for one in state.children if (one.protocol, one.sa.spi_out) == named), None)
    if old is None and (state.asking(AskedChild) or state.series.our_children):
        raise BusyError(f"Child SA {spi:08x} may be the one that we have asked for")
    if old is None:
        raise ChildNotFoundError(f"no Child SA {spi:08x}", rekey.spi)
    is_being_replaced = any(each.child.replaces == old.sa.spi_in for each in state.answering)
    # RFC 9370 §2.2.4: also where our own rekey of it is past its CREATE_CHILD_SA.
    is_followed = any(asked.replaces == old.sa.spi_in for asked in state.series.our_children)
    is_being_replaced = is_being_replaced or is_followed
    if old.is_deleting or old.is_replaced or is_being_replaced:
        raise BusyError(f"Child SA {spi:08x} is going")
    return old


def choose(connection: Connection, policy: ChildPolicy, message: Message) -> negotiate.Choosing:
    """Return our choice for a Child SA with or without a key exchange, as the peer likes.

    Raises:
        NoProposalError: nothing in common.
    """
    offered = need(message, SecurityAssociation)
    exchange = message.one(KeyExchange)
    plain = tuple(spec.plain for spec in policy.esp)
    if exchange is None:
        return negotiate.choose(offered, plain)
    known = tuple(dict.fromkeys(choice for spec in connection.ike for choice in spec.ke))
    more = tuple((kind, (*choices, NONE)) for kind, choices in _additional(connection))
    strong = tuple(
        replace(spec, ke=spec.ke or known, additional=spec.additional or more)
        for spec in policy.esp
    )
    try:
        return negotiate.choose(offered, strong, prefer_ke=exchange.method)
    except NoProposalError:
        return negotiate.choose(offered, plain)


def _additional(
    connection: Connection,
) -> tuple[tuple[TransformType, tuple[Choice, ...]], ...]:
    """Return the additional key exchanges that we would do for an IKE SA."""
    merged: dict[TransformType, dict[Choice, None]] = {}
    for spec in connection.ike:
        for kind, choices in spec.additional:
            merged.setdefault(kind, {}).update(dict.fromkeys(choices))
    return tuple((kind, tuple(merged[kind])) for kind in sorted(merged))


def refuse(state: Established, answering: Answering) -> Step:
    """Tell the peer that it cannot be now: the data plane does not take the new child (§2.25)."""
    session, actions = messages.respond(
        state.session, answering.asked, (Notify(NotifyType.TEMPORARY_FAILURE),), answering.path
    )
    removed = RemoveChild(session.sa, answering.child.sa.spi_in)
    after = _spare(state.answered(answering, session), answering.child)
    return Step(after, (*actions, removed))


def _spare(state: Established, refused: Child) -> Established:
    """Return the state in which what has lost to a child that never came to be has won (§2.8.1).

    Its Delete has not left: nothing is asked while a request of the peer's waits.
    """
    spared = next((c for c in state.children if c.beaten_by == refused.sa.spi_in), None)
    if spared is None:
        return state
    doomed = DeleteChild(spared.sa.spi_in)
    queued = tuple(task for task in state.queued if task != doomed)
    winner = replace(spared, is_replaced=False, beaten_by=0, replaces=refused.replaces)
    if winner.is_installed:
        winner = replace(winner, replaces=0)
        queued = (*queued, DeleteChild(refused.replaces))
    return change(replace(state, queued=queued), winner)


def installed(state: Established, answering: Answering, now: Instant) -> Step:
    """Answer: from now on the peer may send on the new child."""
    session, actions = messages.respond(
        state.session, answering.asked, answering.payloads, answering.path
    )
    lifetimes = state.connection.child(answering.child.name).lifetimes
    child = answering.child.aging(lifetimes, session.env.random, now)
    crossed = Crossed(child.replaces, child.sa.spi_in, lowest(*answering.nonces))
    asking = (*state.asking(AskedChild), *state.series.our_children)
    rekeys = {asked.replaces for asked in asking} - {0}
    after = replace(
        state.answered(answering, session),
        children=(*state.children, replace(child, is_installed=True, replaces=0)),
        crossed=(*state.crossed, crossed) if child.replaces in rekeys else state.crossed,
    )
    old = find(after, child.replaces)
    if old is not None:
        heir = child.sa.spi_in
        replaced = replace(old, is_replaced=True, heir=heir, rekey_at=old.expires_at)
        after = change(after, replaced)
    return Step(after, actions)

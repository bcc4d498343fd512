# SPDX-License-Identifier: Apache-2.0
"""Rekeying a Child SA (RFC 7296 §1.3.3, §2.8, §2.9.2, §2.25)."""

from dataclasses import replace

from ikeway.crypto.kex import key_exchange
from ikeway.ike import first_child, messages, narrow, negotiate
from ikeway.ike.children import Child, Seed, Terms, build
from ikeway.ike.exchanges.nonces import NONCE_OCTETS, lowest
from ikeway.ike.io import Datagram, InstallChild, RemoveChild
from ikeway.ike.reports import ChildFailed
from ikeway.ike.shape import Shape, maybe, need, one
from ikeway.ike.states import Established, Step
from ikeway.ike.tasks import Answering, AskedChild, Crossed, DeleteChild, RekeyChild
from ikeway.ike.timers import HALF_OPEN
from ikeway.model.errors import (
    BusyError,
    ChildNotFoundError,
    MalformedError,
    NoProposalError,
)
from ikeway.model.secret import Secret
from ikeway.model.time import Instant, Seconds
from ikeway.policy.connection import Connection
from ikeway.policy.proposals import ProposalSpec
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange, Nonce, Notify, SecurityAssociation, TsI, TsR
from ikeway.wire.registry import ExchangeType, KeMethod, NotifyType, ProtocolId

TYPE = ExchangeType.CREATE_CHILD_SA
REQUEST = Shape(one(SecurityAssociation), one(Nonce), maybe(KeyExchange), one(TsI), one(TsR))
RESPONSE = REQUEST
SPI_OCTETS = 4
RETRY: Seconds = 5.0
"""How long to leave a peer alone that says TEMPORARY_FAILURE (§2.25)."""


def find(state: Established, spi_in: int) -> Child | None:
    """Return the child with this inbound SPI."""
    return next((child for child in state.children if child.sa.spi_in == spi_in), None)


def change(state: Established, child: Child) -> Established:
    """Return the state with a child as it is now."""
    others = (child if each.sa.spi_in == child.sa.spi_in else each for each in state.children)
    return replace(state, children=tuple(others))


# We rekey -----------------------------------------------------------------------------------------


def request(state: Established, task: RekeyChild, now: Instant) -> Step:
    """Ask for the successor of a child, with the same selectors (§2.9.2)."""
    old = find(state, task.spi_in)
    if old is None or old.is_deleting:
        return Step(state)
    env, connection = state.session.env, state.connection
    specs = _specs(connection, old.method)
    methods = [code for spec in specs for code, _ in spec.ke]
    method = task.method or (methods[0] if methods else 0)
    offer = key_exchange(method).offer(env.random) if method else None
    spi_in, nonce = env.new_esp_spi(), env.random.octets(NONCE_OCTETS)
    asked = AskedChild(spi_in, task.spi_in, old.sa.local_ts, old.sa.peer_ts, nonce, method, offer)
    rekey = Notify(
        NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=old.sa.spi_in.to_bytes(SPI_OCTETS)
    )
    payloads: tuple[Body, ...] = (
        rekey,
        negotiate.offer(specs, spi_in.to_bytes(SPI_OCTETS), with_ke=bool(method)),
        Nonce(nonce),
        *((KeyExchange(KeMethod(method), offer.public),) if offer else ()),
        TsI(old.sa.local_ts),
        TsR(old.sa.peer_ts),
    )
    timing = connection.retransmission
    session, actions = messages.request(state.session, TYPE, payloads, timing, now)
    return Step(replace(state, session=session, asked=asked), actions)


def _specs(connection: Connection, method: int) -> tuple[ProposalSpec, ...]:
    """Return what we offer; the method that the child was made with comes first.

    INTEROP: a peer that never used a key exchange for this child is not asked for one.
    """
    if not method:
        return connection.esp
    return tuple(
        replace(spec, ke=((method, 0), *(c for c in spec.ke if c != (method, 0))))
        for spec in connection.esp
    )


def conclude(state: Established, asked: AskedChild, reply: Message, now: Instant) -> Step:
    """Take the response: install the new child; who deletes what follows from the nonces.

    Raises:
        PeerError: the response is not one to our request.
    """
    failure = next((n for n in reply.all(Notify) if n.type.is_error), None)
    if failure is not None:
        return _failed(state, asked, failure, now)
    RESPONSE.check(reply)
    specs = _specs(state.connection, asked.method)
    chosen = negotiate.check_choice(
        need(reply, SecurityAssociation),
        specs,
        with_ke=bool(asked.method),
        spi_octets=SPI_OCTETS,
    )
    local_ts, peer_ts = need(reply, TsI).selectors, need(reply, TsR).selectors
    narrow.check_subset(local_ts, asked.local_ts)
    narrow.check_subset(peer_ts, asked.peer_ts)
    shared = _finish(asked, chosen.method, reply)
    session = state.session
    nonces = asked.nonce, need(reply, Nonce).data
    terms = Terms(
        asked.spi_in,
        first_child.peer_spi(chosen),
        chosen.esp,
        local_ts,
        peer_ts,
        state.connection.replay_window,
    )
    seed = Seed(nonces, is_requester=True, shared=shared)
    path = session.link.local, session.link.peer
    made = build(terms, session.keyring, seed, path, first_child.encapsulation(session))
    child = Child(made, method=chosen.method, replaces=asked.replaces)
    child = child.aging(state.connection.lifetimes, session.env.random, now)
    after, child = _resolve(state, child, lowest(*nonces))
    install = InstallChild(
        session.install_ticket(made.spi_in), state.connection.name, made, state.virtual_ips
    )
    return Step(replace(after, children=(*after.children, child)), (install,))


def _finish(asked: AskedChild, method: int, reply: Message) -> Secret | None:
    if asked.offer is None or not method:
        return None
    exchange = need(reply, KeyExchange)
    if method != asked.method or exchange.method != method:
        raise MalformedError(f"a key exchange by method {exchange.method}, not {asked.method}")
    return key_exchange(method).finish(asked.offer.private, exchange.data)


def _resolve(state: Established, child: Child, ours: bytes) -> tuple[Established, Child]:
    """Decide a simultaneous rekey: the lowest nonce was part of the redundant exchange (§2.8.1).

    Its creator deletes it, and the creator of the other one deletes the old child.
    """
    crossed = next((each for each in state.crossed if each.old == child.replaces), None)
    if crossed is None:
        return state, child
    left = tuple(each for each in state.crossed if each is not crossed)
    after = replace(state, crossed=left)
    if ours < crossed.lowest:
        queued = (*after.queued, DeleteChild(child.sa.spi_in))
        return replace(after, queued=queued), replace(child, replaces=0)
    return after, child


def _failed(state: Established, asked: AskedChild, failure: Notify, now: Instant) -> Step:
    """Take a refusal (§2.25): try again in another way or later, or see that the child is gone."""
    old = find(state, asked.replaces)
    if old is None or any(each.old == asked.replaces for each in state.crossed):
        return Step(state)
    name = state.connection.name
    match failure.type:
        case NotifyType.INVALID_KE_PAYLOAD if _may_use(state, asked, failure):
            again = RekeyChild(asked.replaces, int.from_bytes(failure.data))
            return Step(replace(state, queued=(again, *state.queued)))
        case NotifyType.CHILD_SA_NOT_FOUND:
            said = ChildFailed(name, "the peer has lost the Child SA that we rekey")
            after = replace(state, queued=(*state.queued, DeleteChild(asked.replaces)))
            return Step(after, (state.session.report(said),))
        case _:
            later = replace(old, rekey_at=now + RETRY)
            said = ChildFailed(name, f"rekeying: the peer says {failure.type.name}")
            return Step(change(state, later), (state.session.report(said),))


def _may_use(state: Established, asked: AskedChild, failure: Notify) -> bool:
    method = int.from_bytes(failure.data)
    offered = {code for spec in _specs(state.connection, asked.method) for code, _ in spec.ke}
    return len(failure.data) == 2 and method in offered and method != asked.method


# The peer rekeys ----------------------------------------------------------------------------------


def respond(
    state: Established, rekey: Notify, message: Message, datagram: Datagram, now: Instant
) -> Step:
    """Agree on the successor of a child; the answer leaves once the data plane can receive (§2.8).

    Raises:
        PeerError: the child is not there, is going, or what is asked for cannot be.
    """
    old = _rekeyed(state, rekey)
    REQUEST.check(message)
    chosen = choose(state, message)
    ts_i = narrow.narrow(need(message, TsI).selectors, old.sa.peer_ts)
    ts_r = narrow.narrow(need(message, TsR).selectors, old.sa.local_ts)
    method = chosen.method
    env, session = state.session.env, state.session
    public, shared = b"", None
    if method:
        exchange = need(message, KeyExchange)
        negotiate.check_key_exchange(method, exchange)
        public, shared = key_exchange(method).answer(env.random, exchange.data)
    nonces = need(message, Nonce).data, env.random.octets(NONCE_OCTETS)
    spi_in = env.new_esp_spi()
    window = state.connection.replay_window
    terms = Terms(spi_in, first_child.peer_spi(chosen), chosen.esp, ts_r, ts_i, window)
    path = datagram.local, datagram.peer
    seed = Seed(nonces, is_requester=False, shared=shared)
    made = build(terms, session.keyring, seed, path, first_child.encapsulation(session))
    payloads: tuple[Body, ...] = (
        chosen.answer(spi_in.to_bytes(SPI_OCTETS)),
        Nonce(nonces[1]),
        *((KeyExchange(KeMethod(method), public),) if method else ()),
        TsI(ts_i),
        TsR(ts_r),
    )
    child = Child(made, method=method, replaces=old.sa.spi_in)
    expires = now + (HALF_OPEN.length or 0.0)
    answering = Answering(message.header, path, payloads, child, nonces, expires)
    install = InstallChild(
        session.install_ticket(spi_in),
        state.connection.name,
        made,
        state.virtual_ips,
        is_standby=True,
    )
    return Step(replace(state, answering=answering), (install,))


def _rekeyed(state: Established, rekey: Notify) -> Child:
    """Return the child that REKEY_SA names by the peer's inbound SPI, our outbound one.

    Raises:
        ChildNotFoundError: there is none; its data is empty, the notify names the SPI.
        BusyError: we are deleting it.
    """
    spi = int.from_bytes(rekey.spi)
    old = next((child for child in state.children if child.sa.spi_out == spi), None)
    if rekey.protocol is not ProtocolId.ESP or old is None:
        raise ChildNotFoundError(f"no Child SA {spi:08x}", rekey.spi)
    if old.is_deleting:
        raise BusyError(f"Child SA {spi:08x} is being deleted")
    return old


def choose(state: Established, message: Message) -> negotiate.Choosing:
    """Return our choice for a Child SA with or without a key exchange, as the peer likes.

    Raises:
        NoProposalError: nothing in common.
    """
    offered = need(message, SecurityAssociation)
    exchange = message.one(KeyExchange)
    plain = tuple(replace(spec, ke=()) for spec in state.connection.esp)
    if exchange is None:
        return negotiate.choose(offered, plain)
    known = tuple(dict.fromkeys(choice for spec in state.connection.ike for choice in spec.ke))
    strong = tuple(replace(spec, ke=spec.ke or known) for spec in state.connection.esp)
    try:
        return negotiate.choose(offered, strong, prefer_ke=exchange.method)
    except NoProposalError:
        return negotiate.choose(offered, plain)


def refuse(state: Established, answering: Answering) -> Step:
    """Tell the peer that it cannot be now: the data plane does not take the new child (§2.25)."""
    session, actions = messages.respond(
        state.session, answering.asked, (Notify(NotifyType.TEMPORARY_FAILURE),), answering.path
    )
    removed = RemoveChild(session.sa, answering.child.sa.spi_in)
    return Step(replace(state, session=session, answering=None), (*actions, removed))


def installed(state: Established, answering: Answering, now: Instant) -> Step:
    """Answer: from now on the peer may send on the new child."""
    session, actions = messages.respond(
        state.session, answering.asked, answering.payloads, answering.path
    )
    child = answering.child.aging(state.connection.lifetimes, session.env.random, now)
    crossed = Crossed(child.replaces, child.sa.spi_in, lowest(*answering.nonces))
    is_crossing = isinstance(state.asked, AskedChild) and state.asked.replaces == child.replaces
    after = replace(
        state,
        session=session,
        answering=None,
        children=(*state.children, replace(child, is_installed=True, replaces=0)),
        crossed=(*state.crossed, crossed) if is_crossing else state.crossed,
    )
    old = find(after, child.replaces)
    if old is not None:
        # The peer deletes it; should it forget to, ours comes once it is due.
        after = change(after, replace(old, rekey_at=old.expires_at))
    return Step(after, actions)

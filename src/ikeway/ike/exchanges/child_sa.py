# SPDX-License-Identifier: Apache-2.0
"""Child SAs by CREATE_CHILD_SA: new ones and successors (RFC 7296 §1.3.1, §1.3.3, §2.8, §2.25)."""

from dataclasses import replace

from ikeway.crypto.kex import key_exchange
from ikeway.ike import first_child, messages, narrow, negotiate
from ikeway.ike.children import Child, Seed, Terms, build
from ikeway.ike.exchanges.nonces import NONCE_OCTETS, lowest
from ikeway.ike.io import Datagram, InstallChild, RemoveChild
from ikeway.ike.reports import ChildFailed
from ikeway.ike.shape import Shape, maybe, need, one
from ikeway.ike.states import Established, Step
from ikeway.ike.tasks import (
    Answering,
    AskedChild,
    CreateChild,
    Crossed,
    DeleteChild,
    RekeyChild,
    Task,
)
from ikeway.ike.timers import HALF_OPEN, INSTALL
from ikeway.model.errors import (
    BusyError,
    ChildNotFoundError,
    MalformedError,
    NoAdditionalSasError,
    NoProposalError,
)
from ikeway.model.secret import Secret
from ikeway.model.selectors import Selectors
from ikeway.model.time import Instant, Seconds
from ikeway.policy.connection import Connection, resolve_selectors
from ikeway.policy.proposals import ProposalSpec
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange, Nonce, Notify, SecurityAssociation, TsI, TsR
from ikeway.wire.registry import ExchangeType, KeMethod, NotifyType, ProtocolId

TYPE = ExchangeType.CREATE_CHILD_SA
REQUEST = Shape(one(SecurityAssociation), one(Nonce), maybe(KeyExchange), one(TsI), one(TsR))
RESPONSE = REQUEST
SPI_OCTETS = 4
CHILDREN_MOST = 64
RETRY: Seconds = 5.0
"""How long to leave a peer alone that says TEMPORARY_FAILURE (§2.25)."""


def find(state: Established, spi_in: int) -> Child | None:
    """Return the child with this inbound SPI."""
    return next((child for child in state.children if child.sa.spi_in == spi_in), None)


def change(state: Established, child: Child) -> Established:
    """Return the state with a child as it is now."""
    others = (child if each.sa.spi_in == child.sa.spi_in else each for each in state.children)
    return replace(state, children=tuple(others))


# We ask -------------------------------------------------------------------------------------------


def rekey(state: Established, task: RekeyChild, now: Instant) -> Step:
    """Ask for the successor of a child, with the same selectors (§2.9.2)."""
    old = find(state, task.spi_in)
    if old is None or old.is_deleting or old.is_replaced:
        return Step(state)
    wanted = CreateChild(old.sa.local_ts, old.sa.peer_ts, task.method)
    notify = Notify(
        NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=old.sa.spi_in.to_bytes(SPI_OCTETS)
    )
    return _request(state, wanted, old, (notify,), now)


def create(state: Established, task: CreateChild, now: Instant) -> Step:
    """Ask for one more child (§1.3.1)."""
    return _request(state, task, None, (), now)


def _request(
    state: Established,
    wanted: CreateChild,
    old: Child | None,
    lead: tuple[Body, ...],
    now: Instant,
) -> Step:
    env, connection = state.session.env, state.connection
    specs = _specs(connection, old.method if old else 0)
    methods = [code for spec in specs for code, _ in spec.ke]
    method = wanted.method or (methods[0] if methods else 0)
    offer = key_exchange(method).offer(env.random) if method else None
    spi_in, nonce = env.new_esp_spi(), env.random.octets(NONCE_OCTETS)
    replaces = old.sa.spi_in if old else 0
    asked = AskedChild(spi_in, replaces, wanted.local_ts, wanted.peer_ts, nonce, method, offer)
    payloads: tuple[Body, ...] = (
        *lead,
        negotiate.offer(specs, spi_in.to_bytes(SPI_OCTETS), with_ke=bool(method)),
        Nonce(nonce),
        *((KeyExchange(KeMethod(method), offer.public),) if offer else ()),
        TsI(wanted.local_ts),
        TsR(wanted.peer_ts),
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
    local_ts = first_child.granted(need(reply, TsI), asked.local_ts)
    peer_ts = first_child.granted(need(reply, TsR), asked.peer_ts)
    shared = _finish(asked, chosen.method, reply)
    spi_out = first_child.peer_spi(chosen)
    if spi_out in state.stillborn:
        return Step(replace(state, stillborn=(), crossed=()))
    state = replace(state, stillborn=())
    session = state.session
    nonces = asked.nonce, need(reply, Nonce).data
    terms = Terms(
        asked.spi_in,
        spi_out,
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
    child = child.installing(now + (INSTALL.length or 0.0))
    old = find(state, asked.replaces)
    if old is not None:
        state = change(state, replace(old, is_replaced=True, rekey_at=old.expires_at))
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
        return replace(after, queued=queued), replace(child, replaces=0, is_replaced=True)
    theirs = find(after, crossed.new)
    if theirs is not None:
        after = change(after, replace(theirs, is_replaced=True, rekey_at=theirs.expires_at))
    return after, child


def _failed(state: Established, asked: AskedChild, failure: Notify, now: Instant) -> Step:
    """Take a refusal (§2.25): try again in another way or later, or see that the child is gone."""
    old = find(state, asked.replaces)
    said = state.session.report(
        ChildFailed(state.connection.name, f"the peer says {failure.type.name}")
    )
    if failure.type is NotifyType.INVALID_KE_PAYLOAD and _may_use(state, asked, failure):
        return _again(state, asked, int.from_bytes(failure.data))
    if old is None or any(each.old == asked.replaces for each in state.crossed):
        return Step(replace(state, crossed=()), (said,) if old is None else ())
    if failure.type is NotifyType.CHILD_SA_NOT_FOUND:
        left = tuple(child for child in state.children if child is not old)
        anew = CreateChild(old.sa.local_ts, old.sa.peer_ts)
        after = replace(state, children=left, queued=(anew, *state.queued))
        return Step(after, (RemoveChild(state.session.sa, old.sa.spi_in), said))
    return Step(change(state, replace(old, rekey_at=now + RETRY)), (said,))


def _again(state: Established, asked: AskedChild, method: int) -> Step:
    task: Task = CreateChild(asked.local_ts, asked.peer_ts, method)
    if asked.replaces:
        task = RekeyChild(asked.replaces, method)
    return Step(replace(state, queued=(task, *state.queued)))


def _may_use(state: Established, asked: AskedChild, failure: Notify) -> bool:
    method = int.from_bytes(failure.data)
    offered = {code for spec in _specs(state.connection, asked.method) for code, _ in spec.ke}
    return len(failure.data) == 2 and method in offered and method != asked.method


# The peer asks ------------------------------------------------------------------------------------


def respond(state: Established, message: Message, datagram: Datagram, now: Instant) -> Step:
    """Agree on a child; the answer leaves once the data plane can receive (§2.8).

    Raises:
        PeerError: the child to rekey is not there, or what is asked for cannot be.
    """
    rekeyed = message.notify(NotifyType.REKEY_SA)
    old = _rekeyed(state, rekeyed) if rekeyed is not None else None
    REQUEST.check(message)
    if old is None and len(state.children) >= CHILDREN_MOST:
        raise NoAdditionalSasError(f"{len(state.children)} Child SAs are enough")
    chosen = choose(state, message)
    local, peer = (old.sa.local_ts, old.sa.peer_ts) if old else _allowed(state)
    ts_i = narrow.narrow(need(message, TsI).selectors, peer)
    ts_r = narrow.narrow(need(message, TsR).selectors, local)
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
    child = Child(made, method=method, replaces=old.sa.spi_in if old else 0)
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


def _allowed(state: Established) -> tuple[Selectors, Selectors]:
    """Return what the connection allows on our side and on the peer's."""
    connection, link = state.connection, state.session.link
    ours = state.virtual_ips if connection.virtual_ips else (link.local.address,)
    theirs = state.virtual_ips if connection.pool else (link.peer.address,)
    return (
        resolve_selectors(connection.local_ts, ours),
        resolve_selectors(connection.peer_ts, theirs),
    )


def _rekeyed(state: Established, rekey: Notify) -> Child:
    """Return the child that REKEY_SA names by the peer's inbound SPI, our outbound one.

    Raises:
        ChildNotFoundError: there is none; its data is empty, the notify names the SPI.
        BusyError: we are deleting it, it is replaced already, or it may be about to come.
    """
    spi = int.from_bytes(rekey.spi)
    old = next((child for child in state.children if child.sa.spi_out == spi), None)
    if old is None and isinstance(state.asked, AskedChild):
        raise BusyError(f"Child SA {spi:08x} may be the one that we have asked for")
    if rekey.protocol is not ProtocolId.ESP or old is None:
        raise ChildNotFoundError(f"no Child SA {spi:08x}", rekey.spi)
    if old.is_deleting or old.is_replaced:
        raise BusyError(f"Child SA {spi:08x} is going")
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
        after = change(after, replace(old, is_replaced=True, rekey_at=old.expires_at))
    return Step(after, actions)

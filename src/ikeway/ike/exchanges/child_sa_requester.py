# SPDX-License-Identifier: Apache-2.0
"""Asking for a Child SA, a new one or a successor (RFC 7296 §1.3.1, §1.3.3, §2.8.1, §2.25)."""

from dataclasses import replace

from ikeway.crypto.kex import key_exchange
from ikeway.ike import first_child, messages, negotiate, spending
from ikeway.ike.children import Child, Seed, Terms, build
from ikeway.ike.exchanges import informational
from ikeway.ike.exchanges.child_sa import (
    RESPONSE,
    RETRY,
    SPI_OCTETS,
    TYPE,
    change,
    find,
)
from ikeway.ike.exchanges.nonces import NONCE_OCTETS, lowest
from ikeway.ike.io import InstallChild, RemoveChild
from ikeway.ike.reports import ChildFailed
from ikeway.ike.shape import need
from ikeway.ike.states import Established, Step
from ikeway.ike.tasks import (
    AskedChild,
    CreateChild,
    RekeyChild,
    Task,
)
from ikeway.ike.timers import INSTALL
from ikeway.model.errors import (
    MalformedError,
)
from ikeway.model.secret import Secret
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection
from ikeway.policy.proposals import ProposalSpec
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Delete, KeyExchange, Nonce, Notify, SecurityAssociation, TsI, TsR
from ikeway.wire.registry import KeMethod, NotifyType, ProtocolId


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
    session, actions = messages.request(state.session, TYPE, payloads, timing, now, asked)
    return Step(replace(state, session=session), actions)


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
        return Step(_uncrossed(_without_stillborn(state, spi_out), asked))
    state = _without_stillborn(state, spi_out)
    session = state.session
    nonces = asked.nonce, need(reply, Nonce).data
    terms = Terms(
        asked.spi_in,
        spi_out,
        chosen.esp,
        local_ts,
        peer_ts,
        state.connection.replay_window,
        spending.limits(state.connection.lifetimes, chosen.esp, session.env.random),
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
    if child.is_replaced:
        return Step(after)
    install = InstallChild(
        session.install_ticket(made.spi_in), state.connection.name, made, state.virtual_ips
    )
    return Step(replace(after, children=(*after.children, child)), (install,))


def _without_stillborn(state: Established, spi_out: int) -> Established:
    """Return the state that knows what became of a child; others that we ask for may be to come."""
    pending = state.stillborn if state.asking(AskedChild) else ()
    return replace(state, stillborn=tuple(spi for spi in pending if spi != spi_out))


def _uncrossed(state: Established, asked: AskedChild) -> Established:
    """Return the state in which nothing crosses what we have asked for any more."""
    left = tuple(each for each in state.crossed if each.old != asked.replaces)
    return replace(state, crossed=left)


def _finish(asked: AskedChild, method: int, reply: Message) -> Secret | None:
    if asked.offer is None or not method:
        return None
    exchange = need(reply, KeyExchange)
    if method != asked.method or exchange.method != method:
        raise MalformedError(f"a key exchange by method {exchange.method}, not {asked.method}")
    return key_exchange(method).finish(asked.offer.private, exchange.data)


def _resolve(state: Established, child: Child, ours: bytes) -> tuple[Established, Child]:
    """Decide a simultaneous rekey: the lowest nonce was part of the redundant exchange (§2.8.1).

    Its creator deletes it, and the creator of the other one deletes the old child. The redundant
    one is not even installed: what we sent through it could arrive after our Delete.
    """
    crossed = next((each for each in state.crossed if each.old == child.replaces), None)
    if crossed is None:
        return state, child
    left = tuple(each for each in state.crossed if each is not crossed)
    after = replace(state, crossed=left)
    if ours < crossed.lowest:
        spi = child.sa.spi_in.to_bytes(SPI_OCTETS)
        told = informational.ask(after, (Delete(ProtocolId.ESP, SPI_OCTETS, (spi,)),))
        return told, replace(child, replaces=0, is_replaced=True)
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
        return Step(_uncrossed(state, asked), (said,) if old is None else ())
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

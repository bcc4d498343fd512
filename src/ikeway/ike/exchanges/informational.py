# SPDX-License-Identifier: Apache-2.0
"""INFORMATIONAL (RFC 7296 §1.4, §2.4): liveness, deletion of Child SAs and of the IKE SA."""

from dataclasses import replace

from ikeway.ike import ending, messages
from ikeway.ike.children import Child
from ikeway.ike.io import Datagram
from ikeway.ike.states import Established, State, Step
from ikeway.model.time import Instant
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Delete
from ikeway.wire.registry import ExchangeType, NotifyType, ProtocolId

TYPE = ExchangeType.INFORMATIONAL


def ask(state: Established, payloads: tuple[Body, ...], now: Instant) -> Step:
    """Send a request, as soon as the window allows (§2.3); an empty one checks liveness.

    What is asked already will tell as much as a liveness check, so none waits for its turn.
    """
    if not state.session.window.may_request:
        return Step(replace(state, queued=(*state.queued, payloads)) if payloads else state)
    timing = state.connection.retransmission
    session, actions = messages.request(state.session, TYPE, payloads, timing, now)
    return Step(replace(state, session=session), actions)


def check_liveness(state: State, now: Instant) -> Step:
    """Ask whether the peer is alive, where there is one (§2.4)."""
    return ask(state, (), now) if isinstance(state, Established) else Step(state)


def respond(state: Established, message: Message, datagram: Datagram, now: Instant) -> Step:
    """Answer a request, and do what it deletes."""
    path = datagram.local, datagram.peer
    if ends_sa(message):
        session, actions = messages.respond(state.session, message.header, (), path)
        failure = message.notify(NotifyType.AUTHENTICATION_FAILED)
        reason = "the peer could not authenticate us" if failure else "the peer deleted it"
        removed = ending.remove_children(session, state.connection, state.children, reason)
        name = state.connection.name
        closed = ending.closed(session.sa, name, reason, is_failure=failure is not None)
        return Step(ending.linger(session, now), (*actions, *removed, closed))
    gone = _deleted(state, message)
    spis = tuple(child.sa.spi_in.to_bytes(4) for child in gone)
    payloads = (Delete(ProtocolId.ESP, 4, spis),) if spis else ()
    session, actions = messages.respond(state.session, message.header, payloads, path)
    left = tuple(child for child in state.children if child not in gone)
    removed = ending.remove_children(session, state.connection, gone, "the peer deleted it")
    return Step(replace(state, session=session, children=left), (*actions, *removed))


def ends_sa(message: Message) -> bool:
    """Whether a request is the end of the IKE SA: a Delete, or our proof did not convince."""
    deletes_sa = any(body.protocol is ProtocolId.IKE for body in message.all(Delete))
    return deletes_sa or message.notify(NotifyType.AUTHENTICATION_FAILED) is not None


def _deleted(state: Established, message: Message) -> tuple[Child, ...]:
    """Return our children that the peer's inbound SPIs name: our outbound ones (§1.4.1)."""
    spis = {
        int.from_bytes(spi)
        for body in message.all(Delete)
        if body.protocol is ProtocolId.ESP
        for spi in body.spis
    }
    return tuple(child for child in state.children if child.sa.spi_out in spis)


def conclude(state: Established, reply: Message, now: Instant) -> Step:
    """Take the response: the peer is alive. INVALID_SYNTAX ends the SA (§2.21.3)."""
    if reply.notify(NotifyType.INVALID_SYNTAX) is not None:
        return ending.give_up(state, state.connection.name, "the peer says INVALID_SYNTAX")
    if not state.queued:
        return Step(state)
    payloads, *later = state.queued
    return ask(replace(state, queued=tuple(later)), payloads, now)

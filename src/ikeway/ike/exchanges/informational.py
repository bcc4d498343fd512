# SPDX-License-Identifier: Apache-2.0
"""INFORMATIONAL (RFC 7296 §1.4, §2.4): liveness, deletion of Child SAs and of the IKE SA."""

from dataclasses import replace

from ikeway.ike import (
    crash_detection,
    ending,
    invalid_message_id,
    messages,
    resumption,
    window_size,
)
from ikeway.ike.children import Child
from ikeway.ike.exchanges import rekey_ike
from ikeway.ike.io import ActivateChild, Datagram
from ikeway.ike.reports import Warned
from ikeway.ike.states import Established, Step
from ikeway.ike.tasks import Asked, AskedChild, DeleteChild, Inform
from ikeway.model.time import Instant
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Delete
from ikeway.wire.registry import ExchangeType, NotifyType, ProtocolId

TYPE = ExchangeType.INFORMATIONAL
STILLBORN_MOST = 16


def ask(state: Established, payloads: tuple[Body, ...]) -> Established:
    """Return the state that will send these payloads; an empty request checks liveness.

    What is asked already will tell as much as a liveness check, so none waits for its turn.
    """
    task = Inform(payloads)
    if task in state.queued or (not payloads and state.session.window.outstanding):
        return state
    return replace(state, queued=(*state.queued, task))


def send(state: Established, asked: Asked, payloads: tuple[Body, ...], now: Instant) -> Step:
    """Send a request now: the window has room."""
    timing = state.connection.retransmission
    if not payloads:
        timing = timing.for_liveness(state.connection.liveness)
    session, actions = messages.request(state.session, TYPE, payloads, timing, now, asked)
    return Step(window_size.promise(replace(state, session=session), payloads), actions)


def delete_child(state: Established, task: DeleteChild, now: Instant) -> Step:
    """Ask to delete a Child SA; it goes on receiving until the peer has answered (§1.4.1)."""
    child = next((each for each in state.children if each.sa.spi_in == task.spi_in), None)
    if child is None or child.is_deleting:
        return Step(state)
    going = replace(child, is_deleting=True)
    children = tuple(going if each is child else each for each in state.children)
    payload = Delete(child.protocol, 4, (task.spi_in.to_bytes(4),))
    return send(replace(state, children=children), task, (payload,), now)


def end(state: Established, message: Message, datagram: Datagram, now: Instant) -> Step:
    """Answer the request that ends the IKE SA."""
    path = datagram.local, datagram.peer
    session, actions = messages.respond(state.session, message.header, (), path)
    if state.rival is not None:
        # The peer's rekey has won, and it is done with this SA (§2.8.2).
        handed = rekey_ike.hand_over(replace(state, session=session), now)
        lingering = ending.linger(session, now)
        return Step(lingering, (*actions, *handed.actions), handed.offspring)
    failure = message.notify(NotifyType.AUTHENTICATION_FAILED)
    reason = "the peer could not authenticate us" if failure else "the peer deleted it"
    removed = ending.remove_all(state, reason)
    name = state.connection.name
    closed = ending.closed(session.sa, name, reason, is_failure=failure is not None)
    return Step(ending.linger(session, now), (*actions, *removed, closed))


def respond(
    state: Established,
    message: Message,
    datagram: Datagram,
    more: tuple[Body, ...],
    now: Instant,
) -> Step:
    """Answer any other request, and do what it deletes; `more` is what else it is told."""
    path = datagram.local, datagram.peer
    gone = _deleted(state, message)
    state = _note_stillborn(state, message)
    # What we are deleting ourselves is named in our own request, not in this response (§1.4.1).
    ours = _deletes(tuple(child for child in gone if not child.is_deleting))
    ticket = resumption.answer(state.resumption, _subject(state), message, now)
    payloads = (*more, *ticket.payloads, *ours)
    session, actions = messages.respond(state.session, message.header, payloads, path)
    complaint = invalid_message_id.reason(message)
    said = (session.report(Warned(complaint)),) if complaint else ()
    left = tuple(child for child in state.children if child not in gone)
    # Whoever deletes has the successor, and sends through it; ours may be on standby still. Until
    # the old one goes we would send into what the peer has closed.
    heirs = {child.heir for child in gone}
    active = (ActivateChild(session.sa, each.sa.spi_in) for each in left if each.sa.spi_in in heirs)
    done = tuple(replace(child, is_replaced=False) for child in gone)
    removed = ending.remove_children(session, state.connection, done, "the peer deleted it")
    told = crash_detection.learn(message, state.crash_tokens)
    kept = replace(
        state, session=session, children=left, crash_tokens=told, resumption=ticket.known
    )
    after = _forget_crossings(kept)
    return Step(after, (*said, *actions, *active, *removed))


def _forget_crossings(state: Established) -> Established:
    """Drop what is known of crossed rekeys that no rekey of ours needs any more."""
    asking = (*state.asking(AskedChild), *state.series.our_children)
    pending = {asked.replaces for asked in asking}
    return replace(state, crossed=tuple(each for each in state.crossed if each.old in pending))


def ends_sa(message: Message) -> bool:
    """Whether a request is the end of the IKE SA: a Delete, or our proof did not convince."""
    deletes_sa = any(body.protocol is ProtocolId.IKE for body in message.all(Delete))
    return deletes_sa or message.notify(NotifyType.AUTHENTICATION_FAILED) is not None


def _deleted(state: Established, message: Message) -> tuple[Child, ...]:
    """Return our children that the peer's inbound SPIs name: our outbound ones (§1.4.1)."""
    named = _named(message)
    return tuple(one for one in state.children if (one.protocol, one.sa.spi_out) in named)


def _deletes(children: tuple[Child, ...]) -> tuple[Delete, ...]:
    """Return a payload for each protocol that there is among them (§3.11)."""
    protocols = dict.fromkeys(child.protocol for child in children)
    return tuple(
        Delete(
            each, 4, tuple(one.sa.spi_in.to_bytes(4) for one in children if one.protocol is each)
        )
        for each in protocols
    )


def _named(message: Message) -> set[tuple[ProtocolId, int]]:
    """Return what the peer deletes, by protocol and SPI: several protocols may have the same."""
    return {
        (body.protocol, int.from_bytes(spi))
        for body in message.all(Delete)
        if body.protocol is not ProtocolId.IKE
        for spi in body.spis
    }


def _note_stillborn(state: Established, message: Message) -> Established:
    """Remember what the peer deletes before we know, or have inherited, that it was made."""
    is_asking = state.asking(AskedChild) or state.series.our_children
    if not (is_asking or state.is_provisional):
        return state
    known = {child.sa.spi_out for child in state.children}
    spis = {spi for _, spi in _named(message)}
    unknown = dict.fromkeys((*state.stillborn, *sorted(spis - known)))
    return replace(state, stillborn=tuple(unknown)[-STILLBORN_MOST:])


def _subject(state: Established) -> resumption.Subject:
    """Return whose tickets are asked for and given on this IKE SA (RFC 5723 §4.1)."""
    ends = state.local_id, state.peer_id
    client, gateway = ends if state.resumption.asks else ends[::-1]
    return resumption.Subject(state.session, state.connection, client, gateway)


def conclude(state: Established, asked: Inform | DeleteChild, reply: Message, now: Instant) -> Step:
    """Take the response: the peer is alive, and may have given a ticket."""
    if isinstance(asked, Inform):
        known = resumption.learn(state.resumption, _subject(state), reply, now)
        return Step(replace(state, resumption=known))
    gone = tuple(child for child in state.children if child.sa.spi_in == asked.spi_in)
    left = tuple(child for child in state.children if child not in gone)
    removed = ending.remove_children(state.session, state.connection, gone, "replaced or spent")
    return Step(replace(state, children=left), removed)

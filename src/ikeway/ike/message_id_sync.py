# SPDX-License-Identifier: Apache-2.0
"""Message IDs after one host took over an IKE SA of another (RFC 6311 §5.1, §9).

Who takes over, the member, knows an older state of the SA than the peer. It says which message ID
it will send next (M1) and which it expects (P1); the peer answers with the higher of these and of
what it knows itself (M2, P2). That exchange has the message ID 0, apart from all windows.
"""

from dataclasses import dataclass, replace
from typing import Final

from ikeway.ike import following, fragments, messages
from ikeway.ike.io import Action, Datagram, RemoveChild
from ikeway.ike.reports import Dropped, MessageSent, Warned
from ikeway.ike.session import Session
from ikeway.ike.states import Established, Step
from ikeway.ike.tasks import (
    Asked,
    AskedCheck,
    AskedChild,
    AskedFollow,
    AskedIke,
    AskedMove,
    AskedSync,
    CheckReturn,
    DeleteChild,
    Inform,
    RekeyIke,
    Task,
    TellAddresses,
)
from ikeway.ike.window import MESSAGE_ID_LAST, Outstanding, Window
from ikeway.model.address import Endpoint
from ikeway.model.time import Instant
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType

TYPE: Final = ExchangeType.INFORMATIONAL
NONCE_OCTETS: Final = 4
DATA_OCTETS: Final = NONCE_OCTETS + 4 + 4
IDS_SKIPPED: Final = 1024
"""How many requests the one before may have sent that we never heard of; M1 "MUST be ... larger
than any value known to have been used", or the peer takes it for a replay."""
IVS_SKIPPED: Final = 1 << 32
"""IVs are counters that must not repeat under a key, whoever used them before (RFC 6311 §3.4)."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What an IKEV2_MESSAGE_ID_SYNC says: the sender's next request, and the one it expects."""

    nonce: bytes
    send: int
    receive: int

    @classmethod
    def of(cls, message: Message) -> "Counters | None":
        """Return what a message says, if it has that notify and nothing else (§5.1)."""
        match message.payloads:
            case (Notify(type=NotifyType.IKEV2_MESSAGE_ID_SYNC, data=data),):
                pass
            case _:
                return None
        if len(data) != DATA_OCTETS:
            return None
        send, receive = data[NONCE_OCTETS : NONCE_OCTETS + 4], data[NONCE_OCTETS + 4 :]
        return cls(data[:NONCE_OCTETS], int.from_bytes(send), int.from_bytes(receive))

    @property
    def notify(self) -> Notify:
        """The payload."""
        data = self.nonce + self.send.to_bytes(4) + self.receive.to_bytes(4)
        return Notify(NotifyType.IKEV2_MESSAGE_ID_SYNC, data)


# The member that has taken over -------------------------------------------------------------------


def start(state: Established, now: Instant) -> Step:
    """Ask for synchronisation, with IDs and IVs that nobody can have used."""
    session = state.session
    if not session.agreed.message_id_sync:
        said = Warned("the peer cannot synchronise message IDs (RFC 6311)")
        return Step(state, (session.report(said),))
    if state.asking(AskedSync):
        return Step(state)
    keyring = replace(session.keyring, sealed=session.keyring.sealed + IVS_SKIPPED)
    window = _skipping(session.window)
    after, actions = _forget(replace(state, session=replace(session, keyring=keyring)))
    window = replace(window, outstanding=(), answered=())
    ready = replace(after, session=replace(after.session, window=window))
    step = _ask(ready, None, now)
    return replace(step, actions=(*actions, *step.actions))


def again(state: Established, before: Outstanding, now: Instant) -> Step | None:
    """Ask again, with higher IDs, for the peer drops what it has seen before; None to give up."""
    timing = state.connection.retransmission
    repeated = before.again(timing, now)
    if repeated is None:
        return None
    session = state.session
    ahead = replace(session, window=_skipping(session.window))
    return _ask(replace(state, session=ahead), repeated, now)


def _skipping(window: Window) -> Window:
    """Return the window with message IDs that are unused; at their end the SA ends (§2.2)."""
    skipped = min(window.next_request + IDS_SKIPPED, MESSAGE_ID_LAST)
    return replace(window, next_request=skipped)


def _ask(state: Established, repeated: Outstanding | None, now: Instant) -> Step:
    session, window = state.session, state.session.window
    nonce = session.env.random.octets(NONCE_OCTETS)
    counters = Counters(nonce, window.next_request, window.expected)
    asked = AskedSync(nonce, counters.send, counters.receive)
    session, octets, actions = _sealed(session, counters, is_response=False)
    timing = state.connection.retransmission
    outstanding = repeated or Outstanding.first(0, TYPE, octets, timing, now)
    outstanding = replace(outstanding, datagrams=octets, asked=asked)
    window = replace(window, outstanding=(outstanding,))
    return Step(replace(state, session=replace(session, window=window)), actions)


def conclude(state: Established, asked: AskedSync, reply: Message, datagram: Datagram) -> Step:
    """Take the response: both sides go on with the IDs that it names.

    Any other response is "silently dropped", a second one too (§5.1).
    """
    found = Counters.of(reply)
    if found is None or found.nonce != asked.nonce:
        return _drop(state, datagram, "a synchronisation that is not the one asked for")
    if found.receive < asked.send or found.send < asked.receive:
        return _drop(state, datagram, "a synchronisation backwards")
    return Step(_moved(state, next_request=found.receive, expected=found.send))


# The peer -----------------------------------------------------------------------------------------


def respond(state: Established, message: Message, datagram: Datagram) -> Step:
    """Answer with the higher IDs, and wait for nothing that was under way (§5.1, §9)."""
    found, window = Counters.of(message), state.session.window
    if found is None:
        return _drop(state, datagram, "a synchronisation with other payloads")
    newest = max((number for number, _ in window.answered), default=window.expected - 1)
    highest = max(newest, window.expected - 1, state.synchronised)
    if found.send <= highest:
        return _drop(state, datagram, f"a synchronisation with message ID {found.send} again")
    answer = Counters(
        found.nonce,
        send=max(found.receive, window.next_request),
        receive=max(found.send, highest + 1),
    )
    after, actions = _forget(state)
    moved = _moved(after, next_request=answer.send, expected=answer.receive)
    path = datagram.local, datagram.peer
    session, _, sent = _sealed(moved.session, answer, is_response=True, path=path)
    return Step(replace(moved, session=session, synchronised=found.send), (*actions, *sent))


# Both ---------------------------------------------------------------------------------------------


def _moved(state: Established, next_request: int, expected: int) -> Established:
    before = state.session.window
    window = Window(next_request, expected, size=before.size, peer_size=before.peer_size)
    return replace(state, session=replace(state.session, window=window))


def _forget(state: Established) -> tuple[Established, tuple[Action, ...]]:
    """Return the state in which nothing is under way; what we had asked is asked once more."""
    outstanding = state.session.window.outstanding
    state = following.restart(state)
    anew = tuple(task for each in outstanding for task in _anew(each.asked))
    going = {task.spi_in for task in anew if isinstance(task, DeleteChild)}
    children = tuple(
        replace(child, is_deleting=False) if child.sa.spi_in in going else child
        for child in state.children
    )
    sa, coming = state.session.sa, [each.child.sa.spi_in for each in state.answering]
    after = replace(
        state, children=children, queued=(*anew, *state.queued), answering=(), crossed=()
    )
    return after, tuple(RemoveChild(sa, spi) for spi in coming)


def _anew(asked: Asked | None) -> tuple[Task, ...]:
    match asked:
        case Inform() | DeleteChild():
            return (asked,)
        case AskedChild():
            return (asked.anew,)
        case AskedIke():
            return (RekeyIke(),)
        case AskedMove(is_update):
            return (TellAddresses(is_update),)
        case AskedCheck(peer):
            return (CheckReturn(peer),)
        case AskedFollow() | AskedSync() | None:
            return ()


def _sealed(
    session: Session,
    counters: Counters,
    *,
    is_response: bool,
    path: tuple[Endpoint, Endpoint] | None = None,
) -> tuple[Session, fragments.Datagrams, tuple[Action, ...]]:
    """Return the message, which is never fragmented (RFC 7383 §3)."""
    head = messages.header(session.link, TYPE, 0, is_response=is_response)
    payloads = (counters.notify,)
    keyring, octets = session.keyring.seal(head, payloads, session.env.random)
    way = path or (session.link.local, session.link.peer)
    sent = session.report(MessageSent(Message(head, payloads), way[1], len(octets)))
    return replace(session, keyring=keyring), (octets,), (*messages.send(way, (octets,)), sent)


def _drop(state: Established, datagram: Datagram, reason: str) -> Step:
    return Step(state, (state.session.report(Dropped(reason, datagram.peer)),))

# SPDX-License-Identifier: Apache-2.0
"""Changing the path of an IKE SA: who is followed, and what moves along (RFC 4555 §3.5, §3.8).

RFC 7296 §2.23: without MOBIKE, who is behind no NAT follows a peer that sends from elsewhere.
"""

from dataclasses import dataclass, replace
from typing import Final

from ikeway.ike import messages, tasks
from ikeway.ike.building import encapsulation
from ikeway.ike.children import Child
from ikeway.ike.exchanges import informational
from ikeway.ike.features.nat_traversal import float_port
from ikeway.ike.io import Action, Datagram, MigrateChild, PeerSeen
from ikeway.ike.mobility import FOLLOW_EVERY, PROBE_AFTER
from ikeway.ike.reports import Moved, Warned
from ikeway.ike.session import Link, Session
from ikeway.ike.states import Established, Step
from ikeway.ike.window import Outstanding
from ikeway.model.address import Endpoint
from ikeway.model.esp import ChildSa, Encapsulation
from ikeway.model.time import Instant
from ikeway.wire.message import Header


@dataclass(frozen=True, slots=True)
class Change:
    """An established IKE SA after a part of a move, and what that takes."""

    state: Established
    actions: tuple[Action, ...] = ()

    @property
    def step(self) -> Step:
        """The same as a step, once no other part follows."""
        return Step(self.state, self.actions)


PEER_MOVED: Final = "the peer has moved"

# Following the peer without MOBIKE (RFC 7296 §2.23) -----------------------------------------------


def follow(state: Established, header: Header, datagram: Datagram, now: Instant) -> Change:
    """Go where an authentic message came from, if it is the newest and comes from elsewhere."""
    is_elsewhere = datagram.peer != state.session.link.peer
    if not is_elsewhere or not _may_follow(state, now) or not _is_newest(state, header):
        return Change(state)
    return _followed(state, datagram.local, datagram.peer, now)


def seen(state: Established, event: PeerSeen, now: Instant) -> Step:
    """Take a packet that came from elsewhere: follow it, check it, or see whether all is well.

    With MOBIKE the responder makes sure first that the peer is there (RFC 4555 §3.7). A packet that
    is no reason to follow may have been redirected: then the peer is asked whether it is well, for
    such packets are no sign of that (RFC 4555 §3.12).
    """
    session = state.session
    child = next((each for each in state.children if each.sa.spi_in == event.spi_in), None)
    if child is None or event.peer == session.link.peer:
        return Step(state)
    is_safe = child.sa.replay_window > 0 and not session.agreed.nat.local
    if is_safe and session.agreed.mobike and not state.mobility.chooses:
        is_asked = any(asked.peer == event.peer for asked in state.asking(tasks.AskedCheck))
        return Step(state if is_asked else front(state, tasks.CheckReturn(event.peer)))
    if is_safe and _may_follow(state, now):
        return _followed(state, session.link.local, event.peer, now).step
    return Step(informational.ask(state, ()))


def _may_follow(state: Established, now: Instant) -> bool:
    """Whether we are behind no NAT, as far as we know, and MOBIKE does not do it better."""
    agreed = state.session.agreed
    is_open = agreed.nat.is_spoken and not agreed.nat.local and not agreed.mobike
    return is_open and now >= state.mobility.followed_at + FOLLOW_EVERY


def _is_newest(state: Established, header: Header) -> bool:
    """Whether no later message of the peer was there before; old ones may have been held back."""
    window = state.session.window
    if header.is_response:
        return all(each.message_id <= header.message_id for each in window.outstanding)
    return all(number < header.message_id for number, _ in window.answered)


def _followed(state: Established, local: Endpoint, peer: Endpoint, now: Instant) -> Change:
    mobility = replace(state.mobility, followed_at=now)
    return carry(relink(replace(state, mobility=mobility), local, peer, PEER_MOVED, now))


# What a move consists of --------------------------------------------------------------------------


def relink(
    state: Established, local: Endpoint, peer: Endpoint, reason: str, now: Instant
) -> Change:
    """Return the IKE SA on another path: what is asked goes out on it at once (RFC 4555 §3.5)."""
    session, mobility = state.session, state.mobility
    link = replace(session.link, local=local, peer=peer)
    voided = tuple(_void(each) for each in session.window.outstanding)
    moved = replace(session, link=link, window=replace(session.window, outstanding=voided))
    after = replace(state, session=moved, mobility=replace(mobility, moves=mobility.moves + 1))
    if state.asking(tasks.AskedMove):
        after = unsettled(after)
    report = moved.report(Moved(state.connection.name, local, peer, reason))
    resent = hurry(after, now)
    return Change(resent.state, (report, *resent.actions))


def unsettled(state: Established) -> Established:
    """Return the state in which the peer has to hear of our addresses anew.

    What we said last left from several of them, or from one that we have left (RFC 4555 §3.6).
    """
    mobility = replace(state.mobility, told=None, moves=state.mobility.moves + 1)
    task = tasks.TellAddresses(is_update=state.mobility.chooses)
    return front(replace(state, mobility=mobility), task)


def hurry(state: Established, now: Instant) -> Change:
    """Send what has no answer once more at once, with new patience: there may be a way now."""
    session = state.session
    window = session.window.anew(state.connection.retransmission, now)
    sends = tuple(
        action for each in window.outstanding for action in over(destined(session, each), each)
    )
    return Change(replace(state, session=replace(session, window=window)), sends)


def over(link: Link, outstanding: Outstanding) -> tuple[Action, ...]:
    """Return what sends a request of ours over a path of its own."""
    return messages.send((link.local, link.peer), outstanding.datagrams)


def destined(session: Session, outstanding: Outstanding) -> Link:
    """Return where a request of ours goes: a check goes to the place that it is about."""
    asked = outstanding.asked
    if isinstance(asked, tasks.AskedCheck) and not asked.is_void:
        return replace(session.link, peer=asked.peer)
    return session.link


def again(session: Session, outstanding: Outstanding) -> Outstanding:
    """Return a request as it is sent once more: nobody at the new place answers the check.

    From now on it goes to the peer as we know it, and whatever comes back proves nothing. Where the
    IKE SA is at that place already, there is no other one to ask, however slow the answer is.
    """
    is_late = outstanding.sent > PROBE_AFTER
    is_elsewhere = destined(session, outstanding) != session.link
    return _void(outstanding) if is_late and is_elsewhere else outstanding


def _void(outstanding: Outstanding) -> Outstanding:
    asked = outstanding.asked
    if isinstance(asked, tasks.AskedCheck):
        return replace(outstanding, asked=replace(asked, is_void=True))
    return outstanding


def is_there(state: Established, child: Child) -> bool:
    """Whether a Child SA sends to where the peer of its IKE SA is."""
    return child.sa.peer == placed(state.session, child.sa).peer


def warned(state: Established, reason: str) -> Action:
    """Return the report of something that stops nothing."""
    return state.session.report(Warned(reason))


def carry(change: Change) -> Change:
    """Let the Child SAs follow the IKE SA, and its use of UDP for ESP (RFC 4555 §3.5)."""
    state, actions = change.state, list(change.actions)
    children = []
    for child in state.children:
        children.append(replace(child, sa=placed(state.session, child.sa)))
        actions += _migration(state, child, children[-1])
    answering = []
    for each in state.answering:
        there = replace(each.child, sa=placed(state.session, each.child.sa))
        answering.append(replace(each, child=there))
        actions += _migration(state, each.child, there)
    after = replace(state, children=tuple(children), answering=tuple(answering))
    return _leave_behind(Change(after, tuple(actions)))


def _leave_behind(change: Change) -> Change:
    """Delete the Child SAs of AH that have come behind a NAT: no packet of theirs arrives."""
    state, actions = change.state, change.actions
    if encapsulation(state.session) is not Encapsulation.UDP:
        return change
    for child in state.children:
        if child.sa.suite.is_ah and not child.is_deleting:
            state = front(state, tasks.DeleteChild(child.sa.spi_in))
            actions = (*actions, warned(state, f"Child SA {child.name}: AH does not pass a NAT"))
    return Change(state, actions)


def placed(session: Session, child: ChildSa) -> ChildSa:
    """Return a Child SA where its IKE SA is; ESP in UDP is never on port 500 (RFC 3948 §2.1)."""
    link, port = session.link, session.env.nat_port
    carried = Encapsulation.NONE if child.suite.is_ah else encapsulation(session)
    local, peer = link.local, link.peer
    if carried is Encapsulation.UDP:
        local, peer = float_port(local, port), float_port(peer, port)
    return replace(child, local=local, peer=peer, encapsulation=carried)


def _migration(state: Established, before: Child, after: Child) -> tuple[Action, ...]:
    if before.sa == after.sa:
        return ()
    ends = after.sa.local, after.sa.peer
    return (MigrateChild(state.session.sa, after.sa.spi_in, *ends, after.sa.encapsulation),)


def front(state: Established, task: tasks.Task) -> Established:
    """Return the state that asks this next, once."""
    left = tuple(each for each in state.queued if each != task)
    return replace(state, queued=(task, *left))

# SPDX-License-Identifier: Apache-2.0
"""What an established IKE SA asks next, when its window is free (RFC 7296 §2.3, §2.8)."""

from dataclasses import replace

from ikeway.ike import ending, wanted
from ikeway.ike.children import Wish
from ikeway.ike.exchanges import (
    address_update,
    child_sa_requester,
    followup_ke,
    informational,
    rekey_ike_requester,
)
from ikeway.ike.io import Action, AddChild, CheckLiveness, CloseChild, Rekey
from ikeway.ike.reports import ChildFailed
from ikeway.ike.states import Established, State, Step
from ikeway.ike.tasks import (
    AskedChild,
    AskedIke,
    CheckReturn,
    CreateChild,
    DeleteChild,
    End,
    Follow,
    Inform,
    RekeyChild,
    RekeyIke,
    Task,
    TellAddresses,
)
from ikeway.model.time import Instant


def want(state: Established, task: Task) -> Established:
    """Return the state that has one more thing to ask; the same thing is asked once."""
    known = *state.queued, *(each.task for each in state.postponed)
    return state if task in known else replace(state, queued=(*state.queued, task))


def proceed(state: State, now: Instant) -> Step:
    """Ask what is next, if something is, the window allows, and nothing is in its way."""
    actions: tuple[Action, ...] = ()
    if isinstance(state, Established):
        if wanted.is_spent(state):
            return ending.delete(state, "the peer makes no more Child SAs on it", now)
        state = wanted.look(state, now)
    while (
        isinstance(state, Established)
        and state.queued
        and state.session.window.may_request
        and not state.session.window.is_spent
        and not _is_blocked(state, state.queued[0])
    ):
        task, *later = state.queued
        step = _ask(replace(state, queued=tuple(later)), task, now)
        state, actions = step.state, actions + step.actions
    return Step(state, actions)


def _is_blocked(state: Established, task: Task) -> bool:
    """Whether a task has to wait for what is under way, however wide the window is.

    Requests may pass one another on their way (§2.3): those that would change the same thing wait
    for each other. An IKE SA is rekeyed when nothing else is under way, and nothing is asked
    meanwhile, because all of it would be about an SA that goes (§2.25.1, §2.25.2).
    """
    is_ending = state.asking(AskedIke) or state.series.our_ike
    if state.answering or is_ending:
        return not isinstance(task, Follow)
    match task:
        case RekeyIke():
            is_changing = any(not child.is_installed for child in state.children)
            is_changing = is_changing or not state.series.is_empty
            return is_changing or bool(state.session.window.outstanding)
        case DeleteChild(spi_in) | RekeyChild(spi_in):
            is_asked = any(asked.replaces == spi_in for asked in state.asking(AskedChild))
            is_held = state.series.their_ike is not None or state.series.rekeys(spi_in)
            return is_asked or is_held
        case CreateChild():
            return state.series.their_ike is not None
        case End():
            return bool(state.session.window.outstanding)
        case Inform() | Follow() | TellAddresses() | CheckReturn():
            return False


def _ask(state: Established, task: Task, now: Instant) -> Step:
    match task:
        case Inform(payloads):
            said = payloads or address_update.liveness(state)
            return informational.send(state, task, said, now)
        case TellAddresses() | CheckReturn():
            return address_update.ask(state, task, now)
        case RekeyIke():
            return rekey_ike_requester.request(state, task, now)
        case Follow():
            return followup_ke.request(state, task, now)
        case DeleteChild() | RekeyChild() | CreateChild():
            return _ask_of_child(state, task, now)
        case End(reason):
            return ending.delete(state, reason, now)


def _ask_of_child(
    state: Established, task: DeleteChild | RekeyChild | CreateChild, now: Instant
) -> Step:
    match task:
        case DeleteChild():
            return informational.delete_child(state, task, now)
        case RekeyChild():
            return child_sa_requester.rekey(state, task, now)
        case CreateChild(name, unless_present=True) if name in wanted.present(state):
            return Step(state)
        case CreateChild():
            return child_sa_requester.create(state, task, now)


def command(
    state: State, wish: CheckLiveness | Rekey | AddChild | CloseChild, now: Instant
) -> Step:
    """Want what somebody here wishes, where that can be.

    Nothing is asked on an IKE SA that may not come to be: its only timer is that of its end.
    """
    if not isinstance(state, Established) or state.is_provisional:
        return Step(state)
    match wish:
        case CheckLiveness():
            return Step(informational.ask(state, ()))
        case Rekey(spi_in):
            return Step(want(state, RekeyChild(spi_in) if spi_in else RekeyIke()))
        case AddChild(wanted_child):
            return _add(state, wanted_child)
        case CloseChild(spi_in, with_last):
            return _close(state, spi_in, now, with_last=with_last)


def _close(state: Established, spi_in: int, now: Instant, *, with_last: bool) -> Step:
    """Want a Child SA gone, and with the last one the IKE SA if that is wished."""
    gone = [child for child in state.children if child.sa.spi_in == spi_in]
    if with_last and gone and len(state.children) == 1:
        return ending.delete(state, "nothing went through it for a while", now)
    for child in gone:
        state = wanted.dismiss(state, child.name)
    return Step(want(state, DeleteChild(spi_in)))


def _add(state: Established, wish: Wish) -> Step:
    """Want one more Child SA, unless the like is under way or the peer makes no more."""
    if state.wanted.is_refused:
        reason = "the peer makes no more Child SAs on this IKE SA"
        return Step(state, (state.session.report(ChildFailed(state.connection.name, reason)),))
    state = wanted.recall(state, wish.child)
    if wish.child in wanted.pending(state):
        return Step(state)
    task = CreateChild(wish.child, wish.trigger, unless_present=wish.trigger is None)
    return Step(want(state, task))

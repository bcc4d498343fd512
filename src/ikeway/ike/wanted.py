# SPDX-License-Identifier: Apache-2.0
"""The Child SAs that this side keeps on an IKE SA: what is lost is asked for again (RFC 7296 §1.3).

Who started the IKE SA makes no difference, but for one thing: its initiator asks first. A peer that
says NO_ADDITIONAL_SAS is asked for no more of them on this IKE SA.
"""

import math
from dataclasses import replace
from typing import Final

from ikeway.ike.states import Established
from ikeway.ike.tasks import AskedChild, CreateChild, Retry, Wanted
from ikeway.model.time import Instant, Seconds
from ikeway.policy.connection import Connection, Start

BACK_OFF: Final[tuple[Seconds, ...]] = (1.0, 2.0, 5.0, 10.0, 30.0)
"""How long to wait before a Child SA is asked for again; the last goes on for ever."""
PRECEDENCE: Final[Seconds] = 3.0
"""How much longer the responder of an IKE SA waits: two that want the same do not both ask."""


def begin(state: Established, first: str, others: tuple[str, ...]) -> Established:
    """Return the state of an IKE SA that we started: it asks for the other Child SAs next."""
    names = first, *others
    kept = tuple(name for name in names if state.connection.child(name).start is Start.NOW)
    more = tuple(CreateChild(name) for name in others)
    # What was closed on purpose on an IKE SA that this one takes over from, see `anew`.
    dismissed = tuple(
        policy.name
        for policy in _written(state).children
        if policy.start is not state.connection.child(policy.name).start
    )
    return replace(state, wanted=Wanted(kept, dismissed), queued=(*state.queued, *more))


def adopt(state: Established) -> Established:
    """Return the state of an IKE SA that the peer started: what it leaves out is asked for."""
    policies = state.connection.child_policies
    kept = tuple(policy.name for policy in policies if policy.start is Start.NOW)
    return replace(state, wanted=Wanted(kept)) if kept else state


def _written(state: Established) -> Connection:
    """Return the connection as the operator wrote it."""
    connections, name = state.session.env.connections, state.connection.name
    return next((each for each in connections if each.name == name), state.connection)


def look(state: Established, now: Instant) -> Established:
    """Return the state that will ask again for each kept Child SA that is lost."""
    wanted = state.wanted
    if not wanted.kept or wanted.is_refused or state.is_provisional:
        return state
    there = present(state)
    missing = set(wanted.kept) - there - pending(state)
    later = 0.0 if state.session.link.is_initiator else PRECEDENCE
    known = {retry.name: retry for retry in wanted.retries if retry.name not in there}
    for name in wanted.kept:
        if name in missing and (name not in known or known[name].at == math.inf):
            failures = known[name].failures + 1 if name in known else 0
            wait = BACK_OFF[min(failures, len(BACK_OFF) - 1)]
            known[name] = Retry(name, now + wait + later, failures)
    retries = tuple(known.values())
    return state if retries == wanted.retries else _with(state, retries)


def due(state: Established, now: Instant) -> Established:
    """Return the state that asks for what has waited long enough."""
    over = tuple(retry for retry in state.wanted.retries if retry.at <= now)
    if not over:
        return state
    left = tuple(
        replace(retry, at=math.inf) if retry in over else retry for retry in state.wanted.retries
    )
    tasks = tuple(CreateChild(retry.name, unless_present=True) for retry in over)
    return replace(_with(state, left), queued=(*state.queued, *tasks))


def dismiss(state: Established, name: str) -> Established:
    """Return the state that keeps a Child SA up no more: somebody here closes it on purpose."""
    wanted = state.wanted
    if name not in wanted.kept:
        return state
    kept = tuple(each for each in wanted.kept if each != name)
    retries = tuple(retry for retry in wanted.retries if retry.name != name)
    less = replace(wanted, kept=kept, retries=retries, dismissed=(*wanted.dismissed, name))
    return replace(state, wanted=less)


def recall(state: Established, name: str) -> Established:
    """Return the state that keeps a Child SA up again: somebody here wants it."""
    wanted = state.wanted
    if name not in wanted.dismissed:
        return state
    dismissed = tuple(each for each in wanted.dismissed if each != name)
    more = replace(wanted, kept=(*wanted.kept, name), dismissed=dismissed)
    return replace(state, wanted=more)


def leave(state: Established, names: tuple[str, ...]) -> Established:
    """Return the state that leaves closed what somebody here closed on an IKE SA before it."""
    for name in names:
        state = dismiss(state, name)
    return state


def anew(state: Established) -> Connection:
    """Return the connection for an IKE SA in place of this one: what was closed stays so."""
    dismissed = state.wanted.dismissed
    children = (
        replace(policy, start=Start.WAIT) if policy.name in dismissed else policy
        for policy in _written(state).children
    )
    return replace(state.connection, children=tuple(children))


def is_spent(state: Established) -> bool:
    """Whether an IKE SA is of no use: nothing is left, and the peer makes no more on it."""
    wanted = state.wanted
    return wanted.is_refused and bool(wanted.kept) and not state.children


def refused(state: Established) -> Established:
    """Return the state after NO_ADDITIONAL_SAS: nothing more is asked for, what is there stays."""
    queued = tuple(task for task in state.queued if not isinstance(task, CreateChild))
    later = tuple(each for each in state.postponed if not isinstance(each.task, CreateChild))
    no_more = replace(state.wanted, is_refused=True)
    return replace(state, wanted=no_more, queued=queued, postponed=later)


def _with(state: Established, retries: tuple[Retry, ...]) -> Established:
    return replace(state, wanted=replace(state.wanted, retries=retries))


def present(state: Established) -> set[str]:
    """Return the names of the Child SAs that are there, and stay; siblings do not count."""
    there = (child for child in state.children if not child.is_deleting and not child.number)
    return {child.name for child in there}


def pending(state: Established) -> set[str]:
    """Return the names of Child SAs that are being asked for, or are about to be."""
    tasks = *state.queued, *(each.task for each in state.postponed)
    names = {task.name for task in tasks if isinstance(task, CreateChild) and not task.number}
    asking = (*state.asking(AskedChild), *state.series.our_children)
    return names | {asked.policy.name for asked in asking}

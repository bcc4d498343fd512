# SPDX-License-Identifier: Apache-2.0
"""Further Child SAs for the same traffic, each for a CPU of its own (RFC 9611).

The first one says that it may have siblings, and is for every CPU; whoever asked for it asks for
them next. They are numbered here from 1 on. What carries the packets puts both halves of a sibling
where its SPI leads, and siblings have SPIs that lead to different places. A sibling that the peer
deletes is not asked for again before the first one is: two sides would take turns (§6).
"""

from collections import Counter
from dataclasses import replace
from typing import Final

from ikeway.ike import ipcomp
from ikeway.ike.child_terms import Grant
from ikeway.ike.children import Child, Scope
from ikeway.ike.environment import Environment
from ikeway.ike.states import Established
from ikeway.ike.tasks import AskedChild, CreateChild
from ikeway.model.errors import NoAdditionalSasError, PeerError, QueuesError, SelectorsError
from ikeway.model.esp import EspSuite
from ikeway.policy.connection import ChildPolicy
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

EVERY_CPU: Final = 0
"""The number of the one that all may use, and that stands in where a CPU has none of its own."""
_RESERVED: Final = 256


def announce(policy: ChildPolicy) -> tuple[Notify, ...]:
    """Return what says that a Child SA may have siblings, or is one (§3).

    An identifier would be for debugging only, and tell of the hardware (§7).
    """
    return (Notify(NotifyType.SA_RESOURCE_INFO),) if policy.per_cpu_children else ()


def learn(policy: ChildPolicy, message: Message) -> int | None:
    """Return the number of a Child SA that both sides want siblings for, None if they do not."""
    is_wanted = message.notify(NotifyType.SA_RESOURCE_INFO) is not None
    return EVERY_CPU if is_wanted and policy.per_cpu_children else None


def spi(env: Environment, policy: ChildPolicy, number: int | None) -> int:
    """Return an SPI for a Child SA; those of siblings differ in their remainder by how many it is.

    Where the data plane has as many queues, or a divisor of that, they are spread over all.
    """
    drawn = env.new_esp_spi()
    if not number or not policy.per_cpu_children:
        return drawn
    aligned = drawn - (drawn - number) % policy.per_cpu_children
    return aligned if aligned >= _RESERVED else aligned + _RESERVED * policy.per_cpu_children


# We ask -------------------------------------------------------------------------------------------


def ask(state: Established, child: Child) -> Established:
    """Return the state that asks for the siblings of a Child SA, if it is a first one."""
    if child.number != EVERY_CPU:
        return state
    count = state.connection.child(child.name).per_cpu_children
    there = {each.number for each in state.children if each.name == child.name and _stays(each)}
    missing = (number for number in range(1, count + 1) if number not in there)
    more = tuple(CreateChild(child.name, number=number) for number in missing)
    return replace(state, queued=(*state.queued, *more))


def first(state: Established, name: str) -> Child | None:
    """Return the Child SA of that name that is for every CPU."""
    return next(
        (c for c in state.children if c.name == name and c.number == EVERY_CPU and _stays(c)), None
    )


def accept(
    state: Established, asked: AskedChild, scope: Scope, suite: EspSuite, reply: Message
) -> Scope:
    """Return what the peer granted, with its number: its successor has that of the one before.

    Raises:
        SelectorsError: a sibling is to be like the first one in all but its keys (§3).
    """
    if asked.replaces:
        return replace(scope, number=asked.number)
    if not asked.number:
        return replace(scope, number=learn(asked.policy, reply))
    like = first(state, asked.policy.name)
    if like is not None and not _is_like(like, scope, suite):
        raise SelectorsError("the Child SA for a CPU is not like the one for all of them")
    return replace(scope, number=asked.number)


def enough(state: Established, name: str) -> Established:
    """Return the state after TS_MAX_QUEUE: it asks for no more of these, but for all else."""
    queued = (t for t in state.queued if not (isinstance(t, CreateChild) and _is_one(t, name)))
    return replace(state, queued=tuple(queued))


def _is_one(task: CreateChild, name: str) -> bool:
    return task.name == name and bool(task.number)


# The peer asks ------------------------------------------------------------------------------------


def join(state: Established, granted: Grant, message: Message) -> Grant:
    """Return a grant with its number, where the peer asks for a Child SA with siblings.

    The one for every CPU comes first, then the number that the fewest have (§4). Twice as many are
    let in as we would ask for, as both sides may ask, and the old ones go last (§6).

    Raises:
        QueuesError: there are enough.
    """
    if message.notify(NotifyType.SA_RESOURCE_INFO) is None:
        return granted
    scope, suite, policy = granted.scope, granted.chosen.esp, granted.scope.policy
    coming = (answering.child for answering in state.answering)
    alike = [c for c in (*state.children, *coming) if _stays(c) and _is_like(c, scope, suite)]
    count = policy.per_cpu_children
    if len(alike) > 2 * count:
        raise QueuesError(f"{len(alike)} Child SAs for the same traffic are enough")
    if not count:
        return granted
    numbers = Counter(child.number for child in alike)
    number = EVERY_CPU
    if numbers[EVERY_CPU]:
        number = min(range(1, count + 1), key=lambda one: numbers[one])
    notifies = (*granted.notifies, *announce(policy))
    return replace(granted, scope=replace(scope, number=number), notifies=notifies)


def too_many(message: Message, count: int) -> PeerError:
    """Return what a request for one Child SA too many draws; siblings have their own word (§6)."""
    text = f"{count} Child SAs are enough"
    is_sibling = message.notify(NotifyType.SA_RESOURCE_INFO) is not None
    return QueuesError(text) if is_sibling else NoAdditionalSasError(text)


def _stays(child: Child) -> bool:
    return not child.is_deleting and not child.is_replaced


def _is_like(child: Child, scope: Scope, suite: EspSuite) -> bool:
    sa = child.sa
    if (sa.ipcomp is None) is not (scope.cpi_out == ipcomp.NONE):
        return False
    terms = sa.local_ts, sa.peer_ts, sa.mode, sa.suite
    return terms == (scope.local_ts, scope.peer_ts, scope.mode, suite)

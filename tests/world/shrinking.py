# SPDX-License-Identifier: Apache-2.0
"""From a world that fails to the least that still fails in the same way: delta debugging."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from world.actions import Act, Idle
from world.simulation import Script, play

Fails = Callable[[tuple[Act, ...]], bool]


def shrink(script: Script, rule: str, seconds: float = 120.0) -> Script:
    """Return a script with as few actions as were found in the time, which breaks the same rule."""
    until = time.monotonic() + seconds

    def fails(acts: tuple[Act, ...]) -> bool:
        if time.monotonic() > until:
            return False
        violation = play(replace(script, acts=acts)).violation
        return violation is not None and violation.rule == rule

    acts = _fewer(script.acts, fails)
    return replace(script, acts=_smaller(acts, fails))


def _fewer(acts: tuple[Act, ...], fails: Fails) -> tuple[Act, ...]:
    """Leave out runs of actions, first long ones, as long as it fails without them."""
    size = max(1, len(acts) // 2)
    while size:
        for shorter in _without(acts, size):
            if fails(shorter):
                acts = shorter
                break
        else:
            size //= 2
    return acts


def _without(acts: tuple[Act, ...], size: int) -> Iterator[tuple[Act, ...]]:
    for start in range(0, len(acts), size):
        yield acts[:start] + acts[start + size :]


def _smaller(acts: tuple[Act, ...], fails: Fails) -> tuple[Act, ...]:
    """Make pauses short and round."""
    for index, act in enumerate(acts):
        if not isinstance(act, Idle):
            continue
        for seconds in (0.1, 1.0, 10.0, 60.0, 600.0, 3600.0):
            shorter = (*acts[:index], Idle(seconds), *acts[index + 1 :])
            if seconds < act.seconds and fails(shorter):
                acts = shorter
                break
    return acts

# SPDX-License-Identifier: Apache-2.0
"""What the peer has refused for now is asked for again later (RFC 7296 §2.25)."""

import math
from dataclasses import replace

from ikeway.ike.states import Established
from ikeway.ike.tasks import Deferrable, Postponed, RekeyChild, RekeyIke
from ikeway.model.time import Instant


def postpone(state: Established, task: Deferrable, now: Instant) -> Established:
    """Return the state that asks for a thing once more, after as long as its refusals call for."""
    random = state.session.env.random
    at = task.refusals.retry_at(random, _expires_at(state, task), now)
    return replace(state, postponed=(*state.postponed, Postponed(task, at)))


def _expires_at(state: Established, task: Deferrable) -> Instant:
    """Return when that is over which the task is to replace."""
    match task:
        case RekeyIke():
            return state.expires_at
        case RekeyChild(spi_in):
            ends = [child.expires_at for child in state.children if child.sa.spi_in == spi_in]
            return min(ends, default=math.inf)
        case _:
            return math.inf


def due(state: Established, now: Instant) -> Established:
    """Return the state that asks for what has waited long enough."""
    over = tuple(each for each in state.postponed if each.at <= now)
    if not over:
        return state
    left = tuple(each for each in state.postponed if each not in over)
    tasks = tuple(each.task for each in over)
    return replace(state, postponed=left, queued=(*state.queued, *tasks))


def next_at(state: Established) -> Instant:
    """Return when the next one is to be asked for."""
    return min((each.at for each in state.postponed), default=math.inf)

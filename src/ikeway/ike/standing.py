# SPDX-License-Identifier: Apache-2.0
"""Whether the peer's certificate still counts: a revocation ends the IKE SA (RFC 5280 §3.3).

IKE_AUTH asks once; an IKE SA lives for hours, so the same question is asked again and again.
"""

from dataclasses import replace
from typing import Final

from ikeway.ike import ending
from ikeway.ike.io import Action, Ask
from ikeway.ike.questions import Answer, Refused, Trusted
from ikeway.ike.states import Established, Step
from ikeway.model.time import Instant, Seconds

ASK: Final = "standing"
SILENCE: Final[Seconds] = 120.0
"""Whoever looks it up always answers; should it not, it is asked once more after this."""


def due(state: Established, now: Instant) -> tuple[Established, tuple[Action, ...]]:
    """Ask whether the peer's certificate still counts, if that is due."""
    standing = state.standing
    if standing.question is None or now < standing.look_at:
        return state, ()
    waiting = replace(state, standing=replace(standing, look_at=now + SILENCE))
    return waiting, (Ask(state.session.ticket(ASK), standing.question),)


def answered(state: Established, given: Answer, now: Instant) -> Step:
    """Go on for as long as the answer counts, or end the IKE SA."""
    match given:
        case Trusted(_, again_after):
            later = replace(state.standing, look_at=now + again_after)
            return Step(replace(state, standing=later))
        case Refused(reason):
            return ending.delete(state, f"the peer's certificate counts no more: {reason}", now)
        case _:
            return Step(state)

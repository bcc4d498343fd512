# SPDX-License-Identifier: Apache-2.0
"""What an IKE SA takes over from the one that it replaces (RFC 7296 §2.8)."""

from dataclasses import replace

from ikeway.ike import ending
from ikeway.ike.states import Established, Offspring, Step
from ikeway.model.time import Instant


def inherit(state: Established, born: Offspring, now: Instant) -> Step:
    """Return the IKE SA with the children of its predecessor; it is decided now that it stays.

    What the peer has deleted here before we knew of that is not taken over.
    """
    dead = tuple(child for child in born.children if child.sa.spi_out in state.stillborn)
    kept = tuple(child for child in born.children if child not in dead)
    heir = replace(
        state,
        children=(*state.children, *kept),
        queued=(*state.queued, *born.queued),
        is_provisional=False,
        stillborn=(),
    )
    reason = "the peer deleted it"
    removed = ending.remove_children(state.session, state.connection, dead, reason)
    return Step(ending.aging(heir, now), removed)

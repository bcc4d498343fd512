# SPDX-License-Identifier: Apache-2.0
"""What an IKE SA takes over from the one that it replaces (RFC 7296 §2.8)."""

from dataclasses import replace

from ikeway.ike import ending
from ikeway.ike.io import Action, RemoveChild, Report
from ikeway.ike.reports import ChildClosed, Closed
from ikeway.ike.states import Established, Offspring, Place, Step
from ikeway.model.time import Instant


def _placed(state: Established, place: Place | None) -> Established:
    """Return the IKE SA where its predecessor is: it may have moved meanwhile (RFC 4555 §3.5)."""
    if place is None:
        return state
    session = state.session
    link = replace(session.link, local=place.local, peer=place.peer)
    agreed = replace(session.agreed, nat=place.nat)
    session = replace(session, link=link, agreed=agreed)
    return replace(state, session=session, mobility=place.mobility, keep_at=place.keep_at)


def inherit(state: Established, born: Offspring, now: Instant) -> Step:
    """Return the IKE SA with the children of its predecessor; it is decided now that it stays.

    What the peer has deleted here before we knew of that is not taken over.
    """
    dead = tuple(child for child in born.children if child.sa.spi_out in state.stillborn)
    kept = tuple(child for child in born.children if child not in dead)
    heir = replace(
        _placed(state, born.place),
        children=(*state.children, *kept),
        queued=(*state.queued, *born.queued),
        is_provisional=False,
        stillborn=(),
    )
    reason = "the peer deleted it"
    removed = ending.remove_children(state.session, state.connection, dead, reason)
    return Step(ending.aging(heir, now), removed)


def orphans(born: Offspring) -> tuple[Action, ...]:
    """Return what takes out the Child SAs of an IKE SA whose successor is at its end already.

    Somebody here ended the successor while it was open which of two rekeys stays (§2.8.2).
    """
    reason = "the IKE SA that took it over has ended"
    actions: list[Action] = []
    for child in born.children:
        spi = child.sa.spi_in
        actions.append(RemoveChild(born.spi, spi))
        actions.append(Report(born.spi, ChildClosed(born.connection, spi, reason)))
    return (*actions, Report(born.spi, Closed(born.connection, reason, is_failure=False)))

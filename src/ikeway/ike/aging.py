# SPDX-License-Identifier: Apache-2.0
"""What the ages of SAs call for: rekeys at soft limits, an end at hard ones (RFC 7296 §2.8)."""

import math
from dataclasses import replace

from ikeway.ike import ending, postponing, reauthentication, standing, wanted
from ikeway.ike.agenda import want
from ikeway.ike.children import Child
from ikeway.ike.exchanges import child_sa
from ikeway.ike.features import auth_lifetime
from ikeway.ike.io import Spent
from ikeway.ike.states import Established, State, Step
from ikeway.ike.tasks import AskedChild, DeleteChild, Inform, RekeyChild, RekeyIke
from ikeway.model.time import Instant


def due(state: Established, now: Instant) -> Step:
    """Do what the clock calls for: rekey what is old, drop what is too old."""
    over = _over_because(state, now)
    if over is not None:
        return ending.delete(state, over, now)
    if now >= state.authenticity.renew_at:
        return reauthentication.begin(state, now)
    if now >= state.authenticity.remind_at:
        state = _remind(state)
    looking, asks = standing.due(state, now)
    after = wanted.due(postponing.due(looking, now), now)
    if now >= state.rekey_at:
        after = want(replace(after, rekey_at=state.expires_at), RekeyIke())
    step = _children(after, now)
    return replace(step, actions=asks + step.actions)


def _children(state: Established, now: Instant) -> Step:
    """Rekey each Child SA that is old, and end those that are over."""
    after = state
    for child in state.children:
        if child.is_deleting or not child.is_installed:
            continue
        if now >= child.expires_at:
            step = _over(after, child, now)
            if not isinstance(step.state, Established):
                return step
            after = step.state
        elif now >= child.rekey_at:
            after = _old(after, child)
    return Step(after)


def _remind(state: Established) -> Established:
    """Tell a client that its proof counts no longer; it has until the hard limit (RFC 4478 §2)."""
    told = replace(state, authenticity=state.authenticity.reminded())
    return want(told, Inform((auth_lifetime.notify(0.0),)))


def _over_because(state: Established, now: Instant) -> str | None:
    """Return why an IKE SA ends now, if it does."""
    if now >= state.expires_at:
        return "its lifetime is over and it could not be rekeyed"
    if now >= state.parting.until:
        return f"it was sent to {state.parting.to}, and did not go"
    if now >= state.authenticity.until:
        return "its identities were not proven anew in time"
    return None


def spent(state: State, event: Spent, now: Instant) -> Step:
    """Do what the data plane's counters call for: it has carried as much as it may."""
    if not isinstance(state, Established) or state.is_provisional:
        return Step(state)
    child = child_sa.find(state, event.spi_in)
    if child is None or child.is_deleting:
        return Step(state)
    return _over(state, child, now) if event.is_over else Step(_old(state, child))


def _old(state: Established, child: Child) -> Established:
    """Want a successor, unless there is one."""
    after = child_sa.change(state, replace(child, rekey_at=child.expires_at))
    return after if child.is_replaced else want(after, RekeyChild(child.sa.spi_in))


def _over(state: Established, child: Child, now: Instant) -> Step:
    """Use a child no more. With the last one the IKE SA goes, so that a new one may come.

    The end is wanted once: its turn may come late, and until then the age calls for nothing more.
    """
    is_last = all(other is child or other.is_deleting for other in state.children)
    is_changing = state.asking(AskedChild) or state.answering or not state.series.is_empty
    if is_last and not is_changing:
        return ending.delete(state, "its only Child SA is over and could not be replaced", now)
    over = replace(child, rekey_at=math.inf, expires_at=math.inf)
    return Step(want(child_sa.change(state, over), DeleteChild(child.sa.spi_in)))

# SPDX-License-Identifier: Apache-2.0
"""What follows when the peer refuses a Child SA, or grants another one (RFC 7296 §2.9, §2.25)."""

from dataclasses import replace

from ikeway.ike import ending, postponing, siblings, wanted
from ikeway.ike.exchanges import informational
from ikeway.ike.exchanges.child_sa import (
    SPI_OCTETS,
    change,
    crossings,
    find,
    specs_for,
    uncrossed,
)
from ikeway.ike.io import RemoveChild, Report
from ikeway.ike.reports import ChildFailed
from ikeway.ike.states import Established, Step
from ikeway.ike.tasks import AskedChild, CreateChild
from ikeway.model.time import Instant
from ikeway.wire.payloads import Delete, Notify
from ikeway.wire.registry import NotifyType


def failed(state: Established, asked: AskedChild, failure: Notify, now: Instant) -> Step:
    """Take a refusal (§2.25): try again in another way or later, or see that the child is gone."""
    old = find(state, asked.replaces)
    said = state.session.report(
        ChildFailed(state.connection.name, f"the peer says {failure.type.name}")
    )
    if failure.type is NotifyType.INVALID_KE_PAYLOAD and _may_use(asked, failure):
        return _again(state, asked, int.from_bytes(failure.data))
    if failure.type is NotifyType.NO_ADDITIONAL_SAS:
        state = wanted.refused(state)
        if old is not None:
            # It is of use until its hard limit; to ask again would be of none.
            return Step(change(state, replace(old, rekey_at=old.expires_at)), (said,))
    if failure.type is NotifyType.TS_MAX_QUEUE:
        state = siblings.enough(state, asked.policy.name)
    if failure.type is NotifyType.SINGLE_PAIR_REQUIRED and asked.trigger is not None:
        return _again_singly(state, asked, said)
    is_crossed = any(each.old == asked.replaces for each in crossings(state))
    if asked.replaces and (old is None or is_crossed):
        # What crossed it has done the work (§2.8.1): there is nothing to tell.
        return Step(uncrossed(state, asked))
    if old is not None and failure.type is NotifyType.CHILD_SA_NOT_FOUND:
        left = tuple(child for child in state.children if child is not old)
        anew = CreateChild(old.name)
        after = replace(state, children=left, queued=(anew, *state.queued))
        return Step(after, (RemoveChild(state.session.sa, old.sa.spi_in), said))
    return _later(state, asked, failure.type, now).then(said)


def _later(state: Established, asked: AskedChild, why: NotifyType, now: Instant) -> Step:
    """Ask again after a while: for a successor always, else where the peer was only busy.

    Who says so for minutes does not know any more what we know.
    """
    refusals = asked.refusals.another(why, now)
    if refusals.is_hopeless(now):
        return ending.out_of_step(state, now)
    if not asked.replaces and why is not NotifyType.TEMPORARY_FAILURE:
        return Step(state)
    task = replace(asked.anew, refusals=refusals)
    return Step(postponing.postpone(state, task, now))


def _again(state: Established, asked: AskedChild, method: int) -> Step:
    task = replace(asked.anew, method=method)
    return Step(replace(state, queued=(task, *state.queued)))


def _again_singly(state: Established, asked: AskedChild, said: Report) -> Step:
    """Ask for the traffic of the packet alone (§2.9), unless that was asked for."""
    if asked.is_single:
        return Step(state, (said,))
    single = CreateChild(asked.policy.name, asked.trigger, is_single=True)
    return Step(replace(state, queued=(single, *state.queued)))


def _may_use(asked: AskedChild, failure: Notify) -> bool:
    method = int.from_bytes(failure.data)
    offered = {code for spec in specs_for(asked.policy, asked.method) for code, _ in spec.ke}
    return len(failure.data) == 2 and method in offered and method != asked.method


def reject(state: Established, asked: AskedChild, reason: str) -> Step:
    """Delete a child that the peer made otherwise than we can use it (§1.3.1)."""
    said = state.session.report(ChildFailed(state.connection.name, reason))
    spi = asked.spi_in.to_bytes(SPI_OCTETS)
    after = informational.ask(state, (Delete(asked.policy.protocol, SPI_OCTETS, (spi,)),))
    old = find(state, asked.replaces)
    if old is not None:
        after = change(after, replace(old, rekey_at=old.expires_at))
    return Step(after, (said,))

# SPDX-License-Identifier: Apache-2.0
"""What becomes of a Child SA that the data plane was asked to take (RFC 7296 §1.4.1)."""

from dataclasses import replace

from ikeway.ike.children import Child
from ikeway.ike.exchanges import informational
from ikeway.ike.io import Answer, Installed, Refused, RemoveChild
from ikeway.ike.reports import ChildEstablished, ChildFailed
from ikeway.ike.states import Established, Step
from ikeway.model.time import Instant
from ikeway.policy.proposals import esp_words
from ikeway.wire.payloads import Delete
from ikeway.wire.registry import ProtocolId


def answered(state: Established, child: Child, given: Answer, now: Instant) -> Step:
    """Take the data plane's answer; the peer hears of a Child SA that it does not take."""
    if not isinstance(given, Installed):
        reason = given.reason if isinstance(given, Refused) else "it could not be installed"
        return _drop(state, child, f"the data plane says: {reason}", now)
    name = state.connection.name
    report = ChildEstablished(name, child.sa, esp_words(child.sa.suite))
    others = tuple(other for other in state.children if other is not child)
    after = replace(state, children=(*others, child.installed()))
    return Step(after, (state.session.report(report),))


def overdue(state: Established, now: Instant) -> Step:
    """Drop the Child SAs for which the data plane had no answer in time."""
    step = Step(state)
    for child in state.children:
        if child.due is None or child.due > now or not isinstance(step.state, Established):
            continue
        dropped = _drop(step.state, child, "the data plane does not answer", now)
        step = Step(dropped.state, (*step.actions, *dropped.actions))
    return step


def _drop(state: Established, child: Child, reason: str, now: Instant) -> Step:
    session, spi = state.session, child.sa.spi_in
    failed = session.report(ChildFailed(state.connection.name, reason))
    others = tuple(other for other in state.children if other is not child)
    delete = Delete(ProtocolId.ESP, 4, (spi.to_bytes(4),))
    step = informational.ask(replace(state, children=others), (delete,), now)
    return Step(step.state, (RemoveChild(session.sa, spi), failed, *step.actions))

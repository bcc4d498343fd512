# SPDX-License-Identifier: Apache-2.0
"""What becomes of a Child SA that the data plane was asked to take (RFC 7296 §1.4.1)."""

from dataclasses import replace

from ikeway.ike.children import Child
from ikeway.ike.exchanges import child_sa_responder, informational
from ikeway.ike.io import RemoveChild
from ikeway.ike.questions import Answer, Installed, Refused
from ikeway.ike.reports import ChildEstablished, ChildFailed
from ikeway.ike.states import Established, Step
from ikeway.ike.tasks import Answering, DeleteChild
from ikeway.model.time import Instant
from ikeway.policy.proposals import esp_words
from ikeway.wire.payloads import Delete


def answered(state: Established, child: Child, given: Answer) -> Step:
    """Take the data plane's answer; the peer hears of a Child SA that it does not take."""
    if not isinstance(given, Installed):
        reason = given.reason if isinstance(given, Refused) else "it could not be installed"
        return _drop(state, child, f"the data plane says: {reason}")
    name = state.connection.name
    report = ChildEstablished(name, child.sa, esp_words(child.sa.suite))
    others = tuple(other for other in state.children if other is not child)
    after = replace(state, children=(*others, replace(child.installed(), replaces=0)))
    if child.replaces:
        after = replace(after, queued=(*after.queued, DeleteChild(child.replaces)))
    return Step(after, (state.session.report(report),))


def ready(state: Established, answering: Answering, given: Answer, now: Instant) -> Step:
    """Answer the peer's request for a child: the data plane can receive, or never will (§2.8)."""
    name, child = state.connection.name, answering.child.sa
    if isinstance(given, Installed):
        step = child_sa_responder.installed(state, answering, now)
        report = ChildEstablished(name, child, esp_words(child.suite))
        return step.then(state.session.report(report))
    reason = given.reason if isinstance(given, Refused) else "it could not be installed"
    failed = state.session.report(ChildFailed(name, f"the data plane says: {reason}"))
    return child_sa_responder.refuse(state, answering).then(failed)


def overdue(state: Established, now: Instant) -> Step:
    """Drop the Child SAs for which the data plane had no answer in time."""
    step = Step(state)
    for child in state.children:
        if child.due is None or child.due > now or not isinstance(step.state, Established):
            continue
        dropped = _drop(step.state, child, "the data plane does not answer")
        step = Step(dropped.state, (*step.actions, *dropped.actions))
    return step


def _drop(state: Established, child: Child, reason: str) -> Step:
    session, spi = state.session, child.sa.spi_in
    failed = session.report(ChildFailed(state.connection.name, reason))
    others = tuple(other for other in state.children if other is not child)
    kept = tuple(_spared(other) if other.sa.spi_in == child.replaces else other for other in others)
    delete = Delete(child.protocol, 4, (spi.to_bytes(4),))
    after = informational.ask(replace(state, children=kept), (delete,))
    return Step(after, (RemoveChild(session.sa, spi), failed))


def _spared(old: Child) -> Child:
    """Return a child that is not replaced after all: it lasts until its hard limit."""
    return replace(old, is_replaced=False)

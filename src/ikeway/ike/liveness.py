# SPDX-License-Identifier: Apache-2.0
"""Is the peer still there? First we look at what came in; then it is asked (RFC 7296 §2.4)."""

from dataclasses import replace
from typing import Final

from ikeway.ike.exchanges import informational
from ikeway.ike.io import Ask
from ikeway.ike.questions import Answer, Measured, MeasureUsage
from ikeway.ike.states import Established, Step
from ikeway.ike.tasks import Asked, Inform
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection
from ikeway.policy.lifetimes import Retransmission

MEASURE: Final = "measure"
CHECK: Final = Inform(())
"""The request that asks for nothing but an answer."""


def timing(connection: Connection, asked: Asked | None) -> Retransmission:
    """Return when a request of an established IKE SA is sent again, and given up."""
    # DEVIATION RFC 4555 §3.11: a responder with MOBIKE gives up when any other does, not after five
    # minutes: `liveness` is when a dead peer is noticed, and a client that was away begins anew.
    usual = connection.retransmission
    return usual.for_liveness(connection.liveness) if asked == CHECK else usual


def look(state: Established, now: Instant) -> Step:
    """See whether packets came in. Where that cannot tell, ask the peer after a silence.

    Where the data plane has not answered since the last time, the peer is asked.
    """
    connection, pulse = state.connection, state.pulse
    spis = tuple(child.sa.spi_in for child in state.children if child.is_installed)
    if spis and not pulse.is_measuring:
        waiting = replace(state, pulse=pulse.look(connection, now, is_measuring=True))
        return Step(waiting, (Ask(state.session.ticket(MEASURE), MeasureUsage(spis)),))
    after = replace(state, pulse=pulse.look(connection, now, is_measuring=False))
    is_asked = pulse.is_measuring or pulse.is_silent(connection, now)
    return Step(_check(after) if is_asked else after)


def measured(state: Established, answer: Answer, now: Instant) -> Step:
    """Take what the data plane counted: ask the peer where its life is in doubt."""
    if not isinstance(answer, Measured):
        return Step(_check(replace(state, pulse=replace(state.pulse, is_measuring=False))))
    pulse, is_in_doubt = state.pulse.measured(answer.usage, now)
    after = replace(state, pulse=pulse)
    if is_in_doubt or pulse.is_silent(state.connection, now):
        return Step(_check(after))
    return Step(after)


def _check(state: Established) -> Established:
    return informational.ask(state, CHECK.payloads)

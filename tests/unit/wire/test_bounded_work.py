# SPDX-License-Identifier: Apache-2.0
"""No message costs more than a millisecond, whatever is in it."""

import sys
import time
from contextlib import suppress

import pytest

from ikeway.model.errors import MalformedError
from ikeway.wire.message import Message
from support.hostile import HOSTILE

MOST_SECONDS = 0.001
TRIES = 20


@pytest.mark.skipif(sys.gettrace() is not None, reason="a tracer counts its own time too")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_costs_at_most_a_millisecond(name: str) -> None:
    octets = HOSTILE[name]
    assert len(octets) <= 65535
    best = min(cost(octets) for _ in range(TRIES))
    assert best <= MOST_SECONDS, f"{name}: {best * 1e6:.0f} µs"


def cost(octets: bytes) -> float:
    """Seconds of processor time that decoding takes."""
    start = time.thread_time()
    with suppress(MalformedError):
        Message.decode(octets)
    return time.thread_time() - start

# SPDX-License-Identifier: Apache-2.0
"""No message costs more than about a millisecond, whatever is in it.

Work is counted, not timed: a machine that is busy with other things counts the same.
"""

import sys
from collections import Counter
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

from ikeway.model.errors import MalformedError
from ikeway.wire.message import Message
from support.hostile import HOSTILE

MOST_LINES = 30_000
MOST_CALLS = 10_000
"""The costliest messages take three quarters of it: 0.9 ms on a machine of 2026."""


@pytest.mark.skipif(sys.gettrace() is not None, reason="a tracer is at work already")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_costs_a_bounded_amount_of_work(name: str) -> None:
    octets = HOSTILE[name]
    assert len(octets) <= 65535
    work = count(octets)
    assert work["line"] <= MOST_LINES
    assert work["call"] + work["c_call"] <= MOST_CALLS


def test_the_count_is_the_same_each_time() -> None:
    """What is counted is the message's, not the machine's."""
    octets = HOSTILE["chain of proposals"]
    count(octets)
    first, second = count(octets), count(octets)
    assert first == second
    assert first["line"] > 1000


def count(octets: bytes) -> Counter[str]:
    """Return how many lines decoding executes, and how many functions it calls."""
    work: Counter[str] = Counter()

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        work[event] += event == "line"
        return trace

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        work[event] += event in {"call", "c_call"}

    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        with suppress(MalformedError):
            Message.decode(octets)
    finally:
        sys.settrace(None)
        sys.setprofile(None)
    return work

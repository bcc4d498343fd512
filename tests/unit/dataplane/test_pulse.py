# SPDX-License-Identifier: Apache-2.0
"""How long the silence of an engine may last, by a clock of the test's own."""

import pytest

from ikeway.dataplane.pulse import DEADLINE, LOOK, Silence


def looks(silence: Silence, start: float, every: float, seconds: float) -> float | None:
    """Look so often for so long; return after how long it was too long, if it was."""
    for number in range(1, round(seconds / every) + 1):
        if silence.is_too_long(start + number * every):
            return number * every
    return None


def test_a_silence_of_ten_seconds_is_too_long() -> None:
    assert looks(Silence(5.0), 5.0, LOOK, DEADLINE - LOOK) is None
    assert looks(Silence(5.0), 5.0, LOOK, 2 * DEADLINE) == DEADLINE


@pytest.mark.parametrize("slept", [60.0, 86_400.0])
def test_the_sleep_of_a_machine_is_no_silence(slept: float) -> None:
    """A machine that is stopped or suspended stops this process, too: it is one late look."""
    silence = Silence(0.0)
    assert looks(silence, 0.0, LOOK, DEADLINE / 2) is None
    assert not silence.is_too_long(DEADLINE / 2 + slept)
    now = DEADLINE / 2 + slept
    assert looks(silence, now, LOOK, DEADLINE) == DEADLINE / 2 - LOOK


def test_sleep_upon_sleep_is_no_silence() -> None:
    silence = Silence(0.0)
    assert not any(silence.is_too_long(3600.0 * night) for night in range(1, 15))


@pytest.mark.parametrize("slower", [3, 20])
def test_the_busier_the_machine_the_longer_it_may_last(slower: int) -> None:
    """Where this process looks late, the engine's threads have as few turns."""
    assert looks(Silence(0.0), 0.0, slower * LOOK, 1000.0) == slower * DEADLINE


def test_looks_in_a_hurry_make_nothing_shorter() -> None:
    assert looks(Silence(0.0), 0.0, LOOK / 4, 2 * DEADLINE) == DEADLINE


def test_a_clock_that_goes_back_counts_for_nothing() -> None:
    silence = Silence(100.0)
    assert not silence.is_too_long(20.0)
    assert looks(silence, 20.0, LOOK, 2 * DEADLINE) == DEADLINE

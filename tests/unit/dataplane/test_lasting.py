# SPDX-License-Identifier: Apache-2.0
"""How soon an engine follows one that ended."""

from ikeway.dataplane.lasting import AGAIN, LONG_LIVED, Succession


def test_the_first_successor_comes_at_once_and_later_ones_later() -> None:
    succession = Succession(0.0)
    waits = []
    for now in range(6):
        waits.append(succession.wait(float(now)))
        succession.began(float(now))
    assert waits == [*AGAIN, AGAIN[-1], AGAIN[-1]]
    assert waits[0] == 0.0
    assert waits == sorted(waits)


def test_one_that_lived_long_is_followed_at_once() -> None:
    succession = Succession(0.0)
    for _ in AGAIN:
        succession.wait(1.0)
    succession.began(10.0)
    assert succession.wait(10.0 + LONG_LIVED) == AGAIN[-1]
    succession.began(100.0)
    assert succession.wait(100.5 + LONG_LIVED) == 0.0


def test_attempts_that_fail_are_counted_like_short_lives() -> None:
    """Nothing began: what is tried again and again is tried ever later."""
    succession = Succession(0.0)
    start = 10 * LONG_LIVED
    assert [succession.wait(start + i) for i in range(2)] == [0.0, AGAIN[1]]

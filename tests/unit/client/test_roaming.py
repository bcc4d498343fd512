# SPDX-License-Identifier: Apache-2.0
"""A host that roams is looked at again at once; one whose routes change all the time is not."""

import pytest

from ikeway.client.roaming import AT_ONCE, PAUSE, Pace


def test_the_parts_of_one_move_are_each_seen_at_once() -> None:
    """An address goes, another one comes, then a route: whoever waits for a pause stands still."""
    pace = Pace()
    assert [pace.wait(now) for now in (100.0, 100.2, 100.4, 100.6)] == [0.0] * AT_ONCE


def test_changes_without_end_are_seen_once_in_a_pause() -> None:
    pace, now = Pace(), 100.0
    looks = []
    for _ in range(AT_ONCE + 20):
        now += pace.wait(now)
        looks.append(now)
    assert looks[AT_ONCE:] == pytest.approx([100.0 + n * PAUSE for n in range(1, 21)])


def test_a_quiet_while_allows_for_the_next_move() -> None:
    pace = Pace()
    for _ in range(AT_ONCE):
        pace.wait(100.0)
    assert pace.wait(100.0) == PAUSE
    later = 101.0 + AT_ONCE * PAUSE
    assert [pace.wait(later) for _ in range(AT_ONCE)] == [0.0] * AT_ONCE

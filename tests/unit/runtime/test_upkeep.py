# SPDX-License-Identifier: Apache-2.0
"""Which connections are started again, and when."""

from random import Random

import pytest

from ikeway.runtime.upkeep import BACK_OFF, JITTER, MISSED, STEADY, Retry, Upkeep

ONE, TWO = b"one", b"two"


def plain() -> Upkeep:
    """One that waits exactly as long as the table says."""
    return Upkeep(["site"], lambda: 0.5)


def test_a_connection_is_started_again_when_its_last_ike_sa_is_gone() -> None:
    upkeep = plain()
    upkeep.started("site", ONE)
    upkeep.established("site", TWO, 0)
    assert upkeep.closed("site", ONE, "", 1) is None
    assert upkeep.closed("site", TWO, "", 1) == BACK_OFF[0]


def test_an_outage_on_both_sides_does_not_double_the_ike_sas() -> None:
    """Both sides start; when both IKE SAs end at once, one start follows, not two."""
    upkeep = plain()
    upkeep.established("site", ONE, 0)
    upkeep.established("site", TWO, 0)
    waits = [upkeep.closed("site", sa, "", 9) for sa in (ONE, TWO, TWO)]
    assert waits == [None, BACK_OFF[0], None]


def test_a_start_is_left_out_if_the_peer_was_faster() -> None:
    upkeep = plain()
    upkeep.started("site", ONE)
    upkeep.closed("site", ONE, "", 0)
    upkeep.established("site", TWO, 1)
    assert not upkeep.begin("site")
    assert upkeep.closed("site", TWO, "", 1 + STEADY) == MISSED, "it was up: patience is new"


def test_what_was_steady_is_started_again_at_once() -> None:
    """A gateway that restarted is missed; a second time it is given the usual pauses."""
    upkeep = plain()
    upkeep.failed("site", "no route", 0)
    upkeep.begin("site")
    upkeep.established("site", ONE, 0)
    assert upkeep.closed("site", ONE, "the peer has restarted", STEADY) == MISSED
    assert upkeep.waiting == (Retry("site", STEADY + MISSED, "the peer has restarted", 0),)
    upkeep.begin("site")
    upkeep.established("site", TWO, STEADY + 1)
    assert upkeep.closed("site", TWO, "", STEADY + 2) == BACK_OFF[0]


def test_who_missed_one_peer_do_not_come_back_in_one_moment() -> None:
    draw = Random(1).random
    waits = []
    for _ in range(100):
        upkeep = Upkeep(["site"], draw)
        upkeep.established("site", ONE, 0)
        waits.append(upkeep.closed("site", ONE, "", STEADY) or 0.0)
    assert 0.0 <= min(waits) < 0.1 * MISSED
    assert 1.9 * MISSED < max(waits) < 2.0 * MISSED


def test_tries_come_further_and_further_apart_for_ever() -> None:
    upkeep = plain()
    waits = []
    for number in range(len(BACK_OFF) + 2):
        assert upkeep.begin("site")
        upkeep.started("site", bytes([number]))
        waits.append(upkeep.closed("site", bytes([number]), "", 1000.0 * number))
    assert waits == [*BACK_OFF, BACK_OFF[-1], BACK_OFF[-1]]


def test_a_peer_that_lets_us_in_only_to_throw_us_out_is_no_success() -> None:
    upkeep = plain()
    waits = []
    for number in range(3):
        assert upkeep.begin("site")
        upkeep.established("site", bytes([number]), 100.0 * number)
        waits.append(upkeep.closed("site", bytes([number]), "", 100.0 * number + 1))
    assert waits == list(BACK_OFF[:3])


def test_an_ike_sa_that_was_rekeyed_is_as_old_as_its_predecessor() -> None:
    upkeep = plain()
    upkeep.failed("site", "no route", 0)
    upkeep.begin("site")
    upkeep.established("site", ONE, 1)
    upkeep.rekeyed("site", ONE, TWO, STEADY)
    assert upkeep.closed("site", TWO, "", STEADY + 2) == MISSED


def test_waits_differ_so_that_not_all_come_back_at_once() -> None:
    upkeep = Upkeep(["site"], Random(1).random)
    waits = []
    for now in range(200):
        upkeep.begin("site")
        waits.append(upkeep.failed("site", "", now))
    late = [wait for wait in waits[len(BACK_OFF) :] if wait is not None]
    assert len(set(late)) > 100
    longest = BACK_OFF[-1]
    assert longest * (1 - JITTER) <= min(late) < max(late) <= longest * (1 + JITTER)


def test_what_is_waited_for_is_told_with_its_reason() -> None:
    upkeep = plain()
    upkeep.failed("site", "no route to 192.0.2.1", 100.0)
    assert upkeep.waiting == (Retry("site", 101.0, "no route to 192.0.2.1", 1),)
    upkeep.begin("site")
    assert not upkeep.waiting


@pytest.mark.parametrize("name", ["other", ""])
def test_what_is_not_to_stay_up_is_left_alone(name: str) -> None:
    upkeep = plain()
    upkeep.started(name, ONE)
    assert upkeep.closed(name, ONE, "", 0) is None
    assert upkeep.failed(name, "", 0) is None


def test_what_rests_is_not_started_until_it_is_woken() -> None:
    upkeep = plain()
    upkeep.established("site", ONE, 0)
    assert upkeep.rest("site")
    assert upkeep.closed("site", ONE, "asked to", 1) is None
    assert upkeep.failed("site", "", 1) is None
    assert not upkeep.begin("site")
    assert not upkeep.waiting
    upkeep.wake("site")
    upkeep.started("site", TWO)
    assert upkeep.closed("site", TWO, "", 2) == BACK_OFF[0]


def test_who_rests_while_it_waits_waits_no_more() -> None:
    upkeep = plain()
    upkeep.failed("site", "no route", 0)
    assert upkeep.rest("site")
    assert not upkeep.waiting
    assert not upkeep.begin("site"), "the pause that was under way ends in nothing"
    assert not upkeep.rest("site"), "it rests already"
    assert not upkeep.rest("other"), "it was not to stay up"

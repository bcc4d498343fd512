# SPDX-License-Identifier: Apache-2.0
"""Which connections are started again, and when."""

import pytest

from ikeway.runtime.upkeep import BACK_OFF, Upkeep

ONE, TWO = b"one", b"two"


def test_a_connection_is_started_again_when_its_last_ike_sa_is_gone() -> None:
    upkeep = Upkeep(["site"])
    upkeep.started("site", ONE)
    upkeep.established("site", TWO)
    assert upkeep.closed("site", ONE) is None
    assert upkeep.closed("site", TWO) == BACK_OFF[0]


def test_an_outage_on_both_sides_does_not_double_the_ike_sas() -> None:
    """Both sides start; when both IKE SAs end at once, one start follows, not two."""
    upkeep = Upkeep(["site"])
    upkeep.established("site", ONE)
    upkeep.established("site", TWO)
    waits = [upkeep.closed("site", ONE), upkeep.closed("site", TWO), upkeep.closed("site", TWO)]
    assert waits == [None, BACK_OFF[0], None]


def test_a_start_is_left_out_if_the_peer_was_faster() -> None:
    upkeep = Upkeep(["site"])
    upkeep.started("site", ONE)
    upkeep.closed("site", ONE)
    upkeep.established("site", TWO)
    assert not upkeep.begin("site")
    assert upkeep.closed("site", TWO) == BACK_OFF[0], "it was up: patience is new"


def test_tries_come_further_and_further_apart_until_one_succeeds() -> None:
    upkeep = Upkeep(["site"])
    waits = []
    for number in range(len(BACK_OFF) + 2):
        assert upkeep.begin("site")
        upkeep.started("site", bytes([number]))
        waits.append(upkeep.closed("site", bytes([number])))
    assert waits == [*BACK_OFF, BACK_OFF[-1], BACK_OFF[-1]]


@pytest.mark.parametrize("name", ["other", ""])
def test_what_is_not_to_stay_up_is_left_alone(name: str) -> None:
    upkeep = Upkeep(["site"])
    upkeep.started(name, ONE)
    assert upkeep.closed(name, ONE) is None
    assert upkeep.failed(name) is None

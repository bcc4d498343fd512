# SPDX-License-Identifier: Apache-2.0
"""Which Child SAs on demand have carried nothing for too long."""

from ikeway.model.esp import Usage
from ikeway.runtime.idle import Idleness

ONE, TWO = 0x1001, 0x1002
PATIENCE = {ONE: 10.0, TWO: 30.0}


def usages(one: int, two: int = 0) -> dict[int, Usage]:
    return {ONE: Usage(packets_in=one), TWO: Usage(packets_out=two)}


def test_each_is_idle_after_its_own_patience() -> None:
    idleness = Idleness()
    found = [idleness.idle(usages(0), PATIENCE, now) for now in (0.0, 9.0, 10.0, 29.0, 30.0)]
    assert found == [(), (), (ONE,), (ONE,), (ONE, TWO)]


def test_a_packet_in_either_direction_starts_the_wait_anew() -> None:
    idleness = Idleness()
    assert idleness.idle(usages(0), PATIENCE, 0.0) == ()
    assert idleness.idle(usages(1), PATIENCE, 9.0) == ()
    assert idleness.idle(usages(1), PATIENCE, 18.0) == ()
    assert idleness.idle(usages(1), PATIENCE, 19.0) == (ONE,)
    assert idleness.idle(usages(1, 1), PATIENCE, 29.0) == (ONE,)
    assert idleness.idle(usages(1, 1), PATIENCE, 58.0) == (ONE,)
    assert idleness.idle(usages(1, 1), PATIENCE, 59.0) == (ONE, TWO)


def test_one_that_is_gone_and_one_that_nobody_waits_for_are_forgotten() -> None:
    idleness = Idleness()
    idleness.idle(usages(0), PATIENCE, 0.0)
    assert idleness.idle({TWO: Usage()}, PATIENCE, 20.0) == ()
    assert idleness.idle(usages(0), PATIENCE, 29.0) == (), "the first came anew"
    assert idleness.idle(usages(0), {ONE: 5.0}, 40.0) == (ONE,)
    assert set(idleness._seen) == {ONE}


def test_a_successor_waits_from_its_own_beginning() -> None:
    """RFC 7296 §2.8: a rekey gives the child another SPI; its traffic so far is not known."""
    idleness = Idleness()
    idleness.idle({ONE: Usage()}, {ONE: 10.0}, 0.0)
    assert idleness.idle({TWO: Usage()}, {TWO: 10.0}, 10.0) == ()
    assert idleness.idle({TWO: Usage()}, {TWO: 10.0}, 20.0) == (TWO,)

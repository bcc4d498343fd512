# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.4: is the peer still there?"""

from dataclasses import replace

import pytest

from ikeway.ike.io import MeasureUsage, SetTimer, TimerFired
from ikeway.model.esp import Usage
from support.forge import request
from support.hosts import Row
from support.ladder import Ladder


def up(row: Row) -> Ladder:
    ladder = row.psk(right={"liveness": 1000.0})
    ladder.connect()
    return ladder


@pytest.mark.conformance("CF-C12")
def test_a_silent_peer_is_asked(row: Row) -> None:
    """§2.4: the check is needed when nothing was received, whatever was sent."""
    ladder = up(row)
    ladder.left.usage = Usage(packets_out=1000, octets_out=100000)
    ladder.wait(31)
    assert ladder.left.said[2:] == ["INFORMATIONAL request 2 []"]
    ladder.wait(30)
    assert ladder.left.said[3:] == ["INFORMATIONAL request 3 []"]
    assert ladder.left.established


@pytest.mark.conformance("CF-C13")
def test_a_peer_whose_packets_come_in_is_not_asked(row: Row) -> None:
    """§2.4: "Receipt of a fresh cryptographically protected message ... ensures liveness"."""
    ladder = up(row)
    for packets in range(1, 5):
        ladder.left.usage = Usage(packets_in=packets)
        ladder.wait(30)
    assert len(ladder.left.said) == 2
    ladder.wait(31)
    assert len(ladder.left.said) == 3


@pytest.mark.conformance("CF-C13")
def test_a_peer_that_asks_is_not_asked(row: Row) -> None:
    """§2.4: a message on the IKE SA is as good as a packet."""
    ladder = up(row)
    for _ in range(4):
        ladder.wait(20)
        ladder.check_liveness(ladder.right)
        ladder.settle()
    assert not [line for line in ladder.left.said if "request" in line][2:]


@pytest.mark.conformance("CF-C13", "CF-B05")
def test_a_repeated_request_is_no_sign_of_life(row: Row) -> None:
    """§2.4: only a fresh message is; anybody can send an old one again."""
    ladder = up(row)
    old = request(ladder, ladder.right, ()).octets
    ladder.arrive(ladder.left, old)
    ladder.wait(20)
    ladder.arrive(ladder.left, old)
    ladder.wait(11)
    assert ladder.left.said[-1] == "INFORMATIONAL request 2 []"


@pytest.mark.conformance("CF-C14", "CF-B08")
def test_a_peer_that_does_not_answer_is_dead_after_the_whole_schedule(row: Row) -> None:
    """§2.4: only repeated attempts that go unanswered tell that the peer has failed."""
    ladder = up(row)
    ladder.fate = lambda _host, _datagram: []
    ladder.wait(30 + 29)
    assert ladder.left.established
    assert ladder.left.repeats >= 6
    ladder.wait(2)
    assert ladder.left.states == []
    assert ladder.left.installed == {}


@pytest.mark.conformance("CF-C12")
def test_a_peer_without_a_child_is_asked_at_once(row: Row) -> None:
    """§2.4: there are no packets that could tell."""
    ladder = up(row)
    (sa,) = ladder.left.endpoint.sas
    sa._state = replace(ladder.left.established[0], children=())
    ladder.wait(31)
    assert MeasureUsage not in ladder.left.asked
    assert ladder.left.said[-1] == "INFORMATIONAL request 2 []"


@pytest.mark.conformance("CF-C12")
def test_a_data_plane_that_does_not_answer_hides_no_dead_peer(row: Row) -> None:
    """§2.4: the second time the peer itself is asked."""
    ladder = up(row)
    ladder.left.holds = (MeasureUsage,)
    ladder.wait(31)
    assert ladder.left.said[-1].startswith("IKE_AUTH")
    ladder.wait(30)
    assert ladder.left.said[-1] == "INFORMATIONAL request 2 []"


def test_a_late_answer_of_the_data_plane_is_taken(row: Row) -> None:
    """§2.4: it tells what came in, whenever it comes."""
    ladder = up(row)
    ladder.left.holds = (MeasureUsage,)
    ladder.wait(40)
    ladder.left.usage = Usage(packets_in=5)
    ladder.answer(ladder.left)
    ladder.left.holds = (MeasureUsage,)
    ladder.wait(29)
    assert ladder.left.said[-1].startswith("IKE_AUTH")
    assert ladder.left.established[0].usage.packets_in == 5


def test_a_timer_that_is_early_by_a_hair_is_set_again(row: Row) -> None:
    """A clock and an event loop need not agree on when now is."""
    ladder = up(row)
    (sa,) = ladder.left.endpoint.sas
    at = ladder.left.timers[sa.spi]
    actions = ladder.left.endpoint.handle(sa.spi, TimerFired(), at - 1e-9)
    name = "keepalive" if row.behind_nat else "liveness"
    assert actions == (SetTimer(sa.spi, name, at),)

# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.4: is the peer still there?"""

from dataclasses import replace

import pytest

from ikeway.ike.io import SetTimer, TimerFired
from ikeway.ike.questions import MeasureUsage, Refused
from ikeway.model.esp import Usage
from support.forge import request
from support.hosts import Row
from support.ladder import Ladder


def up(row: Row) -> Ladder:
    ladder = row.psk(right={"liveness": 4000.0})
    ladder.connect()
    return ladder


def requests(ladder: Ladder) -> list[str]:
    """The requests of the left host after the initial exchanges."""
    return [line for line in ladder.left.said if "request" in line][2:]


@pytest.mark.conformance("CF-C12")
def test_a_peer_that_does_not_answer_our_packets_is_asked_soon(row: Row) -> None:
    """§2.4: outgoing traffic and nothing in return puts the peer's life in doubt."""
    ladder = up(row)
    ladder.left.usage = Usage(packets_out=1000, octets_out=100000)
    ladder.wait(8)
    assert requests(ladder) == ["INFORMATIONAL request 2 []"]
    ladder.left.usage = Usage(packets_out=2000, octets_out=200000)
    ladder.wait(8)
    assert requests(ladder)[1:] == ["INFORMATIONAL request 3 []"]
    assert ladder.left.established


@pytest.mark.conformance("CF-C12")
def test_a_peer_with_whom_all_is_silent_is_asked_half_as_often(row: Row) -> None:
    """§2.4: the check is needed when nothing was received; nobody waits for an answer here."""
    ladder = up(row)
    ladder.wait(14)
    assert not requests(ladder)
    ladder.wait(2)
    assert requests(ladder) == ["INFORMATIONAL request 2 []"]
    ladder.wait(15)
    assert requests(ladder)[1:] == ["INFORMATIONAL request 3 []"]


@pytest.mark.conformance("CF-C13")
def test_a_peer_whose_packets_come_in_is_not_asked(row: Row) -> None:
    """§2.4: "Receipt of a fresh cryptographically protected message ... ensures liveness"."""
    ladder = up(row)
    for packets in range(1, 20):
        ladder.left.usage = Usage(packets_in=packets, packets_out=1000 * packets)
        ladder.wait(7.5)
    assert not requests(ladder)


@pytest.mark.conformance("CF-C13")
def test_packets_that_began_to_be_counted_anew_are_packets(row: Row) -> None:
    """§2.8: a Child SA that replaces another one counts from zero."""
    ladder = up(row)
    ladder.left.usage = Usage(packets_in=1000, packets_out=1000)
    ladder.wait(7.5)
    ladder.left.usage = Usage(packets_in=3, packets_out=3)
    ladder.wait(7.5)
    assert not requests(ladder)


@pytest.mark.conformance("CF-C13")
def test_a_peer_that_asks_is_not_asked(row: Row) -> None:
    """§2.4: a message on the IKE SA is as good as a packet."""
    ladder = up(row)
    for _ in range(6):
        ladder.wait(14)
        ladder.check_liveness(ladder.right)
        ladder.settle()
    assert not requests(ladder)


@pytest.mark.conformance("CF-C13", "CF-B05")
def test_a_repeated_request_is_no_sign_of_life(row: Row) -> None:
    """§2.4: only a fresh message is; anybody can send an old one again."""
    ladder = up(row)
    old = request(ladder, ladder.right, ()).octets
    ladder.arrive(ladder.left, old)
    ladder.wait(14)
    ladder.arrive(ladder.left, old)
    ladder.wait(1)
    assert requests(ladder) == ["INFORMATIONAL request 2 []"]


@pytest.mark.conformance("CF-C14", "CF-B08")
@pytest.mark.parametrize("is_talking", [True, False], ids=["we send", "all is silent"])
@pytest.mark.parametrize("last", [0.0, 0.1, 3.0, 7.4], ids="last packet after {} s".format)
def test_a_dead_peer_is_noticed_within_half_a_minute(
    row: Row, last: float, *, is_talking: bool
) -> None:
    """§2.4: only repeated attempts that go unanswered tell that the peer has failed."""
    ladder = up(row)
    ladder.wait(last)
    ladder.left.usage = Usage(packets_in=1, packets_out=1)
    ladder.fate = lambda _host, _datagram: []
    died = ladder.now
    while ladder.left.established:
        if is_talking:
            sent = ladder.left.usage.packets_out
            ladder.left.usage = Usage(packets_in=1, packets_out=sent + 1)
        ladder.wait(0.25)
    assert 12 <= ladder.now - died <= 30
    assert ladder.left.repeats >= 6
    assert ladder.left.states == []
    assert ladder.left.installed == {}


def test_a_longer_liveness_asks_less(row: Row) -> None:
    """The setting is the time in which a dead peer is noticed; other requests keep their time."""
    ladder = row.psk({"liveness": 600.0}, {"liveness": 4000.0})
    ladder.connect()
    ladder.wait(299)
    assert not requests(ladder)
    ladder.fate = lambda _host, _datagram: []
    ladder.wait(1 + 29)
    assert ladder.left.established
    ladder.wait(2)
    assert not ladder.left.established


@pytest.mark.conformance("CF-C12")
def test_a_peer_without_a_child_is_asked_without_a_look(row: Row) -> None:
    """§2.4: there are no packets that could tell."""
    ladder = up(row)
    (sa,) = ladder.left.endpoint.sas
    sa._state = replace(ladder.left.established[0], children=())
    ladder.wait(16)
    assert MeasureUsage not in ladder.left.asked
    assert requests(ladder) == ["INFORMATIONAL request 2 []"]


@pytest.mark.conformance("CF-C12")
def test_a_data_plane_that_does_not_answer_hides_no_dead_peer(row: Row) -> None:
    """§2.4: the second time the peer itself is asked."""
    ladder = up(row)
    ladder.left.holds = (MeasureUsage,)
    ladder.wait(8)
    assert not requests(ladder)
    ladder.wait(7)
    assert requests(ladder) == ["INFORMATIONAL request 2 []"]


def test_a_data_plane_that_refuses_hides_no_dead_peer(row: Row) -> None:
    """§2.4: an answer that tells nothing is no sign of life."""
    ladder = up(row)
    ladder.left.holds = (MeasureUsage,)
    ladder.wait(8)
    ladder.answer(ladder.left, Refused("no"))
    assert requests(ladder) == ["INFORMATIONAL request 2 []"]


def test_a_late_answer_of_the_data_plane_is_taken(row: Row) -> None:
    """§2.4: it tells what came in, whenever it comes."""
    ladder = up(row)
    ladder.left.holds = (MeasureUsage,)
    ladder.wait(14)
    ladder.left.usage = Usage(packets_in=5)
    ladder.answer(ladder.left)
    ladder.wait(7)
    assert not requests(ladder)
    assert ladder.left.established[0].pulse.usage.packets_in == 5


def test_a_timer_that_is_early_by_a_hair_is_set_again(row: Row) -> None:
    """A clock and an event loop need not agree on when now is."""
    ladder = up(row)
    (sa,) = ladder.left.endpoint.sas
    at = ladder.left.timers[sa.spi]
    actions = ladder.left.endpoint.handle(sa.spi, TimerFired(), at - 1e-9)
    assert actions == (SetTimer(sa.spi, "liveness", at),)

# SPDX-License-Identifier: Apache-2.0
"""Two ikeways: transport mode, several Child SAs, and tunnels that start when a packet comes."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from ikeway.ike.wanted import PRECEDENCE
from support.link import cable, nat
from support.strongswan import wait_until
from support.traffic import ping, transfer
from support.two import Table, Two

pytestmark = pytest.mark.system

HOSTS: Table = {"mode": "transport", "local_ts": ["dynamic"], "peer_ts": ["dynamic"]}

Make: TypeAlias = Callable[..., Two]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes two running daemons."""
    with ExitStack() as stack:

        def build(ours: Table, peer: Table, *, behind_nat: bool = False) -> Two:
            link = stack.enter_context(nat("ours") if behind_nat else cable())
            two = Two(tmp_path, link, ours, peer)
            stack.callback(two.down)
            return two

        yield build


@pytest.mark.conformance("CF-V06", "CF-J26")
@pytest.mark.parametrize("behind_nat", [False, True], ids=["cable", "nat"])
def test_hosts_speak_with_each_other_in_transport_mode(make: Make, behind_nat: bool) -> None:
    """RFC 7296 §2.23.1, RFC 3948 §3.1.2: with a NAT the checksums of TCP are amended."""
    two = make(HOSTS, HOSTS, behind_nat=behind_nat)
    two.ours.initiate()
    wait_until(lambda: bool(two.children() and two.peer.children()), 10, "the Child SA")
    (child,) = two.ours.children()
    assert child.mode == "transport"
    ours, peer = two.link.ours, two.link.peer
    there = two.link.seen_as["peer"][4]
    assert ping(ours.namespace, ours.outer[4], there, 5) == 5
    transfer((ours.namespace, ours.outer[4]), (peer.namespace, there))
    (child,) = two.ours.children()
    assert child.packets_in > 5
    assert child.packets_out > 5
    assert two.witness.look()["esp"] > 10
    assert not two.witness.leaks


def test_a_packet_starts_the_tunnel_and_gets_through_itself(make: Make) -> None:
    """RFC 7296 §2.9, I6: the first packet waits, and nothing leaves in clear at any time."""
    two = make({"start": "demand", "idle": "5s"}, {})
    ours, peer = two.link.ours, two.link.peer
    wait_until(lambda: "ikeway0" in routes(two), 10, "the route of the trap")
    assert two.ours.sas() == []
    assert ping(ours.namespace, ours.inner[4], peer.inner[4], 1, 5.0) == 1
    wait_until(lambda: two.children() == {"lab"}, 5, "the Child SA in the status")
    two.carries()
    wait_until(lambda: not two.ours.sas() and not two.peer.sas(), 20, "an idle end")
    assert ping(ours.namespace, ours.inner[4], peer.inner[4], 1, 5.0) == 1
    two.carries()
    assert not two.witness.leaks


def routes(two: Two) -> str:
    return two.link.ours.namespace.ip("-4", "route", "show", "table", "all")


def test_while_the_peer_is_away_a_trap_lets_nothing_out(make: Make) -> None:
    """I6: packets that match a protect policy never leave in clear, be the peer there or not."""
    two = make({"start": "demand"}, {})
    ours, peer = two.link.ours, two.link.peer
    wait_until(lambda: "ikeway0" in routes(two), 10, "the route of the trap")
    two.peer.stop()
    assert ping(ours.namespace, ours.inner[4], peer.inner[4], 4, 0.5) == 0
    sender = ours.namespace.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with sender:
        sender.bind((ours.inner[4], 0))
        for _ in range(200):
            sender.sendto(bytes(900), (peer.inner[4], 9))
    time.sleep(0.5)
    assert not two.witness.leaks
    two.peer.begin()
    two.peer.ready()
    wait_until(
        lambda: ping(ours.namespace, ours.inner[4], peer.inner[4], 1, 2.0) == 1, 60, "the tunnel"
    )
    assert not two.witness.leaks


def test_hosts_on_demand_are_no_loop(make: Make) -> None:
    """The route of the trap covers the peer itself; IKE and ESP in UDP go past it all the same."""
    two = make(HOSTS | {"start": "demand"}, HOSTS)
    ours, peer = two.link.ours, two.link.peer
    wait_until(lambda: "ikeway0" in routes(two), 10, "the route of the trap")
    assert ping(ours.namespace, ours.outer[4], peer.outer[4], 1, 5.0) == 1
    transfer((ours.namespace, ours.outer[4]), (peer.namespace, peer.outer[4]))
    assert not two.witness.leaks


def test_a_connection_that_is_kept_up_stays_down_once_it_is_disconnected(make: Make) -> None:
    """The peer's end is no wish of ours and we come back; our own is, until we want it again."""
    two = make({"start": "now"}, {})
    wait_until(lambda: two.children() == {"lab"}, 20, "the Child SA")
    two.peer.disconnect()
    wait_until(lambda: not two.children(), 5, "its end")
    wait_until(lambda: two.children() == {"lab"}, 10, "its return")
    two.ours.disconnect()
    wait_until(lambda: not two.ours.sas(), 5, "its end")
    time.sleep(2.5)
    assert not two.ours.sas()
    assert not two.ours.client.status().retries
    two.ours.initiate()
    wait_until(lambda: two.children() == {"lab"}, 10, "its return")
    two.peer.disconnect()
    wait_until(lambda: not two.children(), 5, "its end")
    wait_until(lambda: two.children() == {"lab"}, 10, "its return, as before")


def test_several_children_come_go_and_come_back_by_name(make: Make) -> None:
    """RFC 7296 §1.3.1: what is closed comes again, or is started by its name."""
    one = {"local_ts": ["10.1.0.1"], "peer_ts": ["10.2.0.1"]}
    other = {"local_ts": ["10.1.0.1"], "peer_ts": ["10.2.1.0/24"]}
    ours: Table = {
        "start": "now",
        "children": {"one": one, "other": other, "late": other | {"start": "wait"}},
    }
    swapped = {
        name: {"local_ts": each["peer_ts"], "peer_ts": each["local_ts"]}
        for name, each in (("one", one), ("other", other))
    }
    two = make(ours, {"children": swapped})
    wait_until(lambda: two.children() == {"one", "other"}, 20, "both children")
    two.carries()
    assert len(two.ours.established()) == 1
    before = {child.spi_in for child in two.ours.children()}
    two.peer.disconnect("other")
    wait_until(lambda: len(two.children()) == 1, 5, "the end of one")
    wait_until(lambda: two.children() == {"one", "other"}, 10, "its return")
    assert len({child.spi_in for child in two.ours.children()} & before) == 1
    two.ours.disconnect("other")
    wait_until(lambda: len(two.children()) == 1, 5, "the end of one")
    time.sleep(1.5)
    assert two.children() == {"one"}, "what is closed here stays so"
    two.ours.initiate("other")
    wait_until(lambda: two.children() == {"one", "other"}, 10, "its return by name")
    two.ours.initiate("late")
    wait_until(lambda: two.children() == {"one", "other", "late"}, 10, "the one that waits")
    two.ours.disconnect("lab/late")
    wait_until(lambda: two.children() == {"one", "other"}, 10, "its end")
    two.carries()
    assert len(two.ours.established()) == 1


def test_who_keeps_children_up_asks_for_them_where_the_peer_began(make: Make) -> None:
    """RFC 7296 §1.3.1: the one who started the IKE SA wants less, and closes what the other has."""
    one = {"local_ts": ["10.1.0.1"], "peer_ts": ["10.2.0.1"]}
    other = {"local_ts": ["10.1.0.1"], "peer_ts": ["10.2.1.0/24"]}
    kept = {
        name: {"local_ts": each["peer_ts"], "peer_ts": each["local_ts"], "start": "now"}
        for name, each in (("one", one), ("other", other))
    }
    two = make({"children": {"one": one, "other": other}}, {"role": "both", "children": kept})
    two.ours.initiate("one")
    wait_until(lambda: two.children() == {"one", "other"}, 10, "what the peer keeps up")
    assert len(two.ours.established()) == 1
    two.carries()
    two.ours.disconnect("other")
    wait_until(lambda: two.children() == {"one"}, 5, "the end of one")
    wait_until(lambda: two.children() == {"one", "other"}, 10, "its return")
    two.peer.disconnect("other")
    wait_until(lambda: two.children() == {"one"}, 5, "the end of one")
    time.sleep(1 + PRECEDENCE + 1)
    assert two.children() == {"one"}, "what is closed there stays so"

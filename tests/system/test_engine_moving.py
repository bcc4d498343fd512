# SPDX-License-Identifier: Apache-2.0
"""An engine hears that its peer has moved, and pairs follow (RFC 7296 §2.23, RFC 4555 §3.5)."""

import re
import subprocess
import time
from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikeway.dataplane import PacketsRefused, PeerMoved, PlaneEvent, Refusal
from ikeway.model.address import NAT_PORT, Endpoint
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa
from support.attacker import Attacker, drain, esp_sa, ipv4, sent_to, tap
from support.suites import SUITES
from support.tunnel import INNER, OUTER, Host, Hosts, child_pair, eventually, ping

pytestmark = pytest.mark.system

Pair = list[ChildSa]

SECOND = "192.0.2.101"
PACKETS = 3000
ROUND_SECONDS = 1.1


@pytest.fixture(scope="module")
def pair(pair: Hosts) -> Hosts:
    """Two hosts, the first of which has a second address to move to."""
    pair[0].namespace.add_address("outer0", f"{SECOND}/24")
    return pair


@pytest.fixture
def children(hosts: Hosts) -> Pair:
    made = child_pair(SUITES[2])
    for host, child in zip(hosts, made, strict=True):
        host.install(child)
    return made


def test_both_ends_follow_a_move_and_lose_no_packet(hosts: Hosts, children: Pair) -> None:
    here, there = Endpoint(ip_address(SECOND), NAT_PORT), children[0].local
    with pinging(hosts) as echo:
        for place in (here, there):
            migrate(hosts[0], children[0], place, children[0].peer)
            assert hosts[1].seen(has_moved) == PeerMoved(children[1].spi_in, place)
            migrate(hosts[1], children[1], children[1].local, place)
            hosts[1].events.clear()
        summary = echo.communicate()[0]
    assert re.search(rf"{PACKETS} packets transmitted, {PACKETS} received", summary), summary
    usage = hosts[1].call(lambda: hosts[1].plane.usage(children[1].spi_in))
    assert (usage.packets_in, usage.packets_out) == (PACKETS, PACKETS)


def test_a_pair_goes_from_ipv4_to_ipv6_with_its_keys_and_numbers(
    hosts: Hosts, children: Pair
) -> None:
    ping(*hosts)
    ends = [Endpoint(ip_address(OUTER[side][1]), NAT_PORT) for side in (0, 1)]
    for side in (0, 1):
        migrate(hosts[side], children[side], ends[side], ends[1 - side])
    ping(*hosts)
    ping(hosts[1], hosts[0])
    usage = hosts[0].call(lambda: hosts[0].plane.usage(children[0].spi_in))
    assert min(usage.packets_in, usage.packets_out) >= 9
    assert not any(isinstance(event, PacketsRefused) for event in hosts[0].events)


def test_a_pair_on_standby_migrates_too(hosts: Hosts, children: Pair) -> None:
    new = child_pair(SUITES[2], spi=0x2000)
    nowhere = Endpoint(ip_address("192.0.2.200"), NAT_PORT)
    hosts[1].install(replace(new[1], peer=nowhere), standby=True)
    migrate(hosts[1], new[1], new[1].local, new[1].peer)
    ping(*hosts)
    hosts[0].install(new[0])
    ping(*hosts)
    eventually(lambda: sent(hosts[1], new[1]) > 0 or None)
    assert not hosts[1].events


def test_a_move_is_told_once_a_second_and_changes_nothing(hosts: Hosts, children: Pair) -> None:
    """RFC 4555 §3.5: what the move means is for IKE to say."""
    migrate(hosts[0], children[0], Endpoint(ip_address(SECOND), NAT_PORT), children[0].peer)
    with tap(hosts[0]) as link:
        hosts[0].namespace.run("ping", "-q", "-c", "300", "-i", "0.001", INNER[1][0])
        frames = drain(link)
    assert hosts[1].seen(has_moved) == moved_to(children[1], SECOND, NAT_PORT)
    assert len(list(filter(has_moved, hosts[1].events))) <= 3
    # The answers go where they went.
    assert len(sent_to(hosts[0], frames)) > 20
    assert not [frame for frame in frames if frame[30:34] == ip_address(SECOND).packed]


def test_a_replayed_or_an_old_packet_from_elsewhere_moves_nobody(
    hosts: Hosts, children: Pair
) -> None:
    """Nor does rubbish: of those who have no keys, nobody can be believed."""
    with tap(hosts[0]) as link:
        ping(*hosts)
        packets = sent_to(hosts[1], drain(link))
    newer, older = (esp_sa(children[0], after) for after in (500, 400))
    inner = ipv4(INNER[0][0], INNER[1][0])
    with Attacker(hosts[0]) as send:
        send(packets[-1])
        send(packets[-1][:4] + (1000).to_bytes(4) + packets[-1][8:])
        assert hosts[1].seen(lambda event: is_refusal(event, Refusal.INTEGRITY_FAILED))
        ping(*hosts)
        time.sleep(ROUND_SECONDS)
        assert not list(filter(has_moved, hosts[1].events))
        send(newer.seal(inner))
        event = hosts[1].seen(has_moved)
    assert isinstance(event, PeerMoved)
    assert event.peer.port != NAT_PORT
    time.sleep(ROUND_SECONDS)
    hosts[1].events.clear()
    before = received(hosts[1], children[1])
    with Attacker(hosts[0]) as send:
        send(older.seal(inner))
    time.sleep(ROUND_SECONDS)
    assert not hosts[1].events
    assert received(hosts[1], children[1]) == before + 1


def test_a_path_that_cannot_be_is_refused_and_the_old_one_stays(
    hosts: Hosts, children: Pair
) -> None:
    other_port = replace(children[0].local, port=4501)
    ipv6 = Endpoint(ip_address(OUTER[1][1]), NAT_PORT)
    with pytest.raises(HostError, match="not listened at"):
        migrate(hosts[0], children[0], other_port, children[0].peer)
    with pytest.raises(HostError, match="no path"):
        migrate(hosts[0], children[0], children[0].local, ipv6)
    ping(*hosts)


# What the tests above are made of ----------------------------------------------------------------


def migrate(host: Host, child: ChildSa, local: Endpoint, peer: Endpoint) -> None:
    host.call(lambda: host.plane.migrate(child.spi_in, local, peer))


def sent(host: Host, child: ChildSa) -> int:
    return host.call(lambda: host.plane.usage(child.spi_in)).packets_out


def received(host: Host, child: ChildSa) -> int:
    return host.call(lambda: host.plane.usage(child.spi_in)).packets_in


def has_moved(event: PlaneEvent) -> bool:
    return isinstance(event, PeerMoved)


def moved_to(child: ChildSa, address: str, port: int) -> PeerMoved:
    return PeerMoved(child.spi_in, Endpoint(ip_address(address), port))


def is_refusal(event: PlaneEvent, refusal: Refusal) -> bool:
    return isinstance(event, PacketsRefused) and event.refusal is refusal


def pinging(hosts: Hosts) -> "subprocess.Popen[str]":
    """Send an echo request each millisecond."""
    command = ("ping", "-q", "-i", "0.001", "-c", str(PACKETS), "-W", "2", INNER[1][0])
    return hosts[0].namespace.start(*command, stdout=subprocess.PIPE)

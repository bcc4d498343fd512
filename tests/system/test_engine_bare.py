# SPDX-License-Identifier: Apache-2.0
"""ESP that is in no UDP: IP protocol 50 between two engines (RFC 4303 §2, RFC 7296 §2.23)."""

from dataclasses import replace

import pytest

from ikeway.dataplane import PeerMoved
from ikeway.model.esp import ChildSa, Encapsulation
from support.attacker import drain, tap
from support.suites import BY_NAME, Suite
from support.tunnel import INNER, Hosts, child_pair, exchange, install, ping, transfer, without_udp

pytestmark = pytest.mark.system

GCM = BY_NAME["aes256gcm16"]
CBC = BY_NAME["aes256-sha256"]


@pytest.mark.parametrize("suite", [GCM, CBC], ids=lambda suite: suite.name)
@pytest.mark.parametrize("outer", [0, 1], ids=["over-ipv4", "over-ipv6"])
def test_both_families_pass_over_both(hosts: Hosts, suite: Suite, outer: int) -> None:
    install(hosts, bare(suite, outer))
    exchange(hosts, 1 << 20)


def test_packets_are_of_protocol_50_and_nothing_is_in_clear(hosts: Hosts) -> None:
    install(hosts, bare(GCM, 0))
    with tap(hosts[0]) as link:
        ping(*hosts)
        frames = [frame for frame in drain(link) if frame[12:14] == b"\x08\x00"]
    assert len(frames) >= 6
    assert {frame[23] for frame in frames} == {50}


@pytest.mark.conformance("CF-J21")
@pytest.mark.parametrize("outer", [0, 1], ids=["over-ipv4", "over-ipv6"])
def test_each_side_takes_both_ways_whichever_it_sends(hosts: Hosts, outer: int) -> None:
    """RFC 7296 §2.23: both MUST be taken at any time, and each side chooses for itself."""
    in_udp = child_pair(GCM, outer=outer)
    hosts[0].install(in_udp[0])
    hosts[1].install(without_udp(in_udp[1]))
    ping(*hosts)
    assert not [event for host in hosts for event in host.events if isinstance(event, PeerMoved)]


def test_a_pair_moves_into_udp_and_out_of_it(hosts: Hosts) -> None:
    """A peer that comes behind a NAT needs UDP from then on (RFC 4555 §3.8)."""
    floated = child_pair(GCM)
    install(hosts, bare(GCM, 0))
    for way in (Encapsulation.UDP, Encapsulation.NONE):
        for host, child in zip(hosts, floated, strict=True):
            spi, ends = child.spi_in, (child.local, child.peer)
            host.call(lambda h=host, s=spi, e=ends, w=way: h.plane.migrate(s, *e, w))
        ping(*hosts)
        transfer(hosts[0], hosts[1], 1 << 18)


def test_what_others_send_by_the_protocol_draws_no_event(hosts: Hosts) -> None:
    """Every program that hears protocol 50 hears the packets of all of them."""
    children = bare(GCM, 0)
    hosts[1].install(children[1])
    stranger = replace(children[0], spi_out=0x7777)
    hosts[0].install(stranger)
    hosts[0].namespace.start("ping", "-c", "2", "-i", "0.05", "-w", "1", INNER[1][0]).wait(5)
    refused = hosts[1].call(hosts[1].plane.refused)
    assert refused["unknown_spi"] >= 2
    assert hosts[1].events == []


def bare(suite: Suite, outer: int) -> list[ChildSa]:
    return [without_udp(child) for child in child_pair(suite, outer=outer)]

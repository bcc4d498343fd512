# SPDX-License-Identifier: Apache-2.0
"""AH between two engines: IP protocol 51 (RFC 4302)."""

from dataclasses import replace

import pytest

from ikeway.model.address import Endpoint
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa, Encapsulation, Mode
from ikeway.model.selectors import TrafficSelector
from support.attacker import drain, tap
from support.suites import AH_SUITES, Suite
from support.tunnel import INNER, OUTER, Host, Hosts, child_pair, ping, transfer

pytestmark = pytest.mark.system

SHA256 = next(suite for suite in AH_SUITES if suite.name == "sha256")


@pytest.mark.parametrize("suite", AH_SUITES, ids=lambda suite: suite.name)
@pytest.mark.parametrize("outer", [0, 1], ids=["over-ipv4", "over-ipv6"])
def test_both_families_pass_over_both(hosts: Hosts, suite: Suite, outer: int) -> None:
    """RFC 4302 §3.1.2: IPv4 and IPv6 go through tunnels over either."""
    install(hosts, pair(suite, outer))
    for family in (0, 1):
        ping(*hosts, family)
        ping(*hosts, family, 1300)
        transfer(hosts[0], hosts[1], 1 << 18, family)
        transfer(hosts[1], hosts[0], 1 << 16, family)


def test_packets_are_of_protocol_51_and_may_be_read(hosts: Hosts) -> None:
    """RFC 4302 §1: AH keeps nothing secret."""
    install(hosts, pair(SHA256, 0))
    with tap(hosts[0]) as link:
        ping(*hosts)
        frames = [frame for frame in drain(link) if frame[12:14] == b"\x08\x00"]
    assert len(frames) >= 6
    assert {frame[23] for frame in frames} == {51}
    # AH's next header: the pings are of both IP versions.
    assert {frame[34] for frame in frames} <= {4, 41}


@pytest.mark.parametrize("outer", [0, 1], ids=["over-ipv4", "over-ipv6"])
def test_transport_mode_carries_what_the_hosts_say(hosts: Hosts, outer: int) -> None:
    """RFC 4302 §3.1.1."""
    for host, child in zip(hosts, pair(SHA256, outer, Mode.TRANSPORT), strict=True):
        host.install(child)
        into_the_interface(host, OUTER[1 - host.side][outer])
    peer = OUTER[1][outer]
    process = hosts[0].namespace.start("ping", "-c", "3", "-i", "0.05", "-w", "3", peer)
    assert process.wait(10) == 0
    for host in hosts:
        usages = host.call(host.plane.usages)
        assert [(one.packets_in, one.packets_out) for one in usages.values()] == [(3, 3)]


@pytest.mark.conformance("CF-U16")
@pytest.mark.parametrize("outer", [0, 1], ids=["over-ipv4", "over-ipv6"])
def test_what_a_link_does_not_take_is_told_or_cut_from_the_first_packet_on(
    hosts: Hosts, outer: int
) -> None:
    """RFC 4301 §8.2.1: as with ESP, though AH's sockets send nothing in fragments."""
    for host in hosts:
        host.namespace.ip("link", "set", "outer0", "mtu", "1300")
    try:
        install(hosts, pair(SHA256, outer))
        hosts[0].namespace.run("ping", "-c1", "-w2", "-M", "dont", "-s1340", INNER[1][0])
        command = ["ping", "-c1", "-W1", "-M", "do", "-s1340", INNER[1][0]]
        with hosts[0].namespace.start(*command, stdout=-1, stderr=-2) as asking:
            said = asking.communicate()[0]
        assert "mtu = 12" in said
        for family in (0, 1):
            transfer(hosts[0], hosts[1], 1 << 18, family)
            transfer(hosts[1], hosts[0], 1 << 16, family)
    finally:
        for host in hosts:
            host.namespace.ip("link", "set", "outer0", "mtu", "1500")
            for family in ("-4", "-6"):
                host.namespace.ip(family, "route", "flush", "cache")


def test_a_changed_packet_is_refused_and_counted(hosts: Hosts) -> None:
    """RFC 4302 §3.4.4: keys that differ are as good as a packet that was changed."""
    ours, theirs = pair(SHA256, 0)
    _, stranger = pair(SHA256, 0)
    install(hosts, [ours, replace(theirs, keys_in=stranger.keys_in)])
    hosts[0].namespace.start("ping", "-c", "2", "-i", "0.05", "-w", "1", INNER[1][0]).wait(5)
    refused = hosts[1].call(hosts[1].plane.refused)
    assert refused["integrity_failed"] >= 2


def test_ah_does_not_go_into_udp(hosts: Hosts) -> None:
    """RFC 3948 §1: it would not survive the NAT that UDP is for."""
    child = replace(pair(SHA256, 0)[0], encapsulation=Encapsulation.UDP)
    with pytest.raises(HostError, match="AH cannot go into UDP"):
        hosts[0].install(replace(child, local=at(child.local, 4500), peer=at(child.peer, 4500)))


def pair(suite: Suite, outer: int, mode: Mode = Mode.TUNNEL) -> list[ChildSa]:
    """Return a pair as either host sees it; in transport mode it is for the hosts themselves."""
    made = []
    for child in child_pair(suite, outer=outer):
        ends = {
            "local_ts": (TrafficSelector.of(str(child.local.address)),),
            "peer_ts": (TrafficSelector.of(str(child.peer.address)),),
        }
        made.append(
            replace(
                child,
                encapsulation=Encapsulation.NONE,
                mode=mode,
                local=at(child.local, 500),
                peer=at(child.peer, 500),
                **(ends if mode is Mode.TRANSPORT else {}),
            )
        )
    return made


def at(end: Endpoint, port: int) -> Endpoint:
    return Endpoint(end.address, port)


def into_the_interface(host: Host, target: str) -> None:
    """Have what this host sends to the other go through the engine; its own packets are marked."""
    family = "-6" if ":" in target else "-4"
    here = OUTER[host.side][":" in target]
    way = (target, "dev", "ikeway0", "src", here, "table", "77")
    host.namespace.ip(family, "route", "add", *way)
    host.namespace.ip(family, "rule", "add", "priority", "90", "fwmark", "4500", "lookup", "main")
    host.namespace.ip(family, "rule", "add", "priority", "91", "to", target, "lookup", "77")


def install(hosts: Hosts, children: list[ChildSa]) -> None:
    for host, child in zip(hosts, children, strict=True):
        host.install(child)

# SPDX-License-Identifier: Apache-2.0
"""AH between two engines: IP protocol 51 (RFC 4302)."""

import socket
from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikeway.model.address import Endpoint
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa, Encapsulation, Mode
from ikeway.model.selectors import TrafficSelector
from support.attacker import drain, tap
from support.suites import AH_SUITES, Suite
from support.tunnel import (
    INNER,
    OUTER,
    Hosts,
    child_pair,
    exchange,
    install,
    into_the_interface,
    ping,
    transfer,
)

pytestmark = pytest.mark.system

Chain = tuple[tuple[str, bytes], ...]
PROTOCOL = 253
"""For experiments (RFC 3692); of what ends a chain."""
EXTENSIONS = {"hop": 0, "destination": 60, "routing": 43}
OPTIONS = b"\0\1" + b"\x1e\4stay" + b"\x3e\4vary" + b"\1\0"
"""One that does not change on the way, and one that may (RFC 4727 §5)."""
MANY = b"\0\x19" + b"\x1e\xcc" + bytes(204)
ROUTE = b"\0\2\0\0" + bytes(4) + bytes(15) + b"\1"
CHAINS: tuple[Chain, ...] = (
    (("hop", OPTIONS),),
    (("hop", MANY),),
    (("hop", OPTIONS), ("destination", OPTIONS), ("routing", ROUTE)),
)

SHA256 = next(suite for suite in AH_SUITES if suite.name == "sha256")


@pytest.mark.parametrize("suite", AH_SUITES, ids=lambda suite: suite.name)
@pytest.mark.parametrize("outer", [0, 1], ids=["over-ipv4", "over-ipv6"])
def test_both_families_pass_over_both(hosts: Hosts, suite: Suite, outer: int) -> None:
    """RFC 4302 §3.1.2: IPv4 and IPv6 go through tunnels over either."""
    install(hosts, pair(suite, outer))
    exchange(hosts, 1 << 18)


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
    install(hosts, pair(SHA256, outer, Mode.TRANSPORT))
    peer = OUTER[1][outer]
    with into_the_interface(hosts[0], outer), into_the_interface(hosts[1], outer):
        process = hosts[0].namespace.start("ping", "-c", "3", "-i", "0.05", "-w", "3", peer)
        assert process.wait(10) == 0
    for host in hosts:
        usages = host.call(host.plane.usages)
        assert [(one.packets_in, one.packets_out) for one in usages.values()] == [(3, 3)]


@pytest.mark.conformance("CF-U04")
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: "-".join(name for name, _ in chain))
def test_headers_before_ah_are_protected_and_arrive(hosts: Hosts, chain: Chain) -> None:
    """RFC 4302 §3.3.3.1.2: those that the way reads stand before AH, and are in its ICV."""
    install(hosts, pair(SHA256, 1, Mode.TRANSPORT))
    with into_the_interface(hosts[0], 1), tap(hosts[0]) as link:
        heard = hosts[1].namespace.inside(listening)
        with heard:
            hosts[0].namespace.inside(lambda: send(chain, b"whole"))
            octets, control, *_ = heard.recvmsg(100, 1000)
        protected = [frame for frame in drain(link) if frame[12:14] == b"\x86\xdd"]
    assert octets == b"whole"
    assert [data[2:] for _, _, data in control] == [header[2:] for _, header in chain]
    assert any(frame[20] == EXTENSIONS[chain[0][0]] for frame in protected)
    assert "integrity_failed" not in hosts[1].call(hosts[1].plane.refused)


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


def listening() -> socket.socket:
    """Return what hears `PROTOCOL` with the headers before it."""
    heard = socket.socket(socket.AF_INET6, socket.SOCK_RAW, PROTOCOL)
    heard.settimeout(3)
    for option in (socket.IPV6_RECVHOPOPTS, socket.IPV6_RECVDSTOPTS, socket.IPV6_RECVRTHDR):
        heard.setsockopt(socket.IPPROTO_IPV6, option, 1)
    return heard


def send(chain: Chain, payload: bytes) -> None:
    """Send a packet that has these headers before its payload."""
    kinds = [*(EXTENSIONS[name] for name, _ in chain), PROTOCOL]
    body = b"".join(
        bytes([after]) + header[1:] for after, (_, header) in zip(kinds[1:], chain, strict=True)
    )
    ends = (ip_address(OUTER[side][1]).packed for side in (0, 1))
    length = len(body + payload).to_bytes(2)
    head = b"\x60\0\0\0" + length + bytes([kinds[0], 64]) + b"".join(ends)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as sending:
        sending.sendto(head + body + payload, (OUTER[1][1], 0))

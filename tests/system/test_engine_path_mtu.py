# SPDX-License-Identifier: Apache-2.0
"""A path that carries less than its first link does (RFC 4301 §8.2, RFC 1191, RFC 8201)."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikeway.dataplane import PathNarrowed
from ikeway.model.esp import Encapsulation
from ikeway.model.outer import DontFragment, OuterHeader
from support.attacker import checksum, drain, is_ip, tap
from support.narrow import MTU, narrow_hosts
from support.netns import Namespace
from support.suites import BY_NAME
from support.tunnel import INNER, OUTER, Hosts, child_pair, empty, eventually, transfer

pytestmark = pytest.mark.system

GCM = BY_NAME["aes256gcm16"]
UDP = 17


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hosts, Namespace]]:
    with narrow_hosts(tmp_path_factory.mktemp("narrow")) as made:
        yield made


@pytest.fixture
def hosts(narrow: tuple[Hosts, Namespace]) -> Iterator[Hosts]:
    yield narrow[0]
    empty(narrow[0])


@pytest.mark.conformance("CF-U16")
@pytest.mark.parametrize("carrier", list(Encapsulation), ids=lambda carrier: carrier.value)
@pytest.mark.parametrize("outer", [0, 1], ids=["over-ipv4", "over-ipv6"])
def test_what_is_too_long_is_told_or_cut_and_nothing_is_lost_for_good(
    hosts: Hosts, outer: int, carrier: Encapsulation
) -> None:
    install(hosts, OuterHeader(), outer, carrier)
    with tap(hosts[0]) as link:
        for family in (0, 1):
            told = told_mtu(hosts, family)
            assert 1280 - 80 <= told <= MTU - 54
            fits = str(told - (48 if family else 28))
            hosts[0].namespace.run("ping", "-c1", "-w2", "-M", "do", "-s", fits, INNER[1][family])
        hosts[0].namespace.run("ping", "-c2", "-w3", "-i.1", "-M", "dont", "-s1350", INNER[1][0])
        frames = [frame for frame in drain(link) if is_ip(frame)]
    for family in (0, 1):
        transfer(hosts[0], hosts[1], 1 << 19, family)
        transfer(hosts[1], hosts[0], 1 << 19, family)
    if outer == 0:
        ours = [frame for frame in frames if frame[26:30] == outer_of(0)]
        assert ours
        assert not [frame for frame in ours if frame[20] & 0x20], "an outer packet in fragments"
    if carrier is Encapsulation.NONE:
        # It is of the path, and so told once.
        assert PathNarrowed(ip_address(OUTER[1][outer]), MTU) in hosts[0].events


@pytest.mark.conformance("CF-U16")
def test_routers_fragment_what_they_may(hosts: Hosts) -> None:
    """RFC 4301 §8.1: DF copied from a packet that has none; nobody has to be told."""
    install(hosts, OuterHeader(df=DontFragment.CLEAR))
    hosts[0].namespace.run("ping", "-c2", "-w3", "-i.1", "-M", "do", "-s1350", INNER[1][0])


@pytest.mark.conformance("CF-U16")
def test_who_has_not_seen_a_packet_cannot_make_a_path_narrow(
    narrow: tuple[Hosts, Namespace], hosts: Hosts
) -> None:
    """RFC 4301 §8.2.1: ICMP is believed within bounds; 68 octets would cost us all our speed."""
    router = narrow[1]
    install(hosts, OuterHeader())
    with raw(router) as forging:
        forge(forging, 68, struct.pack(">II", 0xDEADBEEF, 7))
        forge(forging, 1, b"")
        forge(forging, 68, b"", source="203.0.113.7")
    transfer(*hosts, 1 << 16)
    narrowed = [event.mtu for event in hosts[0].events if isinstance(event, PathNarrowed)]
    assert all(mtu >= 1280 for mtu in narrowed)


def test_a_path_that_says_nothing_has_an_mtu_by_hand(hosts: Hosts) -> None:
    install(hosts, OuterHeader(path_mtu=1000))
    # So that each packet is seen by itself.
    hosts[0].namespace.ip("link", "set", "outer0", "gso_max_segs", "1")
    with tap(hosts[0]) as link:
        assert told_mtu(hosts, 0, "-s1200") < 1000 - 28
        transfer(*hosts, 1 << 17)
        frames = [frame for frame in drain(link) if is_ip(frame) and frame[26:30] == outer_of(0)]
    hosts[0].namespace.ip("link", "set", "outer0", "gso_max_segs", "65535")
    lengths = [int.from_bytes(frame[16:18]) for frame in frames]
    assert 950 < max(lengths) <= 1000


def install(
    hosts: Hosts,
    header: OuterHeader,
    outer: int = 0,
    carrier: Encapsulation = Encapsulation.UDP,
) -> None:
    children = child_pair(GCM, outer=outer)
    for host, child in zip(hosts, children, strict=True):
        host.install(replace(child, outer=header, encapsulation=carrier))
        for family in ("-4", "-6"):
            # Forget what earlier tests told the host itself.
            host.namespace.ip(family, "route", "flush", "cache")


def told_mtu(hosts: Hosts, family: int, size: str = "-s1350") -> int:
    """Ping with DF until the sender has been told what fits, and return that."""

    def ask() -> int | None:
        command = ["ping", "-c1", "-W1", "-M", "do", size, INNER[1][family]]
        with hosts[0].namespace.start(*command, stdout=-1, stderr=-2) as asking:
            said = asking.communicate()[0]
        words = said.replace("=", " ").replace(")", " ").replace(":", " ").split()
        return int(words[words.index("mtu") + 1]) if "mtu" in words else None

    return eventually(ask, 10)


def raw(router: Namespace) -> socket.socket:
    return router.inside(
        lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    )


def outer_of(side: int) -> bytes:
    return socket.inet_aton(OUTER[side][0])


def forge(sending: socket.socket, mtu: int, shown: bytes, source: str = OUTER[1][0]) -> None:
    """Say that a packet of ours to the peer was too long."""
    udp = struct.pack(">HHHH", 4500, 4500, 1460, 0)
    header = struct.pack(">BBHIBBH", 0x45, 0, 1480, 0x4000, 64, UDP, 0)
    packet = header + outer_of(0) + socket.inet_aton(source) + udp + shown
    message = struct.pack(">BBHHH", 3, 4, 0, 0, mtu) + packet
    sum_ = struct.pack(">H", checksum(message))
    sending.sendto(message[:2] + sum_ + message[4:], (OUTER[0][0], 0))

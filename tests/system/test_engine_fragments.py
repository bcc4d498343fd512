# SPDX-License-Identifier: Apache-2.0
"""Fragments of datagrams on Child SAs that tell ports apart (RFC 4301 §7)."""

import socket
import struct
from dataclasses import replace

import pytest

from ikeway.dataplane import PacketsRefused, Refusal
from ikeway.model.address import Endpoint
from ikeway.model.esp import ChildSa, Encapsulation, Ipcomp
from ikeway.model.outer import OuterHeader
from ikeway.model.traffic_flow import Stream, TrafficFlow
from support.attacker import Attacker, drain, tap
from support.esp import Peer
from support.suites import AH_SUITES, BY_NAME
from support.tunnel import INNER, OUTER, Host, Hosts, child_pair

pytestmark = pytest.mark.system

GCM = BY_NAME["aes256gcm16"]
CLIENT, SERVER = 4000, 5300
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0
LENGTHS = (100, 3000, 20_000)


def pair(*, follows: bool = True, port: int = SERVER, spi: int = 0x1000) -> list[ChildSa]:
    """Return both sides of a pair for UDP to one port of the second host."""
    made = []
    for side, child in enumerate(child_pair(GCM, spi=spi)):
        ours = tuple(replace(ts, protocol=17) for ts in child.local_ts)
        theirs = tuple(replace(ts, protocol=17) for ts in child.peer_ts)
        sides = [ours, theirs]
        sides[1 - side] = tuple(
            replace(ts, port_start=port, port_end=port) for ts in sides[1 - side]
        )
        selected = replace(child, local_ts=sides[0], peer_ts=sides[1])
        made.append(replace(selected, later_fragments=follows))
    return made


def install(hosts: Hosts, children: list[ChildSa]) -> None:
    for host, child in reversed(list(zip(hosts, children, strict=True))):
        host.install(child)


def opened(host: Host, port: int, family: int) -> socket.socket:
    kind = socket.AF_INET6 if family else socket.AF_INET

    def bind() -> socket.socket:
        made = socket.socket(kind, socket.SOCK_DGRAM)
        made.settimeout(2)
        # Linux would set DF.
        made.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        made.bind((INNER[host.side][family], port))
        return made

    return host.namespace.inside(bind)


def exchange(hosts: Hosts, family: int, length: int, port: int = SERVER) -> bool:
    """Send a datagram there and back; whether it came."""
    with opened(hosts[0], CLIENT, family) as client, opened(hosts[1], port, family) as server:
        said = bytes(at % 251 for at in range(length))
        client.sendto(said, (INNER[1][family], port))
        server.settimeout(0.5)
        try:
            heard, sender = server.recvfrom(1 << 16)
            server.sendto(heard, sender)
            return client.recv(1 << 16) == said
        except TimeoutError:
            return False


def in_ah(children: list[ChildSa]) -> list[ChildSa]:
    suite = next(suite for suite in AH_SUITES if suite.name == "sha256")
    made = []
    for child, keyed in zip(children, child_pair(suite), strict=True):
        ends = {
            "local": Endpoint(child.local.address, 500),
            "peer": Endpoint(child.peer.address, 500),
        }
        keys = {"suite": keyed.suite, "keys_in": keyed.keys_in, "keys_out": keyed.keys_out}
        made.append(replace(child, encapsulation=Encapsulation.NONE, **keys, **ends))
    return made


def compressed(children: list[ChildSa]) -> list[ChildSa]:
    indices = Ipcomp(0x1111, 0x2222), Ipcomp(0x2222, 0x1111)
    return [replace(one, ipcomp=each) for one, each in zip(children, indices, strict=True)]


def streamed(children: list[ChildSa]) -> list[ChildSa]:
    flow = TrafficFlow(stream=Stream(1300, 500.0))
    return [replace(child, traffic_flow=flow) for child in children]


@pytest.mark.conformance("CF-A15")
@pytest.mark.parametrize(
    "change", [list, in_ah, compressed, streamed], ids=["esp", "ah", "ipcomp", "iptfs"]
)
def test_datagrams_in_fragments_pass_where_both_agreed(hosts: Hosts, change: object) -> None:
    """RFC 4301 §7.3: of both families, both ways, next to those that need no fragments."""
    assert callable(change)
    install(hosts, change(pair()))
    for family in (0, 1):
        for length in LENGTHS:
            assert exchange(hosts, family, length), (family, length)


@pytest.mark.conformance("CF-A15")
def test_without_that_only_whole_ones_do(hosts: Hosts) -> None:
    """RFC 4301 §7.3: "it MUST NOT send such fragments over the SA"."""
    install(hosts, pair(follows=False))
    for family in (0, 1):
        assert exchange(hosts, family, 100)
        assert not exchange(hosts, family, 3000)


def test_what_is_too_long_for_the_path_is_fragmented_before_it_is_sealed(hosts: Hosts) -> None:
    children = pair()
    install(hosts, [replace(child, outer=OuterHeader(path_mtu=800)) for child in children])
    # So that each packet is seen by itself.
    hosts[0].namespace.ip("link", "set", "outer0", "gso_max_segs", "1")
    with tap(hosts[0]) as link:
        assert exchange(hosts, 0, 1200)
        ours = socket.inet_aton(OUTER[0][0])
        frames = [frame for frame in drain(link) if frame[26:30] == ours]
    hosts[0].namespace.ip("link", "set", "outer0", "gso_max_segs", "65535")
    assert len(frames) == 2
    assert max(len(frame) for frame in frames) <= 14 + 800
    assert not [frame for frame in frames if frame[20] & 0x3F or frame[21]], "outer fragments"


def test_other_ports_stay_out(hosts: Hosts) -> None:
    install(hosts, pair())
    assert not exchange(hosts, 0, 3000, SERVER + 1)
    assert exchange(hosts, 0, 3000)


def piece(number: int, offset: int, payload: bytes, *, more: bool) -> bytes:
    """Return a fragment of a datagram of UDP from the first host to the second."""
    place = offset // 8 | (0x2000 if more else 0)
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), number, place, 64, 17, 0)
    packet = header + socket.inet_aton(INNER[0][0]) + socket.inet_aton(INNER[1][0])
    sum_ = ~sum(struct.unpack(">10H", packet)) % 0xFFFF
    return packet[:10] + struct.pack(">H", sum_) + packet[12:] + payload


def test_a_peer_cannot_rewrite_the_ports_nor_send_what_has_no_first(hosts: Hosts) -> None:
    """The attacks of RFC 1858 and RFC 3128, by a peer that has the keys."""
    children = pair()
    install(hosts, children)
    sealer = Peer(children[1].spi_in, GCM, children[1].keys_in.encr.octets, b"", esn=True)
    udp = struct.pack(">HHHH", CLIENT, SERVER, 8 + 56, 0) + bytes(24)
    evil = struct.pack(">HHHH", CLIENT, 22, 8 + 56, 0) + bytes(24)
    sent = (
        piece(1, 0, udp, more=True),
        piece(1, 0, evil, more=True),
        piece(1, 0, udp, more=True),
        piece(1, 8, bytes(56), more=False),
        piece(2, 32, bytes(32), more=False),
        piece(3, 0, b"", more=True),
    )
    with Attacker(hosts[0]) as attacker:
        for number, inner in enumerate(sent, 500):
            attacker(sealer.seal(number, inner))
    for refusal in (
        Refusal.BAD_FRAGMENT,
        Refusal.SELECTOR_MISMATCH,
        Refusal.STRAY_FRAGMENT,
    ):
        hosts[1].seen(
            lambda event, refusal=refusal: (  # type: ignore[misc]
                isinstance(event, PacketsRefused)
                and (event.refusal, event.spi) == (refusal, children[1].spi_in)
            ),
            6.0,
        )
    assert exchange(hosts, 0, 3000)


def test_a_flood_without_first_ones_leaves_others_alone(hosts: Hosts) -> None:
    children = pair()
    install(hosts, children)
    sealer = Peer(children[1].spi_in, GCM, children[1].keys_in.encr.octets, b"", esn=True)
    with Attacker(hosts[0]) as attacker:
        for number in range(500, 3500):
            attacker(sealer.seal(number, piece(number, 800, bytes(800), more=False)))
    assert exchange(hosts, 0, 100) is False, "their numbers are far behind"
    renewed = pair(spi=0x2000)
    install(hosts, renewed)
    assert exchange(hosts, 0, 20_000)


def test_a_datagram_that_a_rekey_cuts_in_two_arrives(hosts: Hosts) -> None:
    """Its later fragments follow the first one on the old Child SA, while that is there."""
    old, renewed = pair(), pair(spi=0x2000)
    install(hosts, old)
    said = bytes(range(200)) * 8
    datagram = struct.pack(">HHHH", CLIENT, SERVER, 8 + len(said), 0) + said
    first = piece(700, 0, datagram[:800], more=True)
    rest = piece(700, 800, datagram[800:], more=False)
    raw = hosts[0].namespace.inside(
        lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    )
    with raw, opened(hosts[1], SERVER, 0) as server:
        raw.sendto(first, (INNER[1][0], 0))
        install(hosts, renewed)
        raw.sendto(rest, (INNER[1][0], 0))
        assert server.recv(1 << 16) == said
    for host, child in zip(hosts, old, strict=True):
        host.call(lambda host=host, child=child: host.plane.remove(child.spi_in))
    assert exchange(hosts, 0, 3000), "on the new one"

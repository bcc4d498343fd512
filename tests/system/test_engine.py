# SPDX-License-Identifier: Apache-2.0
"""Two engines, two namespaces, real packets (RFC 4303, RFC 3948, RFC 4301 §5)."""

import secrets
import socket
import struct
from dataclasses import replace

import pytest

from ikeway.dataplane import IkeDatagram, PacketsRefused, PlaneEvent, Refusal
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa
from ikeway.model.selectors import TrafficSelector
from support.attacker import (
    UDP,
    Attacker,
    checksum,
    drain,
    dummy,
    esp_of,
    esp_sa,
    ike_message,
    ipv4,
    is_ip,
    read_all,
    sent_to,
    tap,
    traffic_class,
)
from support.suites import BY_NAME
from support.tunnel import (
    INNER,
    OUTER,
    Host,
    Hosts,
    child_pair,
    eventually,
    install,
    ping,
    transfer,
)

pytestmark = pytest.mark.system

GCM = BY_NAME["aes256gcm16"]
OF_EACH_KIND = (
    *("aes128gcm16", "aes256gcm8", "aes256gcm16iiv", "aes192gmac", "aes256ccm12"),
    *("chacha20poly1305", "null-sha256", "aes256-sha384", "3des-sha1", "aes128-aesxcbc"),
)
"""Every suite meets the kernel's ESP in `test_kernel_algorithms.py`."""


@pytest.mark.conformance("CF-U02", "CF-U04", "CF-U19", "CF-V02")
@pytest.mark.parametrize("esn", [False, True], ids=["no esn", "esn"])
@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_suites_carry_both_families_in_both(hosts: Hosts, name: str, esn: bool) -> None:
    suite = BY_NAME[name]
    for outer in (0, 1):
        children = child_pair(suite, esn=esn, outer=outer, spi=0x1000 + 2 * outer)
        install(hosts, children)
        for inner in (0, 1):
            ping(*hosts, inner)
            transfer(*hosts, 1 << 18, inner)
        eventually(lambda pair=children: agree(hosts, pair) or None)
        remove(hosts, children)


def test_large_packets_pass_in_fragments_of_the_outer_or_inner_network(hosts: Hosts) -> None:
    install(hosts, child_pair(BY_NAME["aes256-sha512"], outer=1))
    for inner in (0, 1):
        ping(*hosts, inner, size=1300)
        for host in hosts:
            # Who sends IPv6 has to be told what fits.
            target = INNER[1 - host.side][inner]
            host.namespace.start("ping", "-c1", "-W1", "-s9000", target, stdout=-3).wait(5)
        ping(*hosts, inner, size=9000)


@pytest.mark.conformance("CF-U17")
def test_no_inner_packet_is_seen_on_the_outer_link(hosts: Hosts) -> None:
    """I6: not with an SA, not without one, and not after it went."""
    marker = b"\xfe\xed" * 8
    with tap(hosts[0]) as link:
        fail_to_ping(hosts)
        children = child_pair(GCM)
        install(hosts, children)
        hosts[0].namespace.run("ping", "-c", "3", "-i", "0.02", "-p", "feed", INNER[1][0])
        remove(hosts, children)
        fail_to_ping(hosts)
        frames = [frame for frame in drain(link) if is_ip(frame)]
    datagrams = [frame for frame in frames if esp_of(frame) is not None]
    assert len(datagrams) >= 6
    assert not [frame for frame in frames if marker in frame]
    inside = [socket.inet_aton(address) for address, _ in INNER]
    assert not [frame for frame in frames if any(address in frame for address in inside)]


@pytest.mark.conformance("CF-U05", "CF-U10")
def test_replays_and_changed_packets_are_dropped(hosts: Hosts) -> None:
    children = child_pair(GCM)
    install(hosts, children)
    with tap(hosts[0]) as link:
        ping(*hosts)
        packets = sent_to(hosts[1], drain(link))
    before = received(hosts[1], children[1])
    with Attacker(hosts[0]) as send:
        send(packets[0])
        changed = bytearray(packets[0])
        changed[7] = 99
        send(bytes(changed))
        send(bytes(changed[:4]) + struct.pack(">I", 1000) + bytes(40))
    assert refusal(hosts[1], Refusal.REPLAYED).spi == children[1].spi_in
    eventually(lambda: refused(hosts[1], Refusal.INTEGRITY_FAILED) == 2 or None)
    assert received(hosts[1], children[1]) == before
    ping(*hosts)


@pytest.mark.conformance("CF-U15")
def test_an_inner_packet_with_another_source_is_dropped(hosts: Hosts) -> None:
    """RFC 4301 §5.2: the peer has the keys, and still may only send what was agreed."""
    children = child_pair(GCM)
    install(hosts, children)
    liar = esp_sa(children[0], after=500)
    with Attacker(hosts[0]) as send:
        send(liar.seal(ipv4(source="10.9.9.9", destination=INNER[1][0])))
        send(liar.seal(ipv4(source=INNER[0][0], destination="10.9.9.9")))
    eventually(lambda: refused(hosts[1], Refusal.SELECTOR_MISMATCH) == 2 or None)
    assert received(hosts[1], children[1]) == 0


@pytest.mark.conformance("CF-U01")
def test_an_unknown_spi_is_dropped_and_told(hosts: Hosts) -> None:
    with Attacker(hosts[0]) as send:
        for _ in range(5):
            send(struct.pack(">II", 0xDEAD0000, 1) + bytes(40))
    event = refusal(hosts[1], Refusal.UNKNOWN_SPI)
    assert event.spi == 0xDEAD0000
    assert event.peer is not None
    assert str(event.peer.address) == OUTER[0][0]


@pytest.mark.conformance("CF-U12")
def test_a_dummy_packet_is_dropped_in_silence(hosts: Hosts) -> None:
    children = child_pair(GCM)
    install(hosts, children)
    before = hosts[1].call(hosts[1].plane.refused).get("dummy", 0)
    # A dummy can be made by changing the next header, which is the last octet before the ICV.
    sealed = esp_sa(children[0], after=900)
    with Attacker(hosts[0]) as send:
        send(dummy(children[0], sealed))
    ping(*hosts)
    assert hosts[1].call(hosts[1].plane.refused).get("dummy", 0) == before + 1
    assert not [event for event in hosts[1].events if isinstance(event, PacketsRefused)]


@pytest.mark.conformance("CF-V01")
def test_esp_uses_the_ports_of_ike_and_needs_no_udp_checksum(hosts: Hosts) -> None:
    children = child_pair(GCM)
    install(hosts, children)
    with tap(hosts[0]) as link:
        ping(*hosts)
        frames = [frame for frame in drain(link) if esp_of(frame) is not None]
    assert {struct.unpack(">HH", frame[34:38]) for frame in frames} == {(4500, 4500)}
    before = received(hosts[1], children[1])
    with Attacker(hosts[0]) as send:
        send.without_checksum()
        send(esp_sa(children[0], after=500).seal(ipv4(INNER[0][0], INNER[1][0])))
    eventually(lambda: received(hosts[1], children[1]) == before + 1 or None)


@pytest.mark.conformance("CF-U09")
def test_a_lone_fragment_of_the_outer_network_never_reaches_esp(hosts: Hosts) -> None:
    """RFC 4303 §3.4.1: reassembly comes before ESP, here in the kernel."""
    udp = (
        struct.pack(">HHHH", 4500, 4500, 2008, 0) + struct.pack(">II", 0xDEAD0009, 1) + bytes(1400)
    )
    first = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 7, 0x2000, 64, UDP, 0)
    addresses = b"".join(socket.inet_aton(OUTER[side][0]) for side in (0, 1))
    raw = hosts[0].namespace.inside(
        lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    )
    before = unknown(hosts[1])
    with raw, Attacker(hosts[0]) as send:
        raw.sendto(first + addresses + udp, (OUTER[1][0], 0))
        send(struct.pack(">II", 0xDEAD000A, 1) + bytes(40))
    eventually(lambda: unknown(hosts[1]) > before or None)
    assert unknown(hosts[1]) == before + 1


@pytest.mark.conformance("CF-V02", "CF-V04", "CF-V05")
def test_ike_and_esp_share_port_4500(hosts: Hosts) -> None:
    """RFC 3948 §2.2: the non-ESP marker tells IKE from ESP; stumps and keepalives go nowhere."""
    ike = hosts[1].plane.ike_sockets()[0]
    message = ike_message(100)
    with Attacker(hosts[0]) as send:
        for stump in (b"\xff", b"", b"\0\0"):
            send(stump)
        send(message)
    assert message in read_all(ike)
    assert not hosts[1].events


def test_ike_datagrams_that_the_kernel_joined_to_esp_come_as_events(hosts: Hosts) -> None:
    """Datagrams of one peer can arrive as one; the engine takes them apart and loses none."""
    first = struct.pack(">II", 0xDEAD0001, 1) + bytes(192)
    message = ike_message(150)
    with Attacker(hosts[0], segment=200) as send:
        send(first + message)
    event = hosts[1].seen(lambda event: isinstance(event, IkeDatagram))
    assert isinstance(event, IkeDatagram)
    assert event.octets == message
    assert (str(event.local.address), event.local.port) == (OUTER[1][0], 4500)
    assert refusal(hosts[1], Refusal.UNKNOWN_SPI).spi == 0xDEAD0001


def test_a_flood_of_rubbish_is_survived(hosts: Hosts) -> None:
    """I1 and I5: the engine goes on, tells of it once a second, and loses no good packet after."""
    children = child_pair(GCM)
    install(hosts, children)
    known = struct.pack(">I", children[1].spi_in)
    with Attacker(hosts[0]) as send:
        for size in range(1500):
            send(secrets.token_bytes(size))
            send(known + secrets.token_bytes(size))
        for size in range(64, 9000, 500):
            send(known * (size // 4))
    with Attacker(hosts[0], segment=100) as send:
        for size in range(101, 6000, 100):
            send(known + secrets.token_bytes(size))
    ping(*hosts)
    assert refusal(hosts[1], Refusal.INTEGRITY_FAILED).spi == children[1].spi_in
    told = [event for event in hosts[1].events if isinstance(event, PacketsRefused)]
    assert len([event for event in told if event.spi == children[1].spi_in]) <= 9


def test_the_newest_of_equal_pairs_sends_and_the_older_still_receives(hosts: Hosts) -> None:
    old, new = child_pair(GCM), child_pair(GCM, spi=0x2000)
    install(hosts, old)
    ping(*hosts)
    hosts[1].install(new[1])
    hosts[0].install(new[0])
    before = hosts[0].call(hosts[0].plane.usages)[old[0].spi_in].packets_out
    ping(*hosts)
    usage = hosts[0].call(hosts[0].plane.usages)
    assert usage[new[0].spi_in].packets_out >= 3
    assert usage[old[0].spi_in].packets_out == before
    remove(hosts, new)
    ping(*hosts)


def test_a_pair_that_cannot_be_installed_changes_nothing(hosts: Hosts) -> None:
    children = child_pair(GCM)
    install(hosts, children)
    no_suite = replace(children[0].suite, encr=3)
    with pytest.raises(HostError, match="no ESP suite"):
        hosts[0].install(replace(children[0], spi_in=0x3000, suite=no_suite))
    with pytest.raises(HostError, match="in use"):
        hosts[0].install(children[0])
    with pytest.raises(HostError, match="below 256"):
        hosts[0].install(replace(children[0], spi_in=0x3000, spi_out=255))
    local = replace(children[0].local, port=4501)
    with pytest.raises(HostError, match="not listened at"):
        hosts[0].install(replace(children[0], spi_in=0x3000, local=local))
    ping(*hosts)


def test_a_packet_goes_only_where_ports_and_protocol_agree(hosts: Hosts) -> None:
    children = child_pair(GCM)
    tcp = TrafficSelector.of("10.2.0.0/16", protocol=6, ports=(7000, 7000))
    install(hosts, [replace(children[0], peer_ts=(tcp,)), replace(children[1], local_ts=(tcp,))])
    transfer(*hosts, 1 << 16)
    fail_to_ping(hosts)


@pytest.mark.conformance("CF-J27")
@pytest.mark.parametrize("outer", [0, 1], ids=["IPv4", "IPv6"])
def test_congestion_on_the_way_reaches_the_inner_packet(hosts: Hosts, outer: int) -> None:
    """RFC 6040 §4: the outer header starts as the inner one; CE comes back in, or is a loss."""
    children = child_pair(GCM, outer=outer)
    install(hosts, children)
    with tap(hosts[0]) as link:
        hosts[0].namespace.run("ping", "-c", "2", "-i", "0.02", "-Q", "0xba", INNER[1][0])
        frames = [frame for frame in drain(link) if is_ip(frame) and b"\x11\x94\x11\x94" in frame]
    assert {traffic_class(frame) for frame in frames} == {0xBA}
    capable, deaf = (ipv4(INNER[0][0], INNER[1][0], class_) for class_ in (0xBA, 0xB8))
    before = hosts[1].call(hosts[1].plane.refused).get("congested", 0)
    sealing = esp_sa(children[0], after=500)
    with tap(hosts[1], "ikeway0") as link, Attacker(hosts[0], outer=outer) as send:
        send.congested()
        send(sealing.seal(capable))
        send(sealing.seal(deaf))
        arrived = [packet for packet in drain(link) if packet[9] == UDP]
    assert [packet[1] for packet in arrived] == [0xBB]
    assert checksum(arrived[0][:20]) == 0
    assert hosts[1].call(hosts[1].plane.refused).get("congested", 0) == before + 1


# What the tests above are made of ----------------------------------------------------------------


def remove(hosts: Hosts, children: list[ChildSa]) -> None:
    for host, child in zip(hosts, children, strict=True):
        host.call(lambda h=host, c=child: h.plane.remove(c.spi_in))


def fail_to_ping(hosts: Hosts) -> None:
    with pytest.raises(AssertionError):
        hosts[0].namespace.run(
            "ping", "-c", "2", "-i", "0.05", "-w", "1", "-p", "feed", INNER[1][0]
        )


def agree(hosts: Hosts, children: list[ChildSa]) -> bool:
    """Whether all that one host sent the other received; the last packets take their time."""
    one, other = (host.call(host.plane.usages) for host in hosts)
    there, here = other[children[1].spi_in], one[children[0].spi_in]
    return 10 < here.packets_out == there.packets_in and here.octets_out == there.octets_in


def received(host: Host, child: ChildSa) -> int:
    return host.call(lambda: host.plane.usage(child.spi_in)).packets_in


def refused(host: Host, wanted: Refusal) -> int:
    """Return how many packets were refused so, in however many events that was told."""
    events = [event for event in host.events if isinstance(event, PacketsRefused)]
    return sum(event.count for event in events if event.refusal is wanted)


def unknown(host: Host) -> int:
    """Return how many packets of no SA there were: events count what came before a test, too."""
    return host.call(host.plane.refused).get("unknown_spi", 0)


def refusal(host: Host, wanted: Refusal) -> PacketsRefused:
    def is_wanted(event: PlaneEvent) -> bool:
        return isinstance(event, PacketsRefused) and event.refusal is wanted

    event = host.seen(is_wanted)
    assert isinstance(event, PacketsRefused)
    return event

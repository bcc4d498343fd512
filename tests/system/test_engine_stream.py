# SPDX-License-Identifier: Apache-2.0
"""IP-TFS between two engines: what an observer sees, and that all of it arrives (RFC 9347)."""

import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import pytest

from ikeway.dataplane import PacketsRefused, PlaneEvent, Refusal
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa
from ikeway.model.outer import OuterHeader
from ikeway.model.traffic_flow import Stream, TrafficFlow
from support.attacker import Attacker, esp_of, esp_sa, ipv4, is_ip, tap, traffic_class, waiting
from support.suites import BY_NAME
from support.tunnel import INNER, OUTER, Host, Hosts, child_pair, eventually, ping, transfer

pytestmark = pytest.mark.system

RATE = 400.0
UDP_IP = 28
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35


def streams(stream: Stream, suite: str = "aes256gcm16", spi: int = 0x1000) -> list[ChildSa]:
    flow = TrafficFlow(stream=stream)
    return [replace(each, traffic_flow=flow) for each in child_pair(BY_NAME[suite], spi=spi)]


def install(hosts: Hosts, children: list[ChildSa]) -> None:
    # A stream goes to one who has the SA.
    for host, child in reversed(list(zip(hosts, children, strict=True))):
        host.install(child)


def seen(hosts: Hosts, seconds: float, spi: int) -> tuple[list[int], float]:
    """Return the lengths of the ESP packets that the first host sends in a while, and their rate.

    What is cut only by a network card, for which a cable of namespaces has no need, is cut here:
    at each SPI with the next number.
    """
    with tap(hosts[0]) as link:
        link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
        waiting(link)
        start = time.monotonic()
        time.sleep(seconds)
        frames, lasted = waiting(link), time.monotonic() - start
    packets = [esp_of(frame) for frame in frames if is_ip(frame)]
    ours = [packet for packet in packets if packet and packet[:4] == spi.to_bytes(4)]
    lengths = [length for packet in ours for length in cut(packet)]
    return lengths, len(lengths) / lasted


def cut(packet: bytes) -> list[int]:
    """Return the lengths of ESP packets that stand behind one another."""
    following = packet[:4] + (int.from_bytes(packet[4:8]) + 1).to_bytes(4)
    at = packet.find(following)
    return [len(packet)] if at < 0 else [at, *cut(packet[at:])]


def test_what_is_seen_says_nothing_of_what_is_sent(hosts: Hosts) -> None:
    """§2.1: packets of one size at a constant rate, be there much to send or nothing."""
    children = streams(Stream(1300, RATE))
    install(hosts, children)
    ping(*hosts)
    idle, idle_rate = seen(hosts, 1.0, children[0].spi_out)
    with ThreadPoolExecutor(1) as executor:
        busy = executor.submit(transfer, *hosts, 1 << 20)
        time.sleep(0.3)
        loaded, loaded_rate = seen(hosts, 1.0, children[0].spi_out)
        busy.result(60)
    assert set(idle) == set(loaded)
    (size,) = set(idle)
    assert 1300 - 4 < size + UDP_IP <= 1300
    # The machine of a test may be busy with others: that makes it late, and never early for long.
    assert all(RATE * 0.4 < rate < RATE * 1.2 for rate in (idle_rate, loaded_rate))
    eventually(lambda: carried(hosts[0], children[0]) > 1 << 20 or None)
    assert not [event for event in hosts[1].events if isinstance(event, PacketsRefused)]


@pytest.mark.parametrize("suite", ["aes256gcm16", "aes256-sha384", "chacha20poly1305"])
@pytest.mark.parametrize("fragments", [True, False])
def test_packets_of_all_sizes_arrive_whole(hosts: Hosts, suite: str, fragments: bool) -> None:
    """§2.2: several in a payload, or one in several."""
    octets = 600 if fragments else 1500
    install(hosts, streams(Stream(octets, 2000.0, may_fragment=fragments), suite))
    for inner in (0, 1):
        for size in (8, 500, 1300, 4000):
            ping(*hosts, inner, size=size)
        transfer(*hosts, 1 << 18, inner)


def test_a_rekeyed_stream_takes_over_and_the_old_one_ends(hosts: Hosts) -> None:
    """§2.2.3: no packet has parts in two SAs; and the rate is not twice what it was for long."""
    old, new = streams(Stream(600, RATE)), streams(Stream(600, RATE), spi=0x2000)
    install(hosts, old)
    ping(*hosts)
    hosts[1].install(new[1], standby=True)
    hosts[0].install(new[0])
    ping(*hosts, size=1300)
    eventually(lambda: not seen(hosts, 0.1, old[0].spi_out)[0] or None)
    _, rate = seen(hosts, 0.5, new[0].spi_out)
    assert rate > RATE / 2
    for host, child in zip(hosts, old, strict=True):
        host.call(lambda host=host, child=child: host.plane.remove(child.spi_in))
    ping(*hosts, size=1300)


def test_a_stream_carries_nothing_else(hosts: Hosts) -> None:
    """§2.3: "A sender MUST only send AGGFRAG_PAYLOAD payloads"; and a gap is told of."""
    children = streams(Stream(600, 20.0))
    install(hosts, children)
    plain = esp_sa(children[0], after=5000)
    with Attacker(hosts[0]) as send:
        send(plain.seal(ipv4(INNER[0][0], INNER[1][0])))
    told = hosts[1].seen(is_refused(Refusal.NOT_IP))
    assert isinstance(told, PacketsRefused)
    assert str(told.peer and told.peer.address) == OUTER[0][0]


def is_refused(refusal: Refusal) -> Callable[[PlaneEvent], bool]:
    return lambda event: isinstance(event, PacketsRefused) and event.refusal is refusal


def test_a_machine_that_was_late_sends_no_bursts(hosts: Hosts) -> None:
    """What an engine that stood still for 150 ms owes leaves a little faster, and not at once.

    Packets have their times at least 15/16 of the interval apart, and none leaves before its time.
    Those that are late leave four at once; four more may have been ready before the thread had to
    wait. So much is true however the machine shares its processors out; with how little lateness
    the rate is right is said of the rhythm alone, whose clock is its test's.
    """
    children = streams(Stream(600, 1000.0))
    install(hosts, children)
    ping(*hosts)
    engine = hosts[0].call(hosts[0].plane.process_id)
    hosts[0].namespace.ip("link", "set", "outer0", "gso_max_segs", "1")
    with tap(hosts[0]) as link:
        link.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
        before = stamps(link, children[0].spi_out, 10)
        os.kill(engine, signal.SIGSTOP)
        time.sleep(0.15)
        os.kill(engine, signal.SIGCONT)
        times = before + stamps(link, children[0].spi_out, 1000)
    hosts[0].namespace.ip("link", "set", "outer0", "gso_max_segs", "65535")
    assert max(later - one for one, later in pairwise(times)) > 0.1, "it stood still"
    assert most_ahead(times, (1 - 1 / 16) / 1000) <= 4 + 4 + 1


def most_ahead(times: list[float], every: float) -> float:
    """Return by how many packets a row of any length is longer than one that has them so far
    apart."""
    most = lowest = 0.0
    for number, when in enumerate(times):
        ahead = number - (when - times[0]) / every
        lowest = min(lowest, ahead)
        most = max(most, ahead - lowest + 1)
    return most


def stamps(link: socket.socket, spi: int, count: int) -> list[float]:
    """Return when the kernel saw each of so many ESP packets of an SA, which come before long."""
    link.settimeout(30)
    times: list[float] = []
    while len(times) < count:
        frame, ancillary, _, _ = link.recvmsg(1 << 17, 64)
        if (esp_of(frame) or b"")[:4] == spi.to_bytes(4):
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
            times.append(seconds + nanoseconds / 1e9)
    return times


@pytest.mark.parametrize(("dscp", "seen_as"), [(None, 0), (34, 34 << 2)])
def test_a_stream_has_the_class_that_is_configured_and_none_of_the_inside(
    hosts: Hosts, dscp: int | None, seen_as: int
) -> None:
    """RFC 9347 §2.2.5.3: "the DS field SHOULD NOT be copied"; it may be set. §3.1: no ECN."""
    children = [
        replace(child, outer=OuterHeader(dscp=dscp)) for child in streams(Stream(600, RATE))
    ]
    install(hosts, children)
    with tap(hosts[0]) as link:
        hosts[0].namespace.run("ping", "-c5", "-i.02", "-w3", "-Q", "0xb9", INNER[1][0])
        frames = [frame for frame in waiting(link) if is_ip(frame)]
    spi = children[0].spi_out.to_bytes(4)
    classes = {traffic_class(frame) for frame in frames if (esp_of(frame) or b"")[:4] == spi}
    assert classes == {seen_as}


def test_a_stream_of_no_size_is_refused(hosts: Hosts) -> None:
    for stream in (Stream(100, RATE), Stream(1300, 0.0), Stream(70_000, RATE)):
        with pytest.raises(HostError):
            hosts[0].install(streams(stream)[0])
    install(hosts, streams(Stream(1300, RATE)))
    ping(*hosts)


def carried(host: Host, child: ChildSa) -> int:
    return host.call(lambda: host.plane.usage(child.spi_in)).octets_out

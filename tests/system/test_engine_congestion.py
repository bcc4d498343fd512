# SPDX-License-Identifier: Apache-2.0
"""A stream whose rate follows what the path carries (RFC 9347 §2.4.2, §3)."""

import socket
import time
from dataclasses import replace
from typing import TypeGuard

import pytest

from ikeway.dataplane import BreakerTurned, PlaneEvent
from ikeway.model.esp import ChildSa
from ikeway.model.traffic_flow import Breaker, Stream, TrafficFlow
from support.attacker import esp_of, tap, waiting
from support.suites import BY_NAME
from support.tunnel import INNER, Host, Hosts, child_pair, eventually, ping, transfer

pytestmark = pytest.mark.system

MOST = 1000.0
OCTETS = 1000
NARROW = 150
"""Packets a second that pass while the link is narrow."""
SO_RCVBUFFORCE = 33


def pair(*, is_controlled: bool) -> list[ChildSa]:
    """Return a pair of which the first side sends up to 1,000 packets a second, the other 200."""
    ours, peers = child_pair(BY_NAME["aes256gcm16"])
    stream = Stream(OCTETS, MOST, is_controlled=is_controlled, reports=is_controlled)
    slow = Stream(OCTETS, 200.0, reports=is_controlled)
    return [
        replace(ours, traffic_flow=TrafficFlow(stream=stream)),
        replace(peers, traffic_flow=TrafficFlow(stream=slow)),
    ]


def guarded() -> list[ChildSa]:
    """Return such a pair without control; the first side has a breaker that is soon tripped."""
    children = pair(is_controlled=False)
    told = [replace(child.traffic_flow.stream, reports=True) for child in children]
    told[0] = replace(told[0], breaker=Breaker(lost=0.3, seconds=1.0))
    return [
        replace(child, traffic_flow=TrafficFlow(stream=stream))
        for child, stream in zip(children, told, strict=True)
    ]


def install(hosts: Hosts, children: list[ChildSa]) -> None:
    for host, child in reversed(list(zip(hosts, children, strict=True))):
        host.install(child)
    ping(*hosts)


def narrow(host: Host) -> None:
    """Have what leaves a host pass a narrow link with a queue, which loses what is too much."""
    rate = f"{NARROW * (OCTETS + 14) * 8}"
    shape = ("root", "tbf", "rate", rate, "burst", "4000", "latency", "60ms")
    host.namespace.run("tc", "qdisc", "add", "dev", "outer0", *shape)


def widen(host: Host) -> None:
    host.namespace.run("tc", "qdisc", "del", "dev", "outer0", "root")


def rates(host: Host, spi: int, seconds: float) -> tuple[float, float]:
    """Return how many packets an SA of a host seals in a second, and how many of them pass."""
    host.namespace.ip("link", "set", "outer0", "gso_max_segs", "1")
    with tap(host) as link:
        link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
        waiting(link)
        start = time.monotonic()
        time.sleep(seconds)
        frames, lasted = waiting(link), time.monotonic() - start
    packets = [packet for packet in map(esp_of, frames) if packet and packet[:4] == spi.to_bytes(4)]
    numbers = [int.from_bytes(packet[4:8]) for packet in packets]
    return (max(numbers) - min(numbers)) / lasted, len(numbers) / lasted


def test_the_rate_falls_with_losses_and_comes_back(hosts: Hosts) -> None:
    """§2.4.2: "lowering the packet send rate to accommodate the congestion, as well as raising the
    rate when congestion subsides"; §4.1: up to what is configured."""
    children = pair(is_controlled=True)
    install(hosts, children)
    spi = children[0].spi_out
    eventually(lambda: rates(hosts[0], spi, 0.5)[0] > MOST * 0.6 or None, 10)
    narrow(hosts[0])
    try:
        time.sleep(3)
        sealed, passed = rates(hosts[0], spi, 4)
        assert sealed < NARROW * 1.4, "it sends what passes, and not much more"
        assert passed > NARROW * 0.4
        transfer(*hosts, 1 << 16)
    finally:
        widen(hosts[0])
    eventually(lambda: rates(hosts[0], spi, 1)[0] > MOST * 0.5 or None, 30)
    assert rates(hosts[0], spi, 1)[0] < MOST * 1.1


def test_without_control_the_rate_stays_whatever_is_lost(hosts: Hosts) -> None:
    """§2.4.1: "The packet send rate is constant and is not automatically adjusted"."""
    children = pair(is_controlled=False)
    install(hosts, children)
    narrow(hosts[0])
    try:
        sealed, passed = rates(hosts[0], children[0].spi_out, 2)
    finally:
        widen(hosts[0])
    assert sealed > NARROW * 2, "one that is controlled sends no more than passes"
    assert passed < NARROW * 1.3


def test_a_rekeyed_stream_goes_on_at_the_rate_that_it_had(hosts: Hosts) -> None:
    """The path is the same: nothing has to be tried anew."""
    old = pair(is_controlled=True)
    install(hosts, old)
    eventually(lambda: rates(hosts[0], old[0].spi_out, 0.5)[0] > MOST * 0.6 or None, 10)
    flows = [child.traffic_flow for child in old]
    new = [
        replace(child, traffic_flow=flow)
        for child, flow in zip(child_pair(BY_NAME["aes256gcm16"], spi=0x2000), flows, strict=True)
    ]
    install(hosts, new)
    assert rates(hosts[0], new[0].spi_out, 0.5)[0] > MOST * 0.5


def test_a_breaker_slows_down_what_loses_too_much_and_the_stream_comes_back(hosts: Hosts) -> None:
    """§2.4.2.1, RFC 8084 §4: it falls to a tenth, says so, and nothing leaves in clear
    for that; once the path is good for long, it is as it was."""
    children = guarded()
    install(hosts, children)
    spi = children[0].spi_out
    narrow(hosts[0])
    try:
        opened = hosts[0].seen(is_opened, 30)
        with tap(hosts[0]) as link:
            hosts[0].namespace.run("ping", "-c20", "-i.01", "-w5", INNER[1][0])
            frames = waiting(link)
        slowed, _ = rates(hosts[0], spi, 1)
        state = hosts[0].call(lambda: hosts[0].plane.usage(children[0].spi_in)).stream
    finally:
        widen(hosts[0])
    assert is_opened(opened)
    assert opened.lost >= 0.3
    assert opened.per_second == pytest.approx(MOST / 10)
    assert slowed < MOST / 10 * 1.2, "it owes nothing of the time before"
    assert any(esp_of(frame) for frame in frames)
    assert not any(socket.inet_aton(INNER[1][0]) in frame for frame in frames)
    assert state is not None
    assert state.per_second <= MOST / 10 * 1.01
    assert state.is_open
    assert state.rtt
    assert state.loss_event_rate
    hosts[0].seen(is_closed, 60)
    eventually(lambda: rates(hosts[0], spi, 0.5)[0] > MOST * 0.6 or None, 30)


def is_opened(event: PlaneEvent) -> TypeGuard[BreakerTurned]:
    return isinstance(event, BreakerTurned) and event.is_open


def is_closed(event: PlaneEvent) -> bool:
    return isinstance(event, BreakerTurned) and not event.is_open

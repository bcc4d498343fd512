# SPDX-License-Identifier: Apache-2.0
"""Padding, dummies and streams on a path that is narrower than they were made for (RFC 4301 §8)."""

import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikeway.dataplane import PathNarrowed, StreamResized
from ikeway.model.traffic_flow import PAD_TO_MTU, Dummies, Stream, TrafficFlow
from support.attacker import is_ip, tap, waiting
from support.narrow import MTU, narrow_hosts
from support.suites import BY_NAME
from support.tunnel import INNER, OUTER, Hosts, child_pair, eventually, ping, transfer

pytestmark = pytest.mark.system

SUITES = ["aes256gcm16", "aes256-sha384"]
UDP = 17


@pytest.fixture
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Make them anew, as what was learnt of a path lasts; each packet is seen by itself."""
    with narrow_hosts(tmp_path_factory.mktemp("narrow")) as (made, _):
        for host in made:
            host.namespace.ip("link", "set", "outer0", "gso_max_segs", "1")
        yield made


def install(hosts: Hosts, flow: TrafficFlow, suite: str, outer: int = 0) -> None:
    # What leaves by the clock goes to one who has the SA.
    pairs = list(zip(hosts, child_pair(BY_NAME[suite], outer=outer), strict=True))
    for host, child in reversed(pairs):
        host.install(replace(child, traffic_flow=flow))


def lengths(hosts: Hosts, seconds: float) -> set[int]:
    """Return how long the outer packets are that the first host sends in a while."""
    with tap(hosts[0]) as link:
        waiting(link)
        time.sleep(seconds)
        frames = [frame for frame in waiting(link) if is_ip(frame)]
    ours = ip_address(OUTER[0][0]).packed
    sent = [frame for frame in frames if frame[26:30] == ours and frame[23] == UDP]
    return {int.from_bytes(frame[16:18]) for frame in sent}


@pytest.mark.conformance("CF-U13", "CF-U16")
@pytest.mark.parametrize("suite", SUITES)
def test_padding_shrinks_to_what_the_path_carries(hosts: Hosts, suite: str) -> None:
    """RFC 4303 §2.7: padding hides lengths, and is no reason for short packets to be lost."""
    install(hosts, TrafficFlow(PAD_TO_MTU, Dummies(40.0, is_random=False)), suite)
    eventually(lambda: reaches(hosts) or None, 10)
    for family in (0, 1):
        ping(*hosts, family)
    (length,) = lengths(hosts, 0.5)
    assert MTU - 16 < length <= MTU, "dummies that are as long as the path takes"
    before = hosts[1].call(hosts[1].plane.refused).get("dummy", 0)
    eventually(lambda: hosts[1].call(hosts[1].plane.refused)["dummy"] > before + 5 or None)
    transfer(*hosts, 1 << 18)
    transfer(hosts[1], hosts[0], 1 << 18)
    assert hosts[0].call(hosts[0].plane.paths) == {ip_address(OUTER[1][0]): MTU}


@pytest.mark.conformance("CF-U16")
@pytest.mark.parametrize("fragments", [True, False])
@pytest.mark.parametrize("suite", SUITES)
def test_the_packets_of_a_stream_get_as_long_as_the_path_carries(
    hosts: Hosts, suite: str, fragments: bool
) -> None:
    """RFC 9347 §2.2.6: PMTU is handled as in RFC 4301; §2: the receiver expects other sizes."""
    install(hosts, TrafficFlow(stream=Stream(1400, 400.0, may_fragment=fragments)), suite)
    for side, host in enumerate(hosts):
        told = host.seen(lambda event: isinstance(event, StreamResized), 5)
        assert told == StreamResized(0x1000 + side, MTU)
        assert PathNarrowed(ip_address(OUTER[1 - side][0]), MTU) in host.events
    for size in (56, *((1350, 4000) if fragments else (1150,))):
        ping(*hosts, size=size)
    (length,) = lengths(hosts, 0.3)
    assert MTU - 16 < length <= MTU
    transfer(*hosts, 1 << 18)
    transfer(hosts[1], hosts[0], 1 << 18)


def test_a_stream_of_whole_packets_tells_senders_what_fits(hosts: Hosts) -> None:
    """RFC 9347 §2.2.6: without fragments, packets with DF draw "Too Big", others are fragmented."""
    whole = TrafficFlow(stream=Stream(1200, 400.0, may_fragment=False))
    install(hosts, whole, "aes256gcm16")
    ping(*hosts)
    assert "mtu" in asked(hosts, "-M", "do", "-s1300")
    hosts[0].namespace.run("ping", "-c2", "-w3", "-i.1", "-M", "dont", "-s1300", INNER[1][0])
    transfer(*hosts, 1 << 17, 1)


def asked(hosts: Hosts, *options: str) -> str:
    """Return what one ping says, whatever comes of it."""
    command = ["ping", "-c1", "-W1", *options, INNER[1][0]]
    with hosts[0].namespace.start(*command, stdout=-1, stderr=-2) as asking:
        return str(asking.communicate()[0])


def reaches(hosts: Hosts) -> bool:
    return " 0% packet loss" in asked(hosts)

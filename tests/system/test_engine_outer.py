# SPDX-License-Identifier: Apache-2.0
"""Outer headers and those inside, as the wire has them (RFC 4301 §5.1.2, RFC 2983)."""

from dataclasses import replace

import pytest

from ikeway.model.esp import Encapsulation
from ikeway.model.outer import DontFragment, OuterHeader
from support.attacker import UDP, drain, is_ip, tap, traffic_class
from support.suites import BY_NAME
from support.tunnel import INNER, Hosts, child_pair, transfer

pytestmark = pytest.mark.system

EF_CAPABLE = 46 << 2 | 2
ESP = 50


@pytest.mark.parametrize("outer", [0, 1], ids=["over-ipv4", "over-ipv6"])
@pytest.mark.parametrize(("dscp", "seen"), [(None, 46), (0, 0), (10, 10)])
def test_dscp_is_copied_or_has_a_value_of_its_own(
    hosts: Hosts, outer: int, dscp: int | None, seen: int
) -> None:
    """RFC 2983 §3, RFC 6040 §4.1: ECN goes along in any case; what arrives keeps its own class."""
    install(hosts, OuterHeader(dscp), outer)
    with tap(hosts[0]) as link, tap(hosts[1], "ikeway0") as inside:
        echo(hosts, "-Q", hex(EF_CAPABLE))
        frames = requests(hosts, drain(link), outer)
        arrived = [packet for packet in drain(inside) if packet[9] == 1 and packet[20] == 8]
    assert {traffic_class(frame) for frame in frames} == {seen << 2 | 2}
    assert {packet[1] for packet in arrived} == {EF_CAPABLE}


@pytest.mark.conformance("CF-U16")
@pytest.mark.parametrize("carrier", list(Encapsulation), ids=lambda carrier: carrier.value)
@pytest.mark.parametrize(
    ("df", "of_bound", "of_free"),
    [
        (None, True, True),
        (DontFragment.SET, True, True),
        (DontFragment.COPY, True, False),
        (DontFragment.CLEAR, False, False),
    ],
)
def test_df_is_set_copied_or_cleared(
    hosts: Hosts, carrier: Encapsulation, df: DontFragment | None, of_bound: bool, of_free: bool
) -> None:
    """RFC 4301 §8.1: all three can be configured for each SA."""
    install(hosts, OuterHeader(df=df), carrier=carrier)
    for way, wanted in (("do", of_bound), ("dont", of_free)):
        with tap(hosts[0]) as link:
            echo(hosts, "-M", way)
            frames = requests(hosts, drain(link), 0)
        assert {frame[20] & 0x40 != 0 for frame in frames} == {wanted}, way
        assert {frame[23] for frame in frames} == {UDP if carrier is Encapsulation.UDP else ESP}
    transfer(*hosts, 1 << 18)


def test_ttls_are_each_headers_own(hosts: Hosts) -> None:
    """RFC 4301 §5.1.2.1: only who forwards lowers the inner TTL, and that is the host."""
    install(hosts, OuterHeader())
    with tap(hosts[0]) as link, tap(hosts[1], "ikeway0") as inside:
        echo(hosts, "-t", "7")
        frames = requests(hosts, drain(link), 0)
        arrived = [packet for packet in drain(inside) if packet[9] == 1 and packet[20] == 8]
    assert {frame[22] for frame in frames} == {64}
    assert {packet[8] for packet in arrived} == {7}


def install(
    hosts: Hosts,
    header: OuterHeader,
    outer: int = 0,
    carrier: Encapsulation = Encapsulation.UDP,
) -> None:
    children = child_pair(BY_NAME["aes256gcm16"], outer=outer)
    for host, child in zip(hosts, children, strict=True):
        host.install(replace(child, encapsulation=carrier, outer=header))


def echo(hosts: Hosts, *options: str) -> None:
    hosts[0].namespace.run("ping", "-c", "2", "-i", "0.02", "-w", "3", *options, INNER[1][0])


def requests(hosts: Hosts, frames: list[bytes], outer: int) -> list[bytes]:
    """Return the frames of ESP from the first host, each with an echo request in it."""
    own = hosts[0].namespace.ip("-br", "link", "show", "outer0").split()[2]
    mac = bytes.fromhex(own.replace(":", ""))
    from_us = [frame for frame in frames if is_ip(frame) and frame[6:12] == mac]
    place = 23 if outer == 0 else 20
    return [frame for frame in from_us if frame[place] in {UDP, ESP}]

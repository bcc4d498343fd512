# SPDX-License-Identifier: Apache-2.0
"""Packets that are compressed between two engines (RFC 3173), and what a peer may make of that."""

import zlib
from dataclasses import replace

import pytest

from ikeway.dataplane import PacketsRefused, Refusal
from ikeway.model.esp import ChildSa, Compression, Ipcomp
from support.attacker import Attacker, drain, tap
from support.esp import Peer
from support.suites import BY_NAME
from support.tunnel import Hosts, child_pair, install, ping, transfer

pytestmark = pytest.mark.system

GCM = BY_NAME["aes256gcm16"]
INDICES = Ipcomp(0x1111, 0x2222), Ipcomp(0x2222, 0x1111)
NONE = Compression()


def compressed() -> list[ChildSa]:
    """Return both sides of a pair."""
    return [replace(one, ipcomp=each) for one, each in zip(child_pair(GCM), INDICES, strict=True)]


def done(hosts: Hosts, side: int) -> Compression:
    """Return what compression did at a host."""
    host = hosts[side]
    usages = host.call(host.plane.usages)
    return next(iter(usages.values())).compression or NONE


def test_packets_are_smaller_on_the_cable_and_whole_behind_it(hosts: Hosts) -> None:
    """RFC 3173 §2.1: what is expanded is the packet as it was, both ways and of both families."""
    install(hosts, compressed())
    with tap(hosts[0]) as link:
        for family in (0, 1):
            ping(*hosts, family, 1200)
        sizes = {len(frame) for frame in drain(link) if frame[12:14] == b"\x08\x00"}
    assert sizes
    assert max(sizes) < 600, "an echo request's payload repeats every 256 octets"
    near, far = done(hosts, 0), done(hosts, 1)
    assert near.packets_out == far.packets_in > 0
    assert (near.plain_out, near.packed_out) == (far.plain_in, far.packed_in)
    assert near.packed_out * 2 < near.plain_out
    assert near.packets_in == far.packets_out > 0


def test_what_does_not_get_smaller_goes_as_it_is(hosts: Hosts) -> None:
    """RFC 3173 §2.2: "the IP datagram MUST be sent in the original non-compressed form"."""
    install(hosts, compressed())
    transfer(hosts[0], hosts[1], 1 << 20)
    transfer(hosts[1], hosts[0], 1 << 20, 1)
    near = done(hosts, 0)
    usage = hosts[0].call(lambda: hosts[0].plane.usage(0x1000))
    assert near.packets_out < usage.packets_out / 4, "they are random octets"


def test_one_side_may_compress_nothing(hosts: Hosts) -> None:
    """RFC 3173 §2.2: packets without an IPComp header are taken on such a pair."""
    one, two = compressed()
    install(hosts, [replace(one, ipcomp=None), two])
    for size in (56, 60):
        ping(*hosts, 0, size)
    assert done(hosts, 0) == done(hosts, 1) == NONE


@pytest.mark.parametrize("zeros", [1 << 16, 40_000_000])
def test_a_bomb_costs_one_packet(hosts: Hosts, zeros: int) -> None:
    """The attack: few octets that would expand to many. None passes, and packets do after it."""
    one, two = compressed()
    install(hosts, [one, two])
    press = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = press.compress(bytes(zeros)) + press.flush()
    header = bytes([4, 0]) + INDICES[1].cpi_in.to_bytes(2)
    sealer = Peer(two.spi_in, GCM, two.keys_in.encr.octets, b"", esn=True)
    with Attacker(hosts[0]) as attacker:
        for number in range(500, 520):
            attacker(sealer.seal(number, header + bomb, 108))
    hosts[1].seen(
        lambda event: (
            isinstance(event, PacketsRefused)
            and (event.refusal, event.spi) == (Refusal.NOT_EXPANDED, two.spi_in)
        )
    )
    ping(*hosts)

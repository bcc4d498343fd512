# SPDX-License-Identifier: Apache-2.0
"""IP packets are found in frames of every link type, and put together from fragments."""

import random
from ipaddress import ip_address
from struct import pack

import pytest

from ikeway.trace import ip, link
from ikeway.trace.ip import Packet, Reassembler

FOUR = (ip_address("192.0.2.1"), ip_address("192.0.2.2"))
SIX = (ip_address("2001:db8::1"), ip_address("2001:db8::2"))
PAYLOAD = bytes(range(256)) * 16


def ipv4(payload: bytes, offset: int = 0, more: bool = False, ident: int = 7) -> bytes:
    where = offset // 8 | more << 13
    total = 20 + len(payload)
    head = pack("!BBHHHBBH", 0x45, 0, total, ident, where, 64, 17, 0)
    return head + FOUR[0].packed + FOUR[1].packed + payload


def ipv6(payload: bytes, offset: int | None = None, more: bool = False) -> bytes:
    first, rest = 17, payload
    if offset is not None:
        first, rest = 44, pack("!BBHI", 17, 0, offset | more, 9) + payload
    head = pack("!IHBB", 6 << 28, len(rest), first, 64)
    return head + SIX[0].packed + SIX[1].packed + rest


def fragments(version: int, size: int = 1000) -> list[bytes]:
    make = ipv4 if version == 4 else ipv6
    starts = range(0, len(PAYLOAD), size)
    return [make(PAYLOAD[at : at + size], at, more=at + size < len(PAYLOAD)) for at in starts]


@pytest.mark.parametrize(
    ("kind", "frame"),
    [
        (0, b"\x02\0\0\0"),
        (1, bytes(12) + b"\x08\0"),
        (1, bytes(12) + b"\x81\0\0\x05\x08\0"),
        (1, bytes(12) + b"\x88\xa8\0\x05\x81\0\0\x06\x08\0"),
        (1, bytes(12) + b"\x88\x64\x11\0\0\x01\0\x40\0\x21"),
        (12, b""),
        (101, b""),
        (108, b"\0\0\0\x02"),
        (113, bytes(14) + b"\x08\0"),
        (228, b""),
        (276, b"\x08\0" + bytes(18)),
    ],
)
def test_a_packet_is_found_behind_every_link_header(kind: int, frame: bytes) -> None:
    assert link.packet_of(kind, frame + ipv4(b"payload")) == ipv4(b"payload")


@pytest.mark.parametrize("kind", [0, 1, 12, 108, 113, 276, 999])
def test_a_frame_of_something_else_has_no_packet(kind: int) -> None:
    for frame in (b"", b"\0", bytes(12) + b"\x08\x06" + bytes(30), bytes(64)):
        assert link.packet_of(kind, frame) is None


@pytest.mark.parametrize("version", [4, 6])
def test_fragments_in_any_order_make_the_packet(version: int) -> None:
    parts = fragments(version)
    for seed in range(20):
        taken = Reassembler()
        random.Random(seed).shuffle(parts)
        *early, last = [taken.take(part) for part in (parts[0], *parts)]
        assert early == [None] * len(parts)
        ends = FOUR if version == 4 else SIX
        assert last == Packet(*ends, 17, PAYLOAD, len(parts))
        assert taken.waiting == 0


def test_fragments_that_overlap_are_dropped_whole() -> None:
    taken = Reassembler()
    assert taken.take(ipv4(b"a" * 16, 0, more=True)) is None
    assert taken.take(ipv4(b"b" * 16, 8, more=True)) is None
    assert taken.take(ipv4(b"c" * 8, 16)) is None
    assert taken.waiting == 2


def test_fragments_that_never_become_whole_do_not_pile_up() -> None:
    taken = Reassembler()
    for ident in range(10 * ip.PENDING_MOST):
        taken.take(ipv4(bytes(8), 0, more=True, ident=ident))
    assert taken.waiting == 10 * ip.PENDING_MOST
    assert taken.incomplete == 9 * ip.PENDING_MOST


def test_extension_headers_are_stepped_over() -> None:
    hops = pack("!BB6x", 17, 0) + b"payload"
    head = pack("!IHBB", 6 << 28, len(hops), 0, 64) + SIX[0].packed + SIX[1].packed
    part = ip.read(head + hops)
    assert part is not None
    assert (part.protocol, part.payload) == (17, b"payload")


def test_any_octets_are_a_packet_or_none() -> None:
    source = random.Random(5)
    taken = Reassembler()
    for _ in range(20_000):
        octets = bytearray(source.choice([ipv4(bytes(40), 8, True), ipv6(bytes(40), 8, True)]))
        for _ in range(source.randrange(1, 6)):
            octets[source.randrange(len(octets))] = source.randrange(256)
        taken.take(bytes(octets[: source.randrange(len(octets) + 1)]))
    assert taken.waiting - taken.incomplete <= ip.PENDING_MOST

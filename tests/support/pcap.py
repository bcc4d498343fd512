# SPDX-License-Identifier: Apache-2.0
"""Reads classic pcap files: UDP datagrams and ESP packets, with IPv4 fragments put together."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from struct import Struct, unpack_from

CAPTURES = Path(__file__).parent.parent / "vectors" / "captures"

_MAGIC = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<"}
_ETHERTYPES = {0x0800: 4, 0x86DD: 6}
_LINK_OCTETS = {0: 4, 1: 14, 12: 0, 101: 0, 113: 16}
UDP, ESP = 17, 50


@dataclass(frozen=True, slots=True)
class Packet:
    """An IP packet, reassembled. `payload` is what follows the IP header."""

    source: str
    destination: str
    protocol: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Datagram:
    """A UDP datagram."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    data: bytes


def frames(path: Path) -> Iterator[bytes]:
    """Yield the frames of a capture, from the IP header on."""
    octets = path.read_bytes()
    order = _MAGIC[octets[:4]]
    (link,) = unpack_from(order + "I", octets, 20)
    record = Struct(order + "IIII")
    at = 24
    while at < len(octets):
        _, _, size, _ = record.unpack_from(octets, at)
        at += record.size
        frame = octets[at : at + size]
        at += size
        skip = _LINK_OCTETS[link]
        if link == 1 and unpack_from("!H", frame, 12)[0] not in _ETHERTYPES:
            continue
        yield frame[skip:]


def packets(path: Path) -> Iterator[Packet]:
    """Yield the IP packets of a capture."""
    pending: dict[tuple[bytes, bytes, int], list[tuple[int, bool, bytes]]] = {}
    for frame in frames(path):
        version = frame[0] >> 4
        if version == 4:
            whole = _reassemble(frame, pending)
            if whole is not None:
                addresses = IPv4Address(frame[12:16]), IPv4Address(frame[16:20])
                yield Packet(str(addresses[0]), str(addresses[1]), frame[9], whole)
        elif version == 6:
            (size,) = unpack_from("!H", frame, 4)
            source, destination = IPv6Address(frame[8:24]), IPv6Address(frame[24:40])
            yield Packet(str(source), str(destination), frame[6], frame[40 : 40 + size])


def datagrams(path: Path) -> Iterator[Datagram]:
    """Yield the UDP datagrams of a capture."""
    for packet in packets(path):
        if packet.protocol == UDP:
            source, destination, size = unpack_from("!HHH", packet.payload)
            data = packet.payload[8:size]
            yield Datagram(packet.source, source, packet.destination, destination, data)


def ike_messages(path: Path, major: int = 2) -> Iterator[bytes]:
    """Yield the IKE messages of a major version, without non-ESP marker."""
    for one in datagrams(path):
        octets = one.data
        if 4500 in {one.source_port, one.destination_port}:
            if not octets.startswith(bytes(4)):
                continue  # ESP or a keepalive
            octets = octets[4:]
        if len(octets) >= 28 and octets[17] >> 4 == major:
            yield octets


def _reassemble(
    frame: bytes, pending: dict[tuple[bytes, bytes, int], list[tuple[int, bool, bytes]]]
) -> bytes | None:
    """Return the payload of an IPv4 packet once its last fragment has come."""
    header = (frame[0] & 15) * 4
    total, ident, where = unpack_from("!HHH", frame, 2)
    data = frame[header:total]
    more, offset = bool(where & 0x2000), (where & 0x1FFF) * 8
    if not more and not offset:
        return data
    key = (frame[12:16], frame[16:20], ident)
    parts = pending.setdefault(key, [])
    parts.append((offset, more, data))
    parts.sort()
    end = 0
    for start, _, part in parts:
        if start != end:
            return None
        end += len(part)
    if parts[-1][1]:
        return None
    del pending[key]
    return b"".join(part for _, _, part in parts)

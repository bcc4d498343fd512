# SPDX-License-Identifier: Apache-2.0
"""Sorts IP packets into IKE messages, ESP and AH (RFC 7296 §2, §3.1; RFC 3948 §2, §3.4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ikeway.model.address import IKE_PORT, NAT_PORT, Endpoint
from ikeway.trace import link
from ikeway.trace.ip import Packet, Reassembler
from ikeway.trace.pcap import Frame
from ikeway.wire.message import HEADER_OCTETS, NON_ESP_MARKER

UDP, ESP, AH = 17, 50, 51
_UDP_OCTETS: Final = 8
_ESP_OCTETS: Final = 8
_AH_OCTETS: Final = 12
_KEEPALIVE: Final = b"\xff"


@dataclass(frozen=True, slots=True)
class Where:
    """When and between whom something went; port 0 is no port. `number` is the frame's."""

    number: int
    at: float
    source: Endpoint
    destination: Endpoint


@dataclass(frozen=True, slots=True)
class IkeOctets:
    """An IKE message, without non-ESP marker. `fragments` is of IP packets, 1 if there are none."""

    where: Where
    octets: bytes
    fragments: int = 1


@dataclass(frozen=True, slots=True)
class EspOctets:
    """An ESP packet, from its SPI on."""

    where: Where
    octets: bytes
    is_in_udp: bool


@dataclass(frozen=True, slots=True)
class AhOctets:
    """An AH header and what it protects behind it."""

    where: Where
    octets: bytes


@dataclass(frozen=True, slots=True)
class Keepalive:
    """A NAT keepalive (RFC 3948 §2.3)."""

    where: Where


Found = IkeOctets | EspOctets | AhOctets | Keepalive


class Sorter:
    """Takes frames; counts those that were cut off, which cannot be read whole."""

    def __init__(self) -> None:
        self._reassembler = Reassembler()
        self.frames = 0
        self.cut_off = 0
        self.unknown_links: set[int] = set()

    @property
    def incomplete(self) -> int:
        """How many IP packets miss fragments."""
        return self._reassembler.waiting

    def take(self, frame: Frame) -> Iterator[Found]:
        """Yield what a frame holds or completes."""
        self.frames += 1
        if not link.is_known(frame.link):
            self.unknown_links.add(frame.link)
            return
        octets = link.packet_of(frame.link, frame.octets)
        packet = None if octets is None else self._reassembler.take(octets)
        if packet is None:
            return
        found = _sort(frame, packet)
        if found is not None:
            self.cut_off += not frame.is_whole
            yield found


def _sort(frame: Frame, packet: Packet) -> Found | None:
    if packet.protocol == ESP and len(packet.payload) >= _ESP_OCTETS:
        where = _where(frame, packet, 0, 0)
        return EspOctets(where, packet.payload, is_in_udp=False)
    if packet.protocol == AH and len(packet.payload) >= _AH_OCTETS:
        return AhOctets(_where(frame, packet, 0, 0), packet.payload)
    if packet.protocol != UDP or len(packet.payload) < _UDP_OCTETS:
        return None
    source, destination, size = (int.from_bytes(packet.payload[at : at + 2]) for at in (0, 2, 4))
    data = packet.payload[_UDP_OCTETS : size or None]
    where = _where(frame, packet, source, destination)
    if NAT_PORT in {source, destination}:
        return _on_nat_port(where, data, packet.fragments)
    if IKE_PORT in {source, destination} and len(data) >= HEADER_OCTETS:
        return IkeOctets(where, data, packet.fragments)
    return None


def _on_nat_port(where: Where, data: bytes, fragments: int) -> Found | None:
    if data == _KEEPALIVE:
        return Keepalive(where)
    if data.startswith(NON_ESP_MARKER):
        octets = data[len(NON_ESP_MARKER) :]
        return IkeOctets(where, octets, fragments) if len(octets) >= HEADER_OCTETS else None
    return EspOctets(where, data, is_in_udp=True) if len(data) >= _ESP_OCTETS else None


def _where(frame: Frame, packet: Packet, source: int, destination: int) -> Where:
    return Where(
        frame.number,
        frame.at,
        Endpoint(packet.source, source),
        Endpoint(packet.destination, destination),
    )

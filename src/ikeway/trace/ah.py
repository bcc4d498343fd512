# SPDX-License-Identifier: Apache-2.0
"""Packets with AH, counted for each SPI (RFC 4302 §2): what they carry is in clear."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ikeway.model.address import Address
from ikeway.trace import inner
from ikeway.trace.datagrams import AhOctets
from ikeway.trace.esp import FLOWS_MOST, EspPacket, Flow
from ikeway.trace.sealed import Sealing

_FIXED_OCTETS: Final = 12


@dataclass(frozen=True, slots=True)
class AhPacket:
    """One packet: its place in the SA, and what is in it."""

    spi: int
    sequence: int
    next_header: int
    inner: bytes

    @property
    def content(self) -> str:
        """What it carries, in words."""
        return inner.describe(self.next_header, self.inner)


class AhTracker:
    """All AH SAs of a trace."""

    def __init__(self) -> None:
        self._flows: dict[tuple[int, Address, Address], Flow] = {}

    def flows(self) -> Iterator[Flow]:
        """Yield every AH SA, in the order of their first packets."""
        return iter(self._flows.values())

    def take(self, found: AhOctets) -> tuple[AhPacket, int] | None:
        """Return a packet and its place in its SA; None if there are more SAs than are counted."""
        packet = _read(found.octets)
        source, destination = found.where.source.address, found.where.destination.address
        key = (packet.spi, source, destination)
        if key not in self._flows and len(self._flows) >= FLOWS_MOST:
            return None
        flow = self._flows.setdefault(key, Flow(*key, is_in_udp=False, is_ah=True))
        counted = EspPacket(packet.spi, packet.sequence, Sealing.CLEAR)
        flow.count(counted, len(found.octets), found.where.at)
        return packet, flow.packets


def _read(octets: bytes) -> AhPacket:
    length = (octets[1] + 2) * 4
    spi, sequence = int.from_bytes(octets[4:8]), int.from_bytes(octets[8:_FIXED_OCTETS])
    return AhPacket(spi, sequence, octets[0], octets[length:])

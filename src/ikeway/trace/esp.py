# SPDX-License-Identifier: Apache-2.0
"""ESP packets, counted for each SPI and opened where there are keys (RFC 4303 §2, §3.4)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ikeway.model.address import Address
from ikeway.model.errors import IntegrityError
from ikeway.trace import inner
from ikeway.trace.datagrams import EspOctets
from ikeway.trace.keys import KeyStore
from ikeway.trace.opener import Check, Opened, Opener
from ikeway.trace.sealed import Sealing

FLOWS_MOST: Final = 65536
"""How many ESP SAs are counted each by itself."""
_HEADER_OCTETS: Final = 8
_TRAILER_OCTETS: Final = 2
_HALF: Final = 1 << 31
_HIGH_MOST: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class EspPacket:
    """One packet: its place in the SA, and what is in it as far as can be seen."""

    spi: int
    sequence: int
    sealing: Sealing
    next_header: int = 0
    inner: bytes = b""

    @property
    def content(self) -> str:
        """What it carries, in words; empty where that cannot be seen."""
        if self.sealing in {Sealing.NO_KEYS, Sealing.WRONG_KEYS}:
            return ""
        return inner.describe(self.next_header, self.inner)


@dataclass(slots=True)
class Flow:
    """One SA of ESP or AH as seen between two addresses. `octets` are of its packets."""

    spi: int
    source: Address
    destination: Address
    is_in_udp: bool
    suite: str = ""
    is_extended: bool | None = None
    packets: int = 0
    octets: int = 0
    first: int = 0
    last: int = 0
    lowest: int = 0
    highest: int = 0
    began: float = 0.0
    ended: float = 0.0
    by_sealing: dict[Sealing, int] = field(default_factory=dict)
    is_ah: bool = False

    @property
    def not_seen(self) -> int:
        """How many sequence numbers between the lowest and the highest did not come by."""
        return max(0, self.highest - self.lowest + 1 - self.packets)

    def count(self, one: EspPacket, octets: int, at: float) -> None:
        """Count a packet."""
        if not self.packets:
            self.first = self.lowest = self.highest = one.sequence
            self.began = at
        self.packets += 1
        self.octets += octets
        self.last, self.ended = one.sequence, at
        self.lowest = min(self.lowest, one.sequence)
        self.highest = max(self.highest, one.sequence)
        self.by_sealing[one.sealing] = self.by_sealing.get(one.sealing, 0) + 1


@dataclass(slots=True)
class _Sa:
    flow: Flow
    openers: list[Opener]
    chosen: Opener | None = None
    high: int = 0
    low: int = 0


class EspTracker:
    """All ESP SAs of a trace."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._sas: dict[tuple[int, Address, Address], _Sa] = {}
        self.not_counted = 0

    def flows(self) -> Iterator[Flow]:
        """Yield every ESP SA, in the order of their first packets."""
        return (sa.flow for sa in self._sas.values())

    def take(self, packet: EspOctets) -> tuple[Flow, EspPacket] | None:
        """Count a packet and open it; None if there are more SAs than can be counted."""
        spi = int.from_bytes(packet.octets[:4])
        sa = self._find(spi, packet)
        if sa is None:
            self.not_counted += 1
            return None
        opened = _open(sa, spi, packet.octets)
        sa.flow.count(opened, len(packet.octets), packet.where.at)
        return sa.flow, opened

    def _find(self, spi: int, packet: EspOctets) -> _Sa | None:
        source, destination = packet.where.source.address, packet.where.destination.address
        key = (spi, source, destination)
        sa = self._sas.get(key)
        if sa is None and len(self._sas) < FLOWS_MOST:
            rows = self._keys.esp_keys(spi, str(source), str(destination))
            flow = Flow(spi, source, destination, packet.is_in_udp)
            sa = self._sas[key] = _Sa(flow, [row.opener() for row in rows])
        return sa


def _open(sa: _Sa, spi: int, octets: bytes) -> EspPacket:
    """Open a packet; the first one that opens tells keys and length of sequence numbers."""
    low = int.from_bytes(octets[4:_HEADER_OCTETS])
    high = _high_half(sa, low)
    if not sa.openers:
        return EspPacket(spi, low, Sealing.NO_KEYS)
    openers = sa.openers if sa.chosen is None else [sa.chosen]
    modes = (False, True) if sa.flow.is_extended is None else (sa.flow.is_extended,)
    for opener in openers:
        for is_extended in modes:
            extended = high.to_bytes(4) if is_extended else b""
            sealing, padded = _try(opener, octets, extended)
            if sealing is Sealing.VERIFIED:
                sa.chosen, sa.flow.is_extended = opener, is_extended
                sa.high, sa.low = max((sa.high, sa.low), (high, low))
            if sealing in {Sealing.VERIFIED, Sealing.UNCHECKED}:
                sa.flow.suite = sa.flow.suite or opener.algorithms.label
                sequence = (high << 32 | low) if is_extended else low
                return _content(spi, sequence, sealing, padded)
    return EspPacket(spi, low, Sealing.WRONG_KEYS)


def _high_half(sa: _Sa, low: int) -> int:
    """Return the high half that is not sent, by the nearest number seen (RFC 4303 appendix A)."""
    if sa.low - low > _HALF:
        return (sa.high + 1) & _HIGH_MOST
    return sa.high - 1 if sa.high and low - sa.low > _HALF else sa.high


def _try(opener: Opener, octets: bytes, extended: bytes) -> tuple[Sealing, bytes]:
    try:
        opened: Opened = opener.open(octets[:_HEADER_OCTETS], octets[_HEADER_OCTETS:], extended)
    except IntegrityError:
        return Sealing.WRONG_KEYS, b""
    if opened.check is Check.VERIFIED:
        return Sealing.VERIFIED, opened.padded
    if opened.check is Check.UNCHECKED and _is_plausible(opened.padded):
        return Sealing.UNCHECKED, opened.padded
    return Sealing.WRONG_KEYS, b""


def _content(spi: int, sequence: int, sealing: Sealing, padded: bytes) -> EspPacket:
    end = len(padded) - _TRAILER_OCTETS - (padded[-2] if len(padded) > 1 else 0)
    return EspPacket(spi, sequence, sealing, padded[-1], padded[: max(0, end)])


def _is_plausible(padded: bytes) -> bool:
    """Whether the padding counts 1, 2, 3 as RFC 4303 §2.4 has it, which wrong keys do not make."""
    if len(padded) < _TRAILER_OCTETS:
        return False
    size, end = padded[-2], len(padded) - _TRAILER_OCTETS
    return size <= end and padded[end - size : end] == bytes(range(1, size + 1))

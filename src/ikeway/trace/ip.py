# SPDX-License-Identifier: Apache-2.0
"""IP packets and their fragments (RFC 791 §3.2, RFC 8200 §4.5), with bounded memory."""

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ikeway.model.address import Address

PENDING_MOST: Final = 256
"""How many packets may wait for their fragments; the oldest goes first."""
FRAGMENTS_MOST: Final = 512
_PACKET_MOST: Final = 65535
_IPV4_OCTETS, _IPV6_OCTETS = 20, 40
_FRAGMENT, _AUTHENTICATION = 44, 51
_EXTENSIONS: Final = frozenset({0, 43, 60, 135, 139, 140})
_EXTENSIONS_MOST: Final = 16
_MORE: Final = 0x2000


@dataclass(frozen=True, slots=True)
class Packet:
    """A whole IP packet; `payload` is what follows the IP header and its extensions."""

    source: Address
    destination: Address
    protocol: int
    payload: bytes
    fragments: int = 1


@dataclass(frozen=True, slots=True)
class _Part:
    source: Address
    destination: Address
    protocol: int
    payload: bytes
    ident: int = 0
    offset: int = 0
    is_more: bool = False

    @property
    def is_fragment(self) -> bool:
        return self.is_more or self.offset > 0


@dataclass(slots=True)
class _Pending:
    parts: dict[int, bytes] = field(default_factory=dict)
    end: int | None = None
    octets: int = 0


class Reassembler:
    """Puts fragments together. What overlaps is dropped whole, as RFC 5722 §4 wants."""

    def __init__(self) -> None:
        self._pending: OrderedDict[tuple[object, ...], _Pending] = OrderedDict()
        self.incomplete = 0

    @property
    def waiting(self) -> int:
        """How many packets still miss fragments, or were dropped for that."""
        return self.incomplete + len(self._pending)

    def take(self, octets: bytes) -> Packet | None:
        """Return the packet that begins with `octets`, or that its last fragment completes."""
        part = read(octets)
        if part is None:
            return None
        if not part.is_fragment:
            return Packet(part.source, part.destination, part.protocol, part.payload)
        key = (part.source, part.destination, part.ident)
        pending = self._pending.setdefault(key, _Pending())
        if not _add(pending, part) or len(self._pending) > PENDING_MOST:
            gone = key if len(self._pending) <= PENDING_MOST else next(iter(self._pending))
            del self._pending[gone]
            self.incomplete += 1
            return None
        whole = _whole(pending)
        if whole is None:
            return None
        del self._pending[key]
        count = len(pending.parts)
        return Packet(part.source, part.destination, part.protocol, whole, count)


def read(octets: bytes) -> _Part | None:
    """Return an IP packet or fragment, or None if the octets are neither."""
    version = octets[0] >> 4 if octets else 0
    if version == 4 and len(octets) >= _IPV4_OCTETS:
        return _ipv4(octets)
    if version == 6 and len(octets) >= _IPV6_OCTETS:
        return _ipv6(octets)
    return None


@lru_cache(maxsize=4096)
def _address(octets: bytes) -> Address:
    """Return an address. A capture has few, each very often, and making one is slow."""
    return IPv4Address(octets) if len(octets) == 4 else IPv6Address(octets)


def _ipv4(octets: bytes) -> _Part | None:
    header, total = (octets[0] & 15) * 4, int.from_bytes(octets[2:4])
    if not total:  # a capture before segmentation offload: the length is still to be written
        total = len(octets)
    if header < _IPV4_OCTETS or not header <= total or len(octets) < header:
        return None
    where = int.from_bytes(octets[6:8])
    source, destination = _address(octets[12:16]), _address(octets[16:20])
    return _Part(
        source,
        destination,
        octets[9],
        octets[header:total],
        int.from_bytes(octets[4:6]),
        (where & 0x1FFF) * 8,
        bool(where & _MORE),
    )


def _ipv6(octets: bytes) -> _Part | None:
    source, destination = _address(octets[8:24]), _address(octets[24:40])
    size = int.from_bytes(octets[4:6]) or len(octets)
    payload, protocol = octets[_IPV6_OCTETS : _IPV6_OCTETS + size], octets[6]
    for _ in range(_EXTENSIONS_MOST):
        if len(payload) < 8 or (protocol not in _EXTENSIONS and protocol != _FRAGMENT):
            break
        if protocol == _FRAGMENT:
            where, ident = int.from_bytes(payload[2:4]), int.from_bytes(payload[4:8])
            offset, is_more = where & 0xFFF8, bool(where & 1)
            if offset or is_more:
                rest = payload[8:]
                return _Part(source, destination, payload[0], rest, ident, offset, is_more)
            protocol, payload = payload[0], payload[8:]
        else:
            protocol, payload = payload[0], payload[(payload[1] + 1) * 8 :]
    return _Part(source, destination, protocol, payload)


def _add(pending: _Pending, part: _Part) -> bool:
    """Keep a fragment; return False if it contradicts another or is too much."""
    known = pending.parts.get(part.offset)
    if known is not None:
        return known == part.payload  # the same again: the capture saw it twice
    end = part.offset + len(part.payload)
    if end > _PACKET_MOST or len(pending.parts) >= FRAGMENTS_MOST or not part.payload:
        return False
    overlaps = any(
        start < end and part.offset < start + len(other) for start, other in pending.parts.items()
    )
    if overlaps or (not part.is_more and pending.end is not None):
        return False
    if not part.is_more:
        pending.end = end
    pending.parts[part.offset] = part.payload
    pending.octets += len(part.payload)
    return pending.end is None or max(pending.parts) < pending.end


def _whole(pending: _Pending) -> bytes | None:
    if pending.end is None or pending.octets != pending.end:
        return None
    return b"".join(pending.parts[at] for at in sorted(pending.parts))

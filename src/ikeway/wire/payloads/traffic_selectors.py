# SPDX-License-Identifier: Apache-2.0
"""Traffic Selector payloads, initiator and responder (RFC 7296 §3.13)."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Annotated, Final, Self

from typing_extensions import override

from ikeway.model.errors import MalformedError
from ikeway.model.selectors import Selectors, TrafficSelector
from ikeway.wire.codec import Body, Parts, Reader, Rest, UInt, layout, names, payload
from ikeway.wire.registry import PayloadType, TsType

_HEAD: Final = Struct("!Bxxx")
_SELECTOR: Final = Struct("!BBH")
_RANGE_4: Final = Struct("!BBHHH4s4s")
_RANGE_6: Final = Struct("!BBHHH16s16s")
_TYPES: Final = names(TsType)


@layout
class RawSelector:
    """A selector of a type that we do not use: kept as it came. `data` follows the length."""

    type: Annotated[TsType, UInt(1)]
    data: Annotated[bytes, Rest()]
    protocol: Annotated[int, UInt(1)] = 0

    def encode(self) -> bytes:
        """Return the selector's octets."""
        head = _SELECTOR.pack(self.type, self.protocol, _SELECTOR.size + len(self.data))
        return head + self.data


@layout
class TrafficSelectors(Body):
    """What TSi and TSr share. `parts` is every selector in its order; `selectors` those we know."""

    parts: Annotated[tuple[TrafficSelector | RawSelector, ...], Parts("selector", count=1, pad=3)]

    @property
    def selectors(self) -> Selectors:
        """The address ranges among the selectors, in their order."""
        return tuple([one for one in self.parts if isinstance(one, TrafficSelector)])

    @override
    @classmethod
    def decode(cls, reader: Reader, critical: bool = False) -> Self:
        (count,) = reader.unpack(_HEAD)
        reader.spend(count)
        parts = tuple([_decode(reader) for _ in range(count)])
        return cls(parts, critical=critical)

    @override
    def encode(self) -> bytes:
        parts = [
            _encode(one) if isinstance(one, TrafficSelector) else one.encode() for one in self.parts
        ]
        return b"".join([_HEAD.pack(len(parts)), *parts])


@payload(PayloadType.TS_I)
class TsI(TrafficSelectors):
    """Traffic Selector - Initiator payload, RFC 7296 §3.13."""


@payload(PayloadType.TS_R)
class TsR(TrafficSelectors):
    """Traffic Selector - Responder payload, RFC 7296 §3.13."""


def _decode(reader: Reader) -> TrafficSelector | RawSelector:
    code, protocol, size = reader.unpack(_SELECTOR)
    data = reader.take(size - _SELECTOR.size)
    kind = _TYPES[code]
    known = {TsType.IPV4_ADDR_RANGE: _RANGE_4, TsType.IPV6_ADDR_RANGE: _RANGE_6}.get(kind)
    if known is None:
        return RawSelector(kind, data, protocol)
    if size != known.size:
        raise MalformedError(f"TS_{kind.name} of {size} octets, not {known.size}")
    return _range(known is _RANGE_4, protocol, data)


@lru_cache(maxsize=1024)
def _range(is_4: bool, protocol: int, data: bytes) -> TrafficSelector:
    """Return the selector of an address range. The same few come again and again: they are kept."""
    address = IPv4Address if is_4 else IPv6Address
    middle = 4 + (len(data) - 4) // 2
    low, high = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
    if low > high and (low, high) != (0xFFFF, 0):  # that pair means OPAQUE
        raise MalformedError(f"ports {low} to {high}")
    if data[4:middle] > data[middle:]:
        raise MalformedError(f"addresses {data[4:middle].hex()} to {data[middle:].hex()}")
    return TrafficSelector(protocol, low, high, address(data[4:middle]), address(data[middle:]))


def _encode(one: TrafficSelector) -> bytes:
    is_4 = one.version == 4
    form = _RANGE_4 if is_4 else _RANGE_6
    kind = TsType.IPV4_ADDR_RANGE if is_4 else TsType.IPV6_ADDR_RANGE
    start, end = one.start.packed, one.end.packed
    return form.pack(kind, one.protocol, form.size, one.port_start, one.port_end, start, end)

# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for every payload, made from the same table as its codec."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any, get_args

from hypothesis import strategies as st

from ikeway.model.selectors import TrafficSelector
from ikeway.wire.codec import Body, Column, Octets, Parts, Rest, Sized, UInt, columns_of
from ikeway.wire.payloads import (
    Attribute,
    CfgAttributeValue,
    Delete,
    Eap,
    Encrypted,
    EncryptedFragment,
    Proposal,
    RawSelector,
    Unknown,
)
from ikeway.wire.registry import PayloadType, ProtocolId, TransformAttribute, TsType

Values = st.SearchStrategy[Any]
PARTS = 4
OCTETS = 64

any_type = st.integers(0, 255).map(PayloadType)


def values_of(cls: type) -> Values:
    """Return a strategy for a class of the wire: its own if it has one, else the table's."""
    special = SPECIAL.get(cls)
    return special() if special is not None else from_table(cls)


def from_table(cls: type) -> Values:
    """Return the strategy that the annotations of `cls` describe."""
    fields = {one.name: column(one) for one in columns_of(cls)}
    if issubclass(cls, Body):
        fields["critical"] = st.booleans()
    return st.builds(cls, **fields)


def column(one: Column) -> Values:
    """Return a strategy for one field."""
    match one.kind:
        case UInt(octets):
            numbers = st.integers(0, (1 << 8 * octets) - 1)
            return numbers if one.registry is None else numbers.map(one.registry)
        case Octets(octets):
            return st.binary(min_size=octets, max_size=octets)
        case Rest(least, most):
            return st.binary(min_size=least, max_size=min(most, least + OCTETS))
        case Sized():
            return st.binary(max_size=255)
        case Parts():
            return st.lists(part(one), max_size=PARTS).map(tuple)


def part(one: Column) -> Values:
    """Return a strategy for what a tuple of parts holds."""
    held = get_args(one.holds)[0]
    return st.one_of(*[values_of(kind) for kind in get_args(held) or (held,)])


def _attribute() -> Values:
    kind = st.integers(0, 0x7FFF).map(TransformAttribute)
    return st.builds(Attribute, kind, st.integers(0, 0xFFFF) | st.binary(max_size=20))


def _cfg_attribute() -> Values:
    return from_table(CfgAttributeValue).map(lambda one: replace(one, type=one.type & 0x7FFF))


def _proposal() -> Values:
    sizes = {ProtocolId.IKE: (0, 8), ProtocolId.AH: (4,), ProtocolId.ESP: (4,)}

    def sized(one: Proposal) -> Values:
        spi = [st.binary(min_size=n, max_size=n) for n in sizes.get(one.protocol, (0, 1, 255))]
        return st.one_of(*spi).map(lambda octets: replace(one, spi=octets))

    return from_table(Proposal).flatmap(sized)


def _selector() -> Values:
    def of(version: type[IPv4Address | IPv6Address]) -> Values:
        top = (1 << (32 if version is IPv4Address else 128)) - 1
        ends = st.lists(st.integers(0, top), min_size=2, max_size=2).map(sorted)
        ports = st.lists(st.integers(0, 65535), min_size=2, max_size=2).map(sorted)
        return st.builds(
            lambda protocol, ports, ends: TrafficSelector(
                protocol, *ports, *(version(end) for end in ends)
            ),
            st.integers(0, 255),
            ports | st.just([65535, 0]),
            ends,
        )

    return of(IPv4Address) | of(IPv6Address)


def _raw_selector() -> Values:
    known = {TsType.IPV4_ADDR_RANGE, TsType.IPV6_ADDR_RANGE}
    return from_table(RawSelector).filter(lambda one: one.type not in known)


def _delete() -> Values:
    def sized(size: int) -> Values:
        protocol = {0: st.just(ProtocolId.IKE), 4: st.sampled_from([ProtocolId.AH, ProtocolId.ESP])}
        spi = st.binary(min_size=size, max_size=size)
        return st.builds(
            Delete,
            protocol.get(size, st.integers(4, 255).map(ProtocolId)),
            st.just(size),
            st.lists(spi, max_size=PARTS if size else 0).map(tuple),
            critical=st.booleans(),
        )

    return st.sampled_from([0, 4, 8]).flatmap(sized)


def _eap() -> Values:
    def packet(code: int, identifier: int, content: bytes) -> bytes:
        if code in {3, 4}:
            content = b""
        return bytes([code, identifier]) + (4 + len(content)).to_bytes(2, "big") + content

    octet, content = st.integers(0, 255), st.binary(min_size=1, max_size=OCTETS)
    return st.builds(Eap, st.builds(packet, octet, octet, content), critical=st.booleans())


def _fragment() -> Values:
    numbers = st.lists(st.integers(1, 65535), min_size=2, max_size=2).map(sorted)
    return st.builds(
        lambda first, numbers, data: EncryptedFragment(first, *numbers, data),
        any_type,
        numbers,
        st.binary(max_size=OCTETS),
    )


SPECIAL: dict[type, Callable[[], Values]] = {
    Attribute: _attribute,
    CfgAttributeValue: _cfg_attribute,
    Delete: _delete,
    Eap: _eap,
    Encrypted: lambda: st.builds(Encrypted, any_type, st.binary(max_size=OCTETS)),
    EncryptedFragment: _fragment,
    Proposal: _proposal,
    RawSelector: _raw_selector,
    TrafficSelector: _selector,
    Unknown: lambda: st.builds(
        Unknown, st.integers(55, 255).map(PayloadType), st.binary(max_size=OCTETS)
    ),
    bytes: lambda: st.binary(max_size=OCTETS),
}
"""Classes whose fields depend on one another, which no table of single fields can say."""

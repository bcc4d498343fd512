# SPDX-License-Identifier: Apache-2.0
"""RADIUS packets (RFC 2865 §3, §5)."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikeway.auth.radius.packet import Attribute, Packet, split
from ikeway.auth.radius.registry import AttributeType, Code
from ikeway.model.errors import MalformedError

ACCESS_ACCEPT = bytes.fromhex(
    "02000026 86fe220e7624ba2a1005f6bf9b55e0b2 0606 00000001 0f06 00000000 0e06 c0a80103"
)
"""The Access-Accept of RFC 2865 §7.1."""

attributes = st.tuples(st.integers(0, 255), st.binary(max_size=253)).map(
    lambda pair: Attribute(AttributeType(pair[0]), pair[1])
)
packets = st.builds(
    Packet,
    st.integers(0, 255).map(Code),
    st.integers(0, 255),
    st.binary(min_size=16, max_size=16),
    st.lists(attributes, max_size=12).map(tuple),
)


def test_the_example_of_rfc_2865_is_read_and_written_again() -> None:
    packet = Packet.decode(ACCESS_ACCEPT)
    assert packet.code is Code.ACCESS_ACCEPT
    assert packet.number(AttributeType.SERVICE_TYPE) == 1
    assert packet.address(AttributeType(14)) == ipaddress.ip_address("192.168.1.3")
    assert packet.encode() == ACCESS_ACCEPT


@given(packets)
def test_every_packet_survives_a_round_trip(packet: Packet) -> None:
    assert Packet.decode(packet.encode()) == packet


@given(st.binary(max_size=80))
def test_any_octets_are_a_packet_or_malformed(octets: bytes) -> None:
    try:
        packet = Packet.decode(octets)
    except MalformedError:
        return
    assert octets.startswith(packet.encode())


def test_octets_behind_the_length_are_padding() -> None:
    assert Packet.decode(ACCESS_ACCEPT + b"\0\0") == Packet.decode(ACCESS_ACCEPT)


@pytest.mark.parametrize(
    "octets",
    [
        ACCESS_ACCEPT[:19],
        ACCESS_ACCEPT[:-1],
        ACCESS_ACCEPT[:21] + b"\x01" + ACCESS_ACCEPT[22:],
        ACCESS_ACCEPT[:21] + b"\x00" + ACCESS_ACCEPT[22:],
        ACCESS_ACCEPT[:21] + b"\xff" + ACCESS_ACCEPT[22:],
        b"\x02\x00\x00\x15" + ACCESS_ACCEPT[4:20] + b"\x01",
    ],
    ids=["no header", "cut", "attribute of 1", "attribute of 0", "attribute too long", "half one"],
)
def test_what_does_not_fit_is_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedError):
        Packet.decode(octets)


def test_a_packet_longer_than_4096_octets_is_not_sent() -> None:
    packet = Packet(
        Code.ACCESS_REQUEST, 1, bytes(16), split(AttributeType.EAP_MESSAGE, bytes(4096))
    )
    with pytest.raises(MalformedError, match="4096 at most"):
        packet.encode()


@given(st.binary(max_size=1000))
def test_eap_is_split_over_attributes_and_joined_again(eap: bytes) -> None:
    packet = Packet(Code.ACCESS_REQUEST, 1, bytes(16), split(AttributeType.EAP_MESSAGE, eap))
    assert Packet.decode(packet.encode()).joined(AttributeType.EAP_MESSAGE) == eap


def test_numbers_and_addresses_of_another_size_are_malformed() -> None:
    odd = tuple(
        Attribute(kind, b"odd")
        for kind in (AttributeType.SESSION_TIMEOUT, AttributeType.FRAMED_IP_ADDRESS)
    )
    packet = Packet(Code.ACCESS_ACCEPT, 1, bytes(16), odd)
    with pytest.raises(MalformedError, match="SESSION_TIMEOUT of 3 octets"):
        packet.number(AttributeType.SESSION_TIMEOUT)
    with pytest.raises(MalformedError, match="FRAMED_IP_ADDRESS of 3 octets"):
        packet.address(AttributeType.FRAMED_IP_ADDRESS)


def test_a_vendors_attributes_are_found_and_those_of_another_form_skipped() -> None:
    values = (
        b"\0\0\x01\x37\x10\x03a\x11\x03b",
        b"\0\0\0\x09\x10\x03c",
        b"\0\0\x01\x37\x10\x09",
        b"",
    )
    packet = Packet(
        Code.ACCESS_ACCEPT,
        1,
        bytes(16),
        tuple(Attribute(AttributeType.VENDOR_SPECIFIC, value) for value in values),
    )
    assert packet.of_vendor(311, 16) == (b"a",)
    assert packet.of_vendor(311, 17) == (b"b",)
    assert packet.of_vendor(9, 16) == (b"c",)

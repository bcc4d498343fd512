# SPDX-License-Identifier: Apache-2.0
"""Transform attributes and configuration attributes."""

import pytest

from ikeway.model.errors import MalformedError
from ikeway.wire.attributes import Attribute, CfgAttributeValue
from ikeway.wire.codec import Reader
from ikeway.wire.registry import CfgAttribute, TransformAttribute

ILLEGAL = {
    CfgAttribute.INTERNAL_IP4_ADDRESS: (1, 3, 5, 8),
    CfgAttribute.INTERNAL_IP4_NETMASK: (5,),
    CfgAttribute.INTERNAL_IP4_DNS: (3, 16),
    CfgAttribute.INTERNAL_IP4_NBNS: (2,),
    CfgAttribute.INTERNAL_IP4_DHCP: (7,),
    CfgAttribute.INTERNAL_IP4_SUBNET: (4, 9),
    CfgAttribute.INTERNAL_IP6_ADDRESS: (4, 16, 18),
    CfgAttribute.INTERNAL_IP6_DNS: (4, 17),
    CfgAttribute.INTERNAL_IP6_DHCP: (4,),
    CfgAttribute.INTERNAL_IP6_SUBNET: (16,),
    CfgAttribute.SUPPORTED_ATTRIBUTES: (1, 3),
}


def test_a_key_length_travels_in_the_short_form() -> None:
    octets = bytes.fromhex("800e0100")
    assert Attribute.decode(Reader(octets)) == Attribute(TransformAttribute.KEY_LENGTH, 256)
    assert Attribute(TransformAttribute.KEY_LENGTH, 256).encode() == octets


def test_octets_travel_in_the_long_form() -> None:
    octets = bytes.fromhex("00120003616263")
    value = Attribute(TransformAttribute.SIGNATURE_ALGORITHM_IDENTIFIER, b"abc")
    assert Attribute.decode(Reader(octets)) == value
    assert value.encode() == octets


def test_a_long_attribute_cannot_pass_the_end() -> None:
    with pytest.raises(MalformedError):
        Attribute.decode(Reader(bytes.fromhex("001200046162")))


def test_the_reserved_bit_of_a_configuration_attribute_is_ignored() -> None:
    decoded = CfgAttributeValue.decode(Reader(bytes.fromhex("800300040a000001")))
    assert decoded == CfgAttributeValue(CfgAttribute.INTERNAL_IP4_DNS, b"\x0a\0\0\1")


def test_a_private_configuration_attribute_survives() -> None:
    octets = bytes.fromhex("7000000161")
    assert CfgAttributeValue.decode(Reader(octets)).encode() == octets


@pytest.mark.conformance("CF-J07")
@pytest.mark.parametrize("kind", ILLEGAL, ids=lambda kind: kind.name)
def test_a_value_of_an_illegal_length_is_known_as_such(kind: CfgAttribute) -> None:
    for size in ILLEGAL[kind]:
        assert not CfgAttributeValue(kind, bytes(size)).is_legal
    assert CfgAttributeValue(kind).is_legal


def test_a_value_of_a_legal_length_is_legal() -> None:
    assert CfgAttributeValue(CfgAttribute.INTERNAL_IP4_ADDRESS, bytes(4)).is_legal
    assert CfgAttributeValue(CfgAttribute.INTERNAL_IP6_ADDRESS, bytes(17)).is_legal
    assert CfgAttributeValue(CfgAttribute.SUPPORTED_ATTRIBUTES, bytes(6)).is_legal
    assert CfgAttributeValue(CfgAttribute.APPLICATION_VERSION, b"any").is_legal
    assert CfgAttributeValue(CfgAttribute(20000), b"any").is_legal

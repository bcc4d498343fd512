# SPDX-License-Identifier: Apache-2.0
"""Attributes of transforms (TV and TLV, RFC 7296 §3.3.5) and of configurations (TLV, §3.15.1)."""

from struct import Struct
from typing import Annotated, Final

from ikeway.wire.codec import Reader, Rest, UInt, layout, names
from ikeway.wire.registry import CfgAttribute, TransformAttribute

_HEAD: Final = Struct("!HH")
_AF_SHORT: Final = 0x8000
_TRANSFORM_ATTRIBUTES: Final = names(TransformAttribute)
_CFG_ATTRIBUTES: Final = names(CfgAttribute)

_ADDRESS_4: Final = frozenset({0, 4})
_ADDRESS_6: Final = frozenset({0, 16})
_PREFIX_6: Final = frozenset({0, 17})
_LENGTHS: Final = {
    CfgAttribute.INTERNAL_IP4_ADDRESS: _ADDRESS_4,
    CfgAttribute.INTERNAL_IP4_NETMASK: _ADDRESS_4,
    CfgAttribute.INTERNAL_IP4_DNS: _ADDRESS_4,
    CfgAttribute.INTERNAL_IP4_NBNS: _ADDRESS_4,
    CfgAttribute.INTERNAL_IP4_DHCP: _ADDRESS_4,
    CfgAttribute.INTERNAL_IP4_SUBNET: frozenset({0, 8}),
    CfgAttribute.INTERNAL_IP6_ADDRESS: _PREFIX_6,
    CfgAttribute.INTERNAL_IP6_SUBNET: _PREFIX_6,
    CfgAttribute.INTERNAL_IP6_DNS: _ADDRESS_6,
    CfgAttribute.INTERNAL_IP6_DHCP: _ADDRESS_6,
}


@layout
class Attribute:
    """A transform attribute: an `int` value travels as TV, octets as TLV."""

    type: Annotated[TransformAttribute, UInt(2)]
    value: Annotated[int | bytes, Rest()]

    @classmethod
    def decode(cls, reader: Reader) -> "Attribute":
        """Return the attribute that `reader` stands at.

        Raises:
            MalformedError: its length passes the end of the transform, or there are too many.
        """
        reader.spend(1)
        head, value = reader.unpack(_HEAD)
        kind = _TRANSFORM_ATTRIBUTES[head & 0x7FFF]
        if head & _AF_SHORT:
            return cls(kind, value)
        return cls(kind, reader.take(value))

    def encode(self) -> bytes:
        """Return the attribute's octets."""
        if isinstance(self.value, int):
            return _HEAD.pack(_AF_SHORT | self.type, self.value)
        return _HEAD.pack(self.type, len(self.value)) + self.value


@layout
class CfgAttributeValue:
    """A configuration attribute. In a request an empty value asks for any value."""

    type: Annotated[CfgAttribute, UInt(2)]
    value: Annotated[bytes, Rest()] = b""

    @classmethod
    def decode(cls, reader: Reader) -> "CfgAttributeValue":
        """Return the attribute that `reader` stands at; the reserved first bit is ignored.

        Raises:
            MalformedError: its length passes the end of the payload, or there are too many.
        """
        reader.spend(1)
        head, size = reader.unpack(_HEAD)
        return cls(_CFG_ATTRIBUTES[head & 0x7FFF], reader.take(size))

    def encode(self) -> bytes:
        """Return the attribute's octets."""
        return _HEAD.pack(self.type, len(self.value)) + self.value

    @property
    def is_legal(self) -> bool:
        """Whether the value has a length that the table of §3.15.1 allows for its type."""
        if self.type is CfgAttribute.SUPPORTED_ATTRIBUTES:
            return len(self.value) % 2 == 0
        lengths = _LENGTHS.get(self.type)
        return lengths is None or len(self.value) in lengths

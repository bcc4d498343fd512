# SPDX-License-Identifier: Apache-2.0
"""Configuration payload (RFC 7296 §3.15)."""

from struct import Struct
from typing import Annotated, Final, Self

from typing_extensions import override

from ikeway.wire.attributes import CfgAttributeValue
from ikeway.wire.codec import Body, Pad, Parts, Reader, UInt, names, payload
from ikeway.wire.registry import CfgAttribute, CfgType, PayloadType

_HEAD: Final = Struct("!Bxxx")
_TYPES: Final = names(CfgType)


@payload(PayloadType.CP)
class Configuration(Body):
    """Configuration payload, RFC 7296 §3.15."""

    type: Annotated[CfgType, UInt(1), Pad(3)]
    attributes: Annotated[tuple[CfgAttributeValue, ...], Parts("attribute")] = ()

    def all(self, kind: CfgAttribute) -> tuple[bytes, ...]:
        """Return the values of every attribute of a type; one of an illegal length is ignored."""
        return tuple(one.value for one in self.attributes if one.type == kind and one.is_legal)

    @override
    @classmethod
    def decode(cls, reader: Reader, critical: bool = False) -> Self:
        (code,) = reader.unpack(_HEAD)
        attributes = []
        while reader.left:
            attributes.append(CfgAttributeValue.decode(reader))
        return cls(_TYPES[code], tuple(attributes), critical=critical)

    @override
    def encode(self) -> bytes:
        return b"".join([_HEAD.pack(self.type), *[one.encode() for one in self.attributes]])

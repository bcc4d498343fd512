# SPDX-License-Identifier: Apache-2.0
"""Security Association payload: proposals and their transforms (RFC 7296 §3.3)."""

from functools import lru_cache
from struct import Struct
from typing import Annotated, Final, Self

from typing_extensions import override

from ikeway.model.errors import MalformedError
from ikeway.wire.attributes import Attribute
from ikeway.wire.codec import Body, Pad, Parts, Reader, Sized, SizeOf, UInt, layout, names, payload
from ikeway.wire.registry import PayloadType, ProtocolId
from ikeway.wire.transforms import TRANSFORM_IDS, KeMethod, TransformAttribute, TransformType

_SUBSTRUCTURE: Final = Struct("!BxH")
_PROPOSAL: Final = Struct("!BBBB")
_TRANSFORM: Final = Struct("!BxH")
_TRANSFORM_WHOLE: Final = Struct("!BxHBxH")
_LAST: Final = 0
_MORE_PROPOSALS: Final = 2
_MORE_TRANSFORMS: Final = 3
_HEADER_OCTETS: Final = 4
_CACHED_OCTETS: Final = 16
_VAGUE: Final = frozenset({"NONE", "NO", "YES"})

_TYPES: Final = names(TransformType)
_PROTOCOLS: Final = names(ProtocolId)
_SPI_OCTETS: Final = {
    ProtocolId.IKE: frozenset({0, 8}),
    ProtocolId.AH: frozenset({4}),
    ProtocolId.ESP: frozenset({4}),
}


@layout
class Transform:
    """Transform substructure, RFC 7296 §3.3.2: one algorithm, by its type's registry."""

    type: Annotated[TransformType, UInt(1), Pad(1)]
    id: Annotated[int, UInt(2)]
    attributes: Annotated[tuple[Attribute, ...], Parts("attribute")] = ()

    @classmethod
    def of(cls, type: TransformType, id: int, key_bits: int | None = None) -> "Transform":  # noqa: A002
        """Return a transform, with a Key Length attribute if `key_bits` is given and not 0."""
        if not key_bits:
            return cls(type, int(id))
        return cls(type, int(id), (Attribute(TransformAttribute.KEY_LENGTH, key_bits),))

    @property
    def key_bits(self) -> int | None:
        """The Key Length attribute, or None if there is none in its only form, TV."""
        for one in self.attributes:
            if one.type is TransformAttribute.KEY_LENGTH and isinstance(one.value, int):
                return one.value
        return None

    @property
    def is_understood(self) -> bool:
        """Whether it has no attribute but one Key Length; if not, refuse it (RFC 7296 §3.3.6)."""
        return not self.attributes or (len(self.attributes) == 1 and self.key_bits is not None)

    @property
    def label(self) -> str:
        """The algorithm's name, e.g. `AES_GCM_16`, with its type where that is needed."""
        registry = TRANSFORM_IDS.get(self.type)
        if registry is None:
            return f"{self.type.name}_{self.id}"
        name = names(registry)[self.id].name
        is_vague = registry is KeMethod and self.type is not TransformType.KE
        is_vague = is_vague or name in _VAGUE or name.startswith("UNKNOWN")
        return f"{self.type.name}_{name}" if is_vague else name

    @classmethod
    def decode(cls, reader: Reader) -> "Transform":
        """Return the transform whose part `reader` has entered.

        Raises:
            MalformedError: an attribute passes its end.
        """
        kind, number = reader.unpack(_TRANSFORM)
        attributes = []
        while reader.left:
            attributes.append(Attribute.decode(reader))
        return cls(_TYPES[kind], number, tuple(attributes))

    def encode(self, more: bool) -> bytes:
        """Return the substructure; `more` tells that another transform follows."""
        attributes = b"".join([one.encode() for one in self.attributes])
        size = _TRANSFORM_WHOLE.size + len(attributes)
        mark = _MORE_TRANSFORMS if more else _LAST
        return _TRANSFORM_WHOLE.pack(mark, size, self.type, self.id) + attributes


@lru_cache(maxsize=1024)
def _transform(octets: bytes) -> Transform:
    """Decode a short transform. Peers offer the same few again and again, so they are kept."""
    return Transform.decode(Reader(octets))


@lru_cache(maxsize=1024)
def _encode_transforms(transforms: tuple[Transform, ...]) -> bytes:
    """Return the octets of what we offer or choose, which are the same again and again."""
    last = len(transforms) - 1
    return b"".join([one.encode(at < last) for at, one in enumerate(transforms)])


@layout
class Proposal:
    """Proposal substructure, RFC 7296 §3.3.1. The number is the peer's, whatever its place."""

    # INTEROP macos: rekeys the IKE SA with one proposal under its old number (libreswan#1450).
    number: Annotated[int, UInt(1)]
    protocol: Annotated[ProtocolId, UInt(1), SizeOf("spi")]
    spi: Annotated[bytes, Sized()]
    transforms: Annotated[tuple[Transform, ...], Parts("transform")]

    @classmethod
    def decode(cls, reader: Reader) -> "Proposal":
        """Return the proposal whose part `reader` has entered.

        Raises:
            MalformedError: SPI size, transform count or a transform is wrong.
        """
        number, code, spi_octets, count = reader.unpack(_PROPOSAL)
        protocol = _PROTOCOLS[code]
        allowed = _SPI_OCTETS.get(protocol)
        if allowed is not None and spi_octets not in allowed:
            raise MalformedError(f"an SPI of {spi_octets} octets in a proposal for {protocol.name}")
        spi = reader.take(spi_octets)
        transforms = _decode_transforms(reader)
        if len(transforms) != count:
            raise MalformedError(f"{len(transforms)} transforms where {count} are announced")
        return cls(number, protocol, spi, transforms)

    def encode(self, more: bool) -> bytes:
        """Return the substructure; `more` tells that another proposal follows."""
        head = _PROPOSAL.pack(self.number, self.protocol, len(self.spi), len(self.transforms))
        content = head + self.spi + _encode_transforms(self.transforms)
        mark = _MORE_PROPOSALS if more else _LAST
        return _SUBSTRUCTURE.pack(mark, _HEADER_OCTETS + len(content)) + content


@payload(PayloadType.SA)
class SecurityAssociation(Body):
    """Security Association payload, RFC 7296 §3.3."""

    proposals: Annotated[tuple[Proposal, ...], Parts("proposal")]

    @override
    @classmethod
    def decode(cls, reader: Reader, critical: bool = False) -> Self:
        proposals = []
        more = True
        while more:
            outer, more = _substructure(reader, _MORE_PROPOSALS)
            proposals.append(Proposal.decode(reader))
            reader.leave(outer)
        return cls(tuple(proposals), critical=critical)

    @override
    def encode(self) -> bytes:
        last = len(self.proposals) - 1
        return b"".join([one.encode(at < last) for at, one in enumerate(self.proposals)])


def _substructure(reader: Reader, more: int) -> tuple[int, bool]:
    """Enter a substructure; return what leaving it needs, and whether another one follows."""
    mark, _, outer = reader.part()
    if mark not in {_LAST, more}:
        raise MalformedError(f"a substructure marked {mark}, neither {_LAST} nor {more}")
    return outer, mark == more


def _decode_transforms(reader: Reader) -> tuple[Transform, ...]:
    transforms = []
    more = reader.left > 0
    while more:
        outer, more = _substructure(reader, _MORE_TRANSFORMS)
        if reader.left <= _CACHED_OCTETS:
            transforms.append(_transform(reader.rest()))
        else:
            transforms.append(Transform.decode(reader))
        reader.leave(outer)
    return tuple(transforms)

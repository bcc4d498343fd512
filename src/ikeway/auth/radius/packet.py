# SPDX-License-Identifier: Apache-2.0
"""RADIUS packets: a header of 20 octets, then attributes (RFC 2865 §3, §5)."""

import ipaddress
from dataclasses import dataclass
from struct import Struct
from typing import Final, TypeAlias

from ikeway.auth.radius.registry import AttributeType, Code
from ikeway.model.errors import MalformedError

HEADER: Final = Struct(">BBH16s")
AUTHENTICATOR_OCTETS: Final = 16
PACKET_OCTETS_MOST: Final = 4096
VALUE_OCTETS_MOST: Final = 253
_ATTRIBUTE_HEAD: Final = 2
_VENDOR: Final = Struct(">IBB")

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; what its octets mean goes by its type."""

    type: AttributeType
    value: bytes

    @classmethod
    def number(cls, kind: AttributeType, value: int) -> "Attribute":
        """Return an attribute that holds a number of 32 bits."""
        return cls(kind, value.to_bytes(4))

    @classmethod
    def text(cls, kind: AttributeType, value: str) -> "Attribute":
        """Return an attribute that holds text, cut to what an attribute can hold."""
        return cls(kind, value.encode()[:VALUE_OCTETS_MOST])


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet. Its authenticator has 16 octets, and its meaning goes by the code (§3)."""

    code: Code
    identifier: int
    authenticator: bytes
    attributes: tuple[Attribute, ...] = ()

    @classmethod
    def decode(cls, octets: bytes) -> "Packet":
        """Return the packet that `octets` begins with; octets behind it are padding (§3).

        Raises:
            MalformedError: it is too short or too long, or an attribute passes its end.
        """
        if len(octets) < HEADER.size:
            raise MalformedError(f"a RADIUS packet of {len(octets)} octets")
        code, identifier, length, authenticator = HEADER.unpack_from(octets)
        if not HEADER.size <= length <= min(len(octets), PACKET_OCTETS_MOST):
            raise MalformedError(f"a RADIUS packet of {len(octets)} octets says {length}")
        attributes = _attributes(octets[HEADER.size : length])
        return cls(Code(code), identifier, authenticator, attributes)

    def encode(self) -> bytes:
        """Return the octets of the packet.

        Raises:
            MalformedError: it would be longer than a packet may be.
        """
        body = b"".join(
            bytes((one.type, len(one.value) + _ATTRIBUTE_HEAD)) + one.value
            for one in self.attributes
        )
        length = HEADER.size + len(body)
        if length > PACKET_OCTETS_MOST:
            raise MalformedError(
                f"a RADIUS packet of {length} octets, {PACKET_OCTETS_MOST} at most"
            )
        return HEADER.pack(self.code, self.identifier, length, self.authenticator) + body

    def all(self, kind: AttributeType) -> tuple[bytes, ...]:
        """Return the values of every attribute of a type, in their order."""
        return tuple(one.value for one in self.attributes if one.type == kind)

    def joined(self, kind: AttributeType) -> bytes:
        """Return what was split over several attributes, as EAP is (RFC 3579 §3.1)."""
        return b"".join(self.all(kind))

    def first(self, kind: AttributeType) -> bytes | None:
        """Return the value of the first attribute of a type, if there is one."""
        return next(iter(self.all(kind)), None)

    def number(self, kind: AttributeType) -> int | None:
        """Return the number that the first attribute of a type holds, if there is one.

        Raises:
            MalformedError: it does not have 4 octets.
        """
        value = self.first(kind)
        if value is not None and len(value) != 4:
            raise MalformedError(f"{kind.name} of {len(value)} octets, not 4")
        return None if value is None else int.from_bytes(value)

    def text(self, kind: AttributeType) -> str | None:
        """Return the text that the first attribute of a type holds, if there is one."""
        value = self.first(kind)
        return None if value is None else value.decode(errors="replace")

    def address(self, kind: AttributeType) -> Address | None:
        """Return the address, of either family by its length, of the first attribute of a type.

        Raises:
            MalformedError: it has neither 4 nor 16 octets.
        """
        value = self.first(kind)
        if value is not None and len(value) not in {4, 16}:
            raise MalformedError(f"{kind.name} of {len(value)} octets, not 4 or 16")
        return None if value is None else ipaddress.ip_address(value)

    def of_vendor(self, vendor: int, kind: int) -> tuple[bytes, ...]:
        """Return the values of a vendor's attribute, in their order (RFC 2865 §5.26)."""
        return tuple(
            value
            for octets in self.all(AttributeType.VENDOR_SPECIFIC)
            for told, value in _of_vendor(octets, vendor)
            if told == kind
        )


def split(kind: AttributeType, octets: bytes) -> tuple[Attribute, ...]:
    """Return `octets` in as many attributes as they need (RFC 3579 §3.1)."""
    return tuple(
        Attribute(kind, octets[at : at + VALUE_OCTETS_MOST])
        for at in range(0, len(octets), VALUE_OCTETS_MOST)
    )


def of_address(v4: AttributeType, v6: AttributeType, address: Address) -> Attribute:
    """Return the attribute of the address's family that holds it."""
    return Attribute(v4 if address.version == 4 else v6, address.packed)


def _attributes(octets: bytes) -> tuple[Attribute, ...]:
    found, at = [], 0
    while at < len(octets):
        size = octets[at + 1] if at + 1 < len(octets) else 0
        if size < _ATTRIBUTE_HEAD or at + size > len(octets):
            raise MalformedError(f"RADIUS attribute {octets[at]} of {size} octets")
        found.append(Attribute(AttributeType(octets[at]), octets[at + 2 : at + size]))
        at += size
    return tuple(found)


def _of_vendor(octets: bytes, vendor: int) -> tuple[tuple[int, bytes], ...]:
    """Return type and value of each part, or nothing where the vendor is another or the form is."""
    if len(octets) < _VENDOR.size or int.from_bytes(octets[:4]) != vendor:
        return ()
    try:
        return tuple((int(one.type), one.value) for one in _attributes(octets[4:]))
    except MalformedError:
        return ()

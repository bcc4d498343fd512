# SPDX-License-Identifier: Apache-2.0
"""Who a peer says it is (RFC 7296 §3.5)."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from typing_extensions import override

from ikeway.model.errors import MalformedError
from ikeway.model.open_enum import OpenEnum


class IdType(OpenEnum):
    """IKEv2 Identification Payload ID Types."""

    IPV4_ADDR = 1
    FQDN = 2
    RFC822_ADDR = 3
    IPV6_ADDR = 5
    DER_ASN1_DN = 9
    DER_ASN1_GN = 10
    KEY_ID = 11
    FC_NAME = 12
    NULL = 13


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity as it stands in an ID payload: its type and its octets, unterminated."""

    type: IdType
    data: bytes

    @classmethod
    def parse(cls, text: str) -> "Identity":
        """Return the identity that an operator means by `text`.

        An address literal is ID_IPV4_ADDR or ID_IPV6_ADDR, `user@host` is ID_RFC822_ADDR,
        `@#6b6579` is ID_KEY_ID of those hex octets, anything else is ID_FQDN.
        A distinguished name needs a certificate's parser: see `ikeway.crypto.certificate`.

        Raises:
            ValueError: `text` is empty or the hex octets are not hex.
        """
        if not text:
            raise ValueError("an identity cannot be empty")
        try:
            address = ip_address(text)
        except ValueError:
            pass
        else:
            kind = IdType.IPV4_ADDR if address.version == 4 else IdType.IPV6_ADDR
            return cls(kind, address.packed)
        if text.startswith("@#"):
            return cls(IdType.KEY_ID, bytes.fromhex(text[2:]))
        if "@" in text:
            return cls(IdType.RFC822_ADDR, text.encode())
        return cls(IdType.FQDN, text.encode())

    def check(self) -> None:
        """Check the octets against their type (RFC 7296 §3.5).

        Raises:
            MalformedError: an address of the wrong length, or a name with a terminator.
        """
        lengths = {IdType.IPV4_ADDR: 4, IdType.IPV6_ADDR: 16}
        wanted = lengths.get(self.type)
        if wanted is not None and len(self.data) != wanted:
            raise MalformedError(f"ID_{self.type.name} of {len(self.data)} octets, not {wanted}")
        if self.type is IdType.NULL and self.data:
            raise MalformedError(f"ID_NULL with {len(self.data)} octets (RFC 7619 §2.2)")
        if self.type in {IdType.FQDN, IdType.RFC822_ADDR} and (
            not self.data or any(octet in self.data for octet in b"\0\r\n")
        ):
            raise MalformedError(f"ID_{self.type.name} is empty or has a terminator: {self.data!r}")

    def is_surely(self, other: "Identity") -> bool:
        """Whether both are one peer: two that have proven nothing are not (RFC 7619 §2.3)."""
        return self == other and self.type is not IdType.NULL

    @override
    def __str__(self) -> str:
        if self.type is IdType.NULL:
            return "(anonymous)"
        if self.type is IdType.IPV4_ADDR and len(self.data) == 4:
            return str(IPv4Address(self.data))
        if self.type is IdType.IPV6_ADDR and len(self.data) == 16:
            return str(IPv6Address(self.data))
        if self.type in {IdType.FQDN, IdType.RFC822_ADDR} and self.data:
            return self.data.decode("utf-8", "backslashreplace")
        return (
            f"@#{self.data.hex()}"
            if self.type is IdType.KEY_ID
            else f"{self.type.name}:{self.data.hex()}"
        )


ANONYMOUS: Final = Identity(IdType.NULL, b"")
"""Who has proven nothing (RFC 7619 §2.2). Two of these are not the same peer."""

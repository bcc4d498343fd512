# SPDX-License-Identifier: Apache-2.0
"""EAP packets (RFC 3748 §4)."""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final

from ikeway.model.errors import MalformedError
from ikeway.model.open_enum import OpenEnum

_HEADER: Final = Struct(">BBH")


class Code(IntEnum):
    """RFC 3748 §4."""

    REQUEST = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4


class EapType(OpenEnum):
    """IANA "Method Types" of EAP."""

    NONE = 0
    IDENTITY = 1
    NOTIFICATION = 2
    NAK = 3
    MD5_CHALLENGE = 4
    GTC = 6
    TLS = 13
    TTLS = 21
    AKA = 23
    PEAP = 25
    MSCHAPV2 = 26
    EXTENSIONS = 33
    AKA_PRIME = 50
    EXPANDED = 254


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet. Success and Failure have neither type nor data."""

    code: Code
    identifier: int
    type: EapType = EapType.NONE
    data: bytes = b""

    @classmethod
    def decode(cls, octets: bytes) -> "Packet":
        """Return the packet that fills `octets`.

        Raises:
            MalformedError: it does not fill them, or its code is unknown.
        """
        if len(octets) < _HEADER.size:
            raise MalformedError(f"an EAP packet of {len(octets)} octets")
        code, identifier, length = _HEADER.unpack_from(octets)
        if length != len(octets):
            raise MalformedError(f"an EAP packet of {len(octets)} octets says that it has {length}")
        if code not in set(Code):
            raise MalformedError(f"EAP code {code}")
        if code in {Code.SUCCESS, Code.FAILURE}:
            if length != _HEADER.size:
                raise MalformedError(f"EAP {Code(code).name} with data")
            return cls(Code(code), identifier)
        if length == _HEADER.size:
            raise MalformedError(f"EAP {Code(code).name} without a type")
        return cls(Code(code), identifier, EapType(octets[4]), octets[5:])

    def encode(self) -> bytes:
        """Return the octets of the packet."""
        body = b"" if self.type is EapType.NONE else bytes([self.type]) + self.data
        return _HEADER.pack(self.code, self.identifier, _HEADER.size + len(body)) + body

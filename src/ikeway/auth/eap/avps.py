# SPDX-License-Identifier: Apache-2.0
"""Attribute-value pairs, in which EAP-TTLS says everything inside its tunnel (RFC 5281 §10)."""

from dataclasses import dataclass
from typing import Final

from ikeway.model.errors import MalformedError

USER_NAME: Final = (0, 1)
USER_PASSWORD: Final = (0, 2)
EAP_MESSAGE: Final = (0, 79)
MS_CHAP_ERROR: Final = (311, 2)
MS_CHAP_CHALLENGE: Final = (311, 11)
MS_CHAP2_RESPONSE: Final = (311, 25)
MS_CHAP2_SUCCESS: Final = (311, 26)

_VENDOR, _MANDATORY = 0x80, 0x40
_HEADER_OCTETS: Final = 8
_VENDOR_OCTETS: Final = 12


@dataclass(frozen=True, slots=True)
class Avp:
    """One pair. `name` is the vendor, 0 for none, and the code."""

    name: tuple[int, int]
    data: bytes
    is_mandatory: bool = True

    def encode(self) -> bytes:
        """Return its octets, padded to four."""
        vendor, code = self.name
        flags = (_VENDOR if vendor else 0) | (_MANDATORY if self.is_mandatory else 0)
        own = vendor.to_bytes(4) if vendor else b""
        octets = _HEADER_OCTETS + len(own) + len(self.data)
        head = code.to_bytes(4) + bytes([flags]) + octets.to_bytes(3)
        return head + own + self.data + bytes(-octets % 4)


def decode(octets: bytes) -> dict[tuple[int, int], bytes]:
    """Return the pairs by their names; of one that comes in parts the data in a row.

    Raises:
        MalformedError: they do not fill the octets, or there is one that we must know and do not.
    """
    found: dict[tuple[int, int], bytes] = {}
    at = 0
    while at < len(octets):
        flags, size = _head(octets, at)
        vendor = int.from_bytes(octets[at + 8 : at + 12]) if flags & _VENDOR else 0
        name = (vendor, int.from_bytes(octets[at : at + 4]))
        if flags & _MANDATORY and name not in _KNOWN:
            raise MalformedError(f"EAP-TTLS: AVP {name}, which we must know")
        start = at + (_VENDOR_OCTETS if flags & _VENDOR else _HEADER_OCTETS)
        found[name] = found.get(name, b"") + octets[start : at + size]
        at += size + -size % 4
    return found


def _head(octets: bytes, at: int) -> tuple[int, int]:
    """Return the flags and the length of the pair that begins here."""
    if len(octets) - at < _HEADER_OCTETS:
        raise MalformedError("EAP-TTLS: an AVP that ends too early")
    flags, size = octets[at + 4], int.from_bytes(octets[at + 5 : at + 8])
    least = _VENDOR_OCTETS if flags & _VENDOR else _HEADER_OCTETS
    if not least <= size <= len(octets) - at:
        raise MalformedError(f"EAP-TTLS: an AVP of {size} octets")
    return flags, size


_KNOWN: Final = frozenset(
    {
        USER_NAME,
        USER_PASSWORD,
        EAP_MESSAGE,
        MS_CHAP_ERROR,
        MS_CHAP_CHALLENGE,
        MS_CHAP2_RESPONSE,
        MS_CHAP2_SUCCESS,
    }
)

# SPDX-License-Identifier: Apache-2.0
"""The messages of EAP-AKA: a subtype and attributes (RFC 4187 §8.1, §9, §10)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ikeway.model.errors import MalformedError

CHALLENGE, REJECT, SYNC_FAILURE, IDENTITY, NOTIFICATION, CLIENT_ERROR = 1, 2, 4, 5, 12, 14
"""Subtypes."""
AT_RAND, AT_AUTN, AT_RES, AT_AUTS, AT_MAC = 1, 2, 3, 4, 11
AT_NOTIFICATION, AT_ANY_ID_REQ, AT_IDENTITY, AT_FULLAUTH_ID_REQ = 12, 13, 14, 17
AT_PERMANENT_ID_REQ, AT_CLIENT_ERROR_CODE = 10, 22
AT_KDF_INPUT, AT_KDF = 23, 24
_SKIPPABLE: Final = 128
_KNOWN: Final = frozenset(
    {
        AT_RAND,
        AT_AUTN,
        AT_RES,
        AT_AUTS,
        AT_MAC,
        AT_NOTIFICATION,
        AT_ANY_ID_REQ,
        AT_IDENTITY,
        AT_FULLAUTH_ID_REQ,
        AT_PERMANENT_ID_REQ,
        AT_CLIENT_ERROR_CODE,
        AT_KDF_INPUT,
        AT_KDF,
    }
)
_MAC_OCTETS: Final = 16
_MAC_HEAD: Final = bytes([AT_MAC, 5, 0, 0])
_UNIT: Final = 4


@dataclass(frozen=True, slots=True)
class AkaMessage:
    """A message: its attributes' values by type, the first one of each, behind type and length."""

    subtype: int
    attributes: Mapping[int, bytes]
    octets: bytes

    @classmethod
    def decode(cls, octets: bytes) -> "AkaMessage":
        """Return the message in the data of an EAP packet.

        Raises:
            MalformedError: it is none, or has an attribute that we must know and do not.
        """
        if len(octets) < 3:
            raise MalformedError("EAP-AKA: a message without a subtype")
        found: dict[int, bytes] = {}
        at = 3
        while at < len(octets):
            size = octets[at + 1] * _UNIT if at + 1 < len(octets) else 0
            if not size or at + size > len(octets):
                raise MalformedError("EAP-AKA: an attribute that ends too late")
            kind = octets[at]
            if kind < _SKIPPABLE and kind not in _KNOWN:
                raise MalformedError(f"EAP-AKA: attribute {kind}, which we must know")
            found.setdefault(kind, octets[at + 2 : at + size])
            at += size
        return cls(octets[0], found, octets)

    def value(self, kind: int, octets: int) -> bytes:
        """Return what stands behind the two octets that an attribute of fixed length reserves.

        Raises:
            MalformedError: it is not there, or not as long.
        """
        found = self.attributes.get(kind, b"")[2:]
        if len(found) != octets:
            raise MalformedError(f"EAP-AKA: no attribute {kind} of {octets} octets")
        return found

    def counted(self, kind: int) -> bytes:
        """Return what an attribute has that says its own length first.

        Raises:
            MalformedError: it is not there, or shorter than it says.
        """
        found = self.attributes.get(kind, b"")
        size = int.from_bytes(found[:2])
        if len(found) < 2 or len(found) < 2 + size:
            raise MalformedError(f"EAP-AKA: no attribute {kind} as long as it says")
        return found[2 : 2 + size]

    def without_mac(self) -> bytes:
        """Return the octets with zeros in place of AT_MAC's value (§10.15)."""
        mac = self.value(AT_MAC, _MAC_OCTETS)
        head = self.octets.find(_MAC_HEAD + mac)
        start = head + len(_MAC_HEAD)
        return self.octets[:start] + bytes(_MAC_OCTETS) + self.octets[start + _MAC_OCTETS :]


def fixed(kind: int, value: bytes) -> bytes:
    """Return an attribute whose value stands behind two reserved octets."""
    return bytes([kind, (4 + len(value)) // _UNIT, 0, 0]) + value


def counted(kind: int, value: bytes, unit: int = 1) -> bytes:
    """Return an attribute that says its own length, in octets, or in bits with `unit` 8."""
    padded = value + bytes(-len(value) % _UNIT)
    return bytes([kind, (4 + len(padded)) // _UNIT]) + (len(value) * unit).to_bytes(2) + padded


def number(kind: int, value: int) -> bytes:
    """Return an attribute that is a number."""
    return bytes([kind, 1]) + value.to_bytes(2)


def bare(kind: int, value: bytes) -> bytes:
    """Return an attribute without anything reserved."""
    return bytes([kind, (2 + len(value)) // _UNIT]) + value


def message(subtype: int, *attributes: bytes) -> bytes:
    """Return the data of an EAP packet."""
    return bytes([subtype, 0, 0]) + b"".join(attributes)

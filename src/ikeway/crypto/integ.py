# SPDX-License-Identifier: Apache-2.0
"""Integrity algorithms, transform type 3 (RFC 7296 §3.3.2, RFC 4868, RFC 3566, RFC 4494)."""

from dataclasses import dataclass
from typing import Final

from ikeway.crypto.mac import CmacCode, KeyedMac, MacFamily, XcbcCode, hmac_with, require_equal


class KeyedIntegrity:
    """An integrity algorithm with its key: for a whole direction of an SA."""

    def __init__(self, mac: KeyedMac, icv_octets: int) -> None:
        self._mac = mac
        self._icv_octets = icv_octets

    def compute(self, *parts: bytes) -> bytes:
        """Return the integrity check value over the parts in order."""
        return self._mac.compute(*parts)[: self._icv_octets]

    def verify(self, icv: bytes, *parts: bytes) -> None:
        """Check the integrity check value over the parts, in constant time.

        Raises:
            IntegrityError: it is another value, or has another length.
        """
        require_equal(self.compute(*parts), icv, "the integrity check value")


@dataclass(frozen=True, slots=True)
class Integrity:
    """One row: an integrity algorithm by its code point."""

    code: int
    name: str
    key_octets: int
    icv_octets: int
    family: MacFamily

    def keyed(self, key: bytes) -> KeyedIntegrity:
        """Return the algorithm with its key.

        Raises:
            ValueError: the key is not `key_octets` long.
        """
        if len(key) != self.key_octets:
            raise ValueError(f"{self.name}: a key of {len(key)} octets, not {self.key_octets}")
        return KeyedIntegrity(self.family(key), self.icv_octets)

    def compute(self, key: bytes, *parts: bytes) -> bytes:
        """Return the integrity check value over the parts in order."""
        return self.keyed(key).compute(*parts)

    def verify(self, key: bytes, icv: bytes, *parts: bytes) -> None:
        """Check the integrity check value over the parts, in constant time.

        Raises:
            IntegrityError: it is another value, or has another length.
        """
        self.keyed(key).verify(icv, *parts)


ROWS: Final = (
    Integrity(2, "HMAC_SHA1_96", 20, 12, hmac_with(20)),  # legacy opt-in
    Integrity(5, "AES_XCBC_96", 16, 12, XcbcCode),
    Integrity(8, "AES_CMAC_96", 16, 12, CmacCode),
    Integrity(12, "HMAC_SHA2_256_128", 32, 16, hmac_with(32)),
    Integrity(13, "HMAC_SHA2_384_192", 48, 24, hmac_with(48)),
    Integrity(14, "HMAC_SHA2_512_256", 64, 32, hmac_with(64)),
)
_BY_CODE: Final = {row.code: row for row in ROWS}


def integrity(code: int) -> Integrity:
    """Return the row of a code point.

    Raises:
        LookupError: we do not have that algorithm.
    """
    try:
        return _BY_CODE[code]
    except KeyError:
        raise LookupError(f"no integrity algorithm {code}, only {sorted(_BY_CODE)}") from None

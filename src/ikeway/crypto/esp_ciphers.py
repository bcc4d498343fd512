# SPDX-License-Identifier: Apache-2.0
"""Ciphers that only ESP has: AES-GMAC, and IVs that are not sent (RFC 4543, RFC 8750)."""

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ikeway.crypto.ciphers import Family, KeyedCipher
from ikeway.model.errors import IntegrityError

_SPI_OCTETS: Final = 4
_IV_OCTETS: Final = 8


class Gmac:
    """AES-GMAC: header, IV and payload are protected, and nothing is encrypted (RFC 4543 §3.3)."""

    def __init__(self, key: bytes, salt: bytes, icv_octets: int) -> None:
        self._run = AESGCM(key)
        self._salt = salt
        self._icv_octets = icv_octets

    def encrypt(self, iv: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Return the plaintext as it is, and the integrity check value."""
        tag = self._run.encrypt(self._salt + iv, b"", associated + iv + plaintext)
        return plaintext + tag

    def decrypt(self, iv: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """Return what stands before the integrity check value.

        Raises:
            IntegrityError: the integrity check value is wrong.
        """
        cut = max(len(ciphertext) - self._icv_octets, 0)
        payload, tag = ciphertext[:cut], ciphertext[cut:]
        try:
            self._run.decrypt(self._salt + iv, tag, associated + iv + payload)
        except InvalidTag as error:
            raise IntegrityError("the integrity check value does not verify") from error
        return payload


class Implicit:
    """An AEAD cipher whose IV is the sequence number, as it stands behind the SPI (RFC 8750 §4)."""

    def __init__(self, cipher: KeyedCipher) -> None:
        self._cipher = cipher

    def encrypt(self, _iv: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Return the ciphertext and the integrity check value."""
        return self._cipher.encrypt(_implicit(associated), plaintext, associated)

    def decrypt(self, _iv: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """Return the plaintext.

        Raises:
            IntegrityError: the integrity check value is wrong.
        """
        return self._cipher.decrypt(_implicit(associated), ciphertext, associated)


def implicit(family: Callable[[bytes, bytes, int], KeyedCipher]) -> Family:
    """Return the family with IVs that are not sent."""
    return lambda key, salt, icv_octets: Implicit(family(key, salt, icv_octets))


def _implicit(associated: bytes) -> bytes:
    """A number of 32 bits has zeros before it (RFC 8750 §4, figure 1)."""
    return associated[_SPI_OCTETS:].rjust(_IV_OCTETS, b"\0")[-_IV_OCTETS:]

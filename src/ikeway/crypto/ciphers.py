# SPDX-License-Identifier: Apache-2.0
"""Cipher families behind the encryption rows (RFC 3602, RFC 3686, RFC 4106, RFC 4309, RFC 7634)."""

from collections.abc import Callable
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import (
    BlockCipherAlgorithm,
    Cipher,
    algorithms,
    modes,
)
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from typing_extensions import override

from ikeway.model.errors import IntegrityError

_FULL_TAG: Final = 16
_FIRST_BLOCK: Final = b"\0\0\0\1"
"""The block counter of AES-CTR starts at one (RFC 3686 §4)."""


class KeyedCipher(Protocol):
    """A cipher with its key. Ciphers without a check of their own ignore `associated`."""

    def encrypt(self, iv: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Return the ciphertext and, if AEAD, the integrity check value after it."""
        ...

    def decrypt(self, iv: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """Return the plaintext.

        Raises:
            IntegrityError: the integrity check value is wrong, or the length cannot be.
        """
        ...


Family = Callable[[bytes, bytes, int], KeyedCipher]
"""Makes a keyed cipher of the key, the salt and the length of the integrity check value."""


class Null:
    """No encryption, RFC 2410. Never for IKE."""

    def __init__(self, _key: bytes, _salt: bytes, _icv_octets: int) -> None:
        pass

    def encrypt(self, _iv: bytes, plaintext: bytes, _associated: bytes) -> bytes:
        """Return the plaintext as it is."""
        return plaintext

    def decrypt(self, _iv: bytes, ciphertext: bytes, _associated: bytes) -> bytes:
        """Return the ciphertext as it is."""
        return ciphertext


class Chained:
    """Cipher block chaining, RFC 3602 and RFC 2451. Whole blocks only."""

    def __init__(self, key: BlockCipherAlgorithm) -> None:
        self._key = key

    def encrypt(self, iv: bytes, plaintext: bytes, _associated: bytes) -> bytes:
        """Return the ciphertext."""
        run = Cipher(self._key, modes.CBC(iv)).encryptor()
        return run.update(plaintext) + run.finalize()

    def decrypt(self, iv: bytes, ciphertext: bytes, _associated: bytes) -> bytes:
        """Return the plaintext.

        Raises:
            IntegrityError: the length is not of whole blocks.
        """
        run = Cipher(self._key, modes.CBC(iv)).decryptor()
        try:
            return run.update(ciphertext) + run.finalize()
        except ValueError as error:
            raise IntegrityError("the ciphertext is not of whole blocks") from error


def aes_cbc(key: bytes, _salt: bytes, _icv_octets: int) -> Chained:
    """Return AES in cipher block chaining, RFC 3602."""
    return Chained(algorithms.AES(key))


def triple_des_cbc(key: bytes, _salt: bytes, _icv_octets: int) -> Chained:
    """Return triple DES in cipher block chaining, RFC 2451. Legacy, by opt-in."""
    return Chained(TripleDES(key))


class Ctr:
    """AES in counter mode, RFC 3686 and RFC 5930: nonce, IV and a block counter."""

    def __init__(self, key: bytes, salt: bytes, _icv_octets: int) -> None:
        self._key = algorithms.AES(key)
        self._nonce = salt

    def encrypt(self, iv: bytes, plaintext: bytes, _associated: bytes) -> bytes:
        """Return the ciphertext."""
        run = Cipher(self._key, modes.CTR(self._nonce + iv + _FIRST_BLOCK)).encryptor()
        return run.update(plaintext) + run.finalize()

    def decrypt(self, iv: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """Return the plaintext: the same key stream again."""
        return self.encrypt(iv, ciphertext, associated)


class _Aead:
    """What the ciphers with a check of their own share: the nonce is salt and IV (RFC 5282 §4)."""

    def __init__(self, run: AESGCM | AESCCM | ChaCha20Poly1305, salt: bytes) -> None:
        self._run = run
        self._salt = salt

    def encrypt(self, iv: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Return the ciphertext and the integrity check value."""
        return self._run.encrypt(self._salt + iv, plaintext, associated)

    def decrypt(self, iv: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """Return the plaintext.

        Raises:
            IntegrityError: the integrity check value is wrong.
        """
        try:
            return self._run.decrypt(self._salt + iv, ciphertext, associated)
        except InvalidTag as error:
            raise IntegrityError("the integrity check value does not verify") from error


class Ccm(_Aead):
    """AES-CCM, RFC 4309."""

    def __init__(self, key: bytes, salt: bytes, icv_octets: int) -> None:
        super().__init__(AESCCM(key, icv_octets), salt)


class ChaCha(_Aead):
    """ChaCha20 with Poly1305, RFC 7634."""

    def __init__(self, key: bytes, salt: bytes, _icv_octets: int) -> None:
        super().__init__(ChaCha20Poly1305(key), salt)


class Gcm(_Aead):
    """AES-GCM, RFC 4106, with a whole or a shortened integrity check value."""

    def __init__(self, key: bytes, salt: bytes, icv_octets: int) -> None:
        super().__init__(AESGCM(key), salt)
        self._key = key
        self._icv_octets = icv_octets

    @override
    def encrypt(self, iv: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Return the ciphertext and the integrity check value."""
        whole = super().encrypt(iv, plaintext, associated)
        return whole[: len(plaintext) + self._icv_octets]

    @override
    def decrypt(self, iv: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """Return the plaintext.

        Raises:
            IntegrityError: the integrity check value is wrong.
        """
        if self._icv_octets == _FULL_TAG:
            return super().decrypt(iv, ciphertext, associated)
        return self._decrypt_short(iv, ciphertext, associated)

    def _decrypt_short(self, iv: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        cut = len(ciphertext) - self._icv_octets
        if cut < 0:
            raise IntegrityError(f"{len(ciphertext)} octets cannot hold an integrity check value")
        tag = modes.GCM(self._salt + iv, ciphertext[cut:], self._icv_octets)
        run = Cipher(algorithms.AES(self._key), tag).decryptor()
        run.authenticate_additional_data(associated)
        try:
            return run.update(ciphertext[:cut]) + run.finalize()
        except InvalidTag as error:
            raise IntegrityError("the integrity check value does not verify") from error

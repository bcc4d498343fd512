# SPDX-License-Identifier: Apache-2.0
"""The Encrypted payload: seal and open (RFC 7296 §3.14, RFC 5282, RFC 7383 §2.5).

The `prefix` is what stands before the IV: IKE header, unencrypted payloads if any, the generic
header of SK, and for SKF the fragment numbers. Its length fields already count the whole message.
The `body` is the rest: IV, ciphertext with padding, integrity check value.
"""

from dataclasses import dataclass
from functools import cache

from ikeway.crypto.ciphers import KeyedCipher
from ikeway.crypto.encr import Encryption, encryption
from ikeway.crypto.integ import Integrity, KeyedIntegrity, integrity
from ikeway.model.errors import IntegrityError
from ikeway.model.secret import Secret


@dataclass(frozen=True, slots=True)
class DirectionKeys:
    """SK_e and SK_a of one direction. `integ` is empty for AEAD."""

    encr: Secret
    integ: Secret


@dataclass(frozen=True, slots=True)
class Protection:
    """The algorithms that protect an IKE SA's messages."""

    encryption: Encryption
    integrity: Integrity | None

    @staticmethod
    def of(encr: int, key_bits: int, integ: int = 0) -> "Protection":
        """Return the protection by the code points of the transforms; `integ` is 0 for AEAD.

        Raises:
            LookupError: we do not have them, or they do not go together (RFC 7296 §3.3).
        """
        return _protection(encr, key_bits, integ)

    @property
    def encr_key_octets(self) -> int:
        """The length of SK_e, with the salt of AEAD and counter modes."""
        return self.encryption.key_octets

    @property
    def integ_key_octets(self) -> int:
        """The length of SK_a: 0 for AEAD (RFC 5282 §7)."""
        return self.integrity.key_octets if self.integrity else 0

    @property
    def iv_octets(self) -> int:
        """The length of the IV that `seal` wants."""
        return self.encryption.iv_octets

    @property
    def iv_is_counter(self) -> bool:
        """Whether IVs must never repeat under a key; otherwise they must be unpredictable."""
        return self.encryption.iv_is_counter

    @property
    def icv_octets(self) -> int:
        """The length of the integrity check value."""
        return self.integrity.icv_octets if self.integrity else self.encryption.icv_octets

    def body_octets(self, plaintext_octets: int) -> int:
        """Return the length of the body that carries so much plaintext."""
        block = self.encryption.block_octets
        blocks = -(-(plaintext_octets + 1) // block)
        return self.iv_octets + blocks * block + self.icv_octets

    def plaintext_octets(self, body_octets: int) -> int:
        """Return how much plaintext a body of so many octets can carry; negative if none."""
        room = body_octets - self.iv_octets - self.icv_octets
        return room - room % self.encryption.block_octets - 1

    def bind(self, keys: DirectionKeys) -> "DirectionCipher":
        """Return the protection with the keys of a direction, to seal and open many messages."""
        return DirectionCipher(self, keys)

    def seal(self, keys: DirectionKeys, iv: bytes, prefix: bytes, plaintext: bytes) -> bytes:
        """Return the body. See `DirectionCipher.seal`."""
        return self.bind(keys).seal(iv, prefix, plaintext)

    def open(self, keys: DirectionKeys, prefix: bytes, body: bytes) -> bytes:
        """Return the plaintext. See `DirectionCipher.open`."""
        return self.bind(keys).open(prefix, body)


class DirectionCipher:
    """A protection with the keys of one direction: what an IKE SA keeps."""

    def __init__(self, protection: Protection, keys: DirectionKeys) -> None:
        self.protection = protection
        self._cipher: KeyedCipher = protection.encryption.keyed(keys.encr.octets)
        self._mac: KeyedIntegrity | None = None
        if protection.integrity is not None:
            self._mac = protection.integrity.keyed(keys.integ.octets)

    def seal(self, iv: bytes, prefix: bytes, plaintext: bytes) -> bytes:
        """Return the body: IV, ciphertext with padding, integrity check value.

        Raises:
            ValueError: the IV is not `iv_octets` long.
        """
        if len(iv) != self.protection.iv_octets:
            raise ValueError(f"an IV of {len(iv)} octets, not {self.protection.iv_octets}")
        padding = -(len(plaintext) + 1) % self.protection.encryption.block_octets
        padded = plaintext + bytes(padding) + bytes([padding])
        body = iv + self._cipher.encrypt(iv, padded, prefix)
        return body if self._mac is None else body + self._mac.compute(prefix, body)

    def open(self, prefix: bytes, body: bytes) -> bytes:
        """Return the plaintext.

        The sender chooses the padding and its length (RFC 7296 §3.14), so neither is judged.

        Raises:
            IntegrityError: whatever is wrong with it.
        """
        if len(body) < self.protection.body_octets(0):
            raise IntegrityError(f"an Encrypted payload of {len(body)} octets is too short")
        if self._mac is not None:
            cut = len(body) - self.protection.icv_octets
            self._mac.verify(body[cut:], prefix, body[:cut])
            body = body[:cut]
        iv_octets = self.protection.iv_octets
        padded = self._cipher.decrypt(body[:iv_octets], body[iv_octets:], prefix)
        end = len(padded) - 1 - padded[-1]
        if end < 0:
            raise IntegrityError("the padding is longer than the payload")
        return padded[:end]


@cache
def _protection(encr: int, key_bits: int, integ: int) -> Protection:
    cipher = encryption(encr, key_bits)
    if not cipher.serves_ike:
        raise LookupError(f"{cipher.name} does not protect IKE messages")
    if cipher.is_aead:
        if integ:
            raise LookupError(f"{cipher.name} checks integrity itself, no algorithm {integ}")
        return Protection(cipher, None)
    return Protection(cipher, integrity(integ))

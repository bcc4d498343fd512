# SPDX-License-Identifier: Apache-2.0
"""Opens what was sealed, also where the integrity check cannot be made or fails (RFC 7296 §3.14).

Nothing that is opened here is ever acted upon: a trace shows it, and says how far to believe it.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ikeway.crypto.ciphers import KeyedCipher
from ikeway.crypto.encr import Encryption, encryption
from ikeway.crypto.integ import KeyedIntegrity, integrity
from ikeway.model.errors import IntegrityError
from ikeway.wire.transforms import EncrId, IntegId

_UNCHECKED: Final = "UNCHECKED"


class Check(Enum):
    """What the integrity check said."""

    VERIFIED = "verified"
    UNCHECKED = "unchecked"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Algorithms:
    """What protects an SA, by code points. `key_bits` is 0 where the cipher has one length only.

    `unchecked_octets` is the length of an integrity check value that cannot be checked.
    """

    encr: int
    key_bits: int = 0
    integ: int = 0
    unchecked_octets: int = 0

    @property
    def encryption(self) -> Encryption:
        """The cipher.

        Raises:
            LookupError: we do not have it.
        """
        return encryption(self.encr, self.key_bits)

    @property
    def label(self) -> str:
        """The algorithms by their names."""
        bits = f"_{self.key_bits}" if self.key_bits else ""
        names = [f"{EncrId(self.encr).name}{bits}"]
        if self.integ:
            names.append(IntegId(self.integ).name)
        elif self.unchecked_octets:
            names.append(f"{_UNCHECKED}_{8 * self.unchecked_octets}")
        return "/".join(names)


@dataclass(frozen=True, slots=True)
class Opened:
    """Plaintext, with its padding, and what the integrity check said about it."""

    padded: bytes
    check: Check


class Opener:
    """The algorithms with the keys of one direction."""

    def __init__(self, algorithms: Algorithms, encr_key: bytes, integ_key: bytes) -> None:
        """Make the ciphers.

        Raises:
            LookupError: we do not have an algorithm.
            ValueError: a key has another length than its algorithm wants.
        """
        self.algorithms = algorithms
        row = algorithms.encryption
        self._iv_octets = row.iv_octets
        self._is_aead = row.is_aead
        self._cipher: KeyedCipher = row.keyed(encr_key)
        self._mac: KeyedIntegrity | None = None
        self._icv_octets = algorithms.unchecked_octets
        if algorithms.integ and not row.is_aead:
            check = integrity(algorithms.integ)
            self._mac, self._icv_octets = check.keyed(integ_key), check.icv_octets

    def open(self, prefix: bytes, body: bytes, extended: bytes = b"") -> Opened:
        """Return the plaintext of a body: IV, ciphertext, integrity check value.

        `prefix` is what stands before it and is protected too. `extended` is the high half of an
        extended sequence number, which is not sent (RFC 4303 §2.2.1).

        Raises:
            IntegrityError: an AEAD's check fails, or there are too few octets.
        """
        if self._is_aead:
            iv, sealed = body[: self._iv_octets], body[self._iv_octets :]
            associated = prefix[:4] + extended + prefix[4:] if extended else prefix
            return Opened(self._decrypt(iv, sealed, associated), Check.VERIFIED)
        cut = len(body) - self._icv_octets
        if cut < self._iv_octets:
            raise IntegrityError(f"{len(body)} octets are too few")
        check = self._check(prefix, body[:cut], extended, body[cut:])
        return Opened(
            self._decrypt(body[: self._iv_octets], body[self._iv_octets : cut], b""), check
        )

    def _decrypt(self, iv: bytes, sealed: bytes, associated: bytes) -> bytes:
        try:
            padded = self._cipher.decrypt(iv, sealed, associated)
        except ValueError as error:  # an IV that is cut short
            raise IntegrityError(f"it cannot be decrypted: {error}") from error
        if not padded:
            raise IntegrityError("nothing is encrypted")
        return padded

    def _check(self, prefix: bytes, body: bytes, extended: bytes, icv: bytes) -> Check:
        if self._mac is None:
            return Check.UNCHECKED
        try:
            self._mac.verify(icv, prefix, body, extended)
        except IntegrityError:
            return Check.FAILED
        return Check.VERIFIED

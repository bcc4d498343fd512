# SPDX-License-Identifier: Apache-2.0
"""Encryption algorithms, transform type 1 (RFC 7296 §3.3.2, RFC 5282, RFC 7634, RFC 8750)."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from ikeway.crypto.ciphers import (
    Ccm,
    ChaCha,
    Ctr,
    Family,
    Gcm,
    KeyedCipher,
    Null,
    aes_cbc,
    triple_des_cbc,
)
from ikeway.crypto.esp_ciphers import Gmac, implicit

_AES: Final = (128, 192, 256)


@dataclass(frozen=True, slots=True)
class Encryption:
    """An algorithm with its key length. Octets of the key include the salt or nonce at its end.

    `key_bits` is 0 where the cipher has one key length only. `icv_octets` is 0 unless AEAD;
    `iv_octets` is 0 where the IV is not sent.
    `iv_is_counter` says that an IV must never repeat under a key, so that the caller counts;
    otherwise it must be unpredictable.
    """

    code: int
    name: str
    key_bits: int
    key_octets: int
    salt_octets: int
    iv_octets: int
    block_octets: int
    icv_octets: int
    iv_is_counter: bool
    serves_ike: bool
    family: Family

    @property
    def is_aead(self) -> bool:
        """Whether the cipher checks integrity itself."""
        return self.icv_octets > 0

    def keyed(self, key: bytes) -> KeyedCipher:
        """Return the cipher with its key, for a whole direction of an SA.

        Raises:
            ValueError: the key is not `key_octets` long.
        """
        if len(key) != self.key_octets:
            raise ValueError(f"{self.name}: a key of {len(key)} octets, not {self.key_octets}")
        cut = self.key_octets - self.salt_octets
        return self.family(key[:cut], key[cut:], self.icv_octets)

    def encrypt(self, key: bytes, iv: bytes, plaintext: bytes, associated: bytes = b"") -> bytes:
        """Return the ciphertext, with its integrity check value if AEAD."""
        return self.keyed(key).encrypt(iv, plaintext, associated)

    def decrypt(self, key: bytes, iv: bytes, ciphertext: bytes, associated: bytes = b"") -> bytes:
        """Return the plaintext.

        Raises:
            IntegrityError: the integrity check value is wrong, or the length cannot be.
        """
        return self.keyed(key).decrypt(iv, ciphertext, associated)


@dataclass(frozen=True, slots=True)
class _Row:
    code: int
    name: str
    family: Family
    key_bits: tuple[int, ...] = _AES
    fixed_octets: int = 0
    salt: int = 0
    iv: int = 8
    block: int = 1
    icv: int = 0
    counter: bool = True
    serves_ike: bool = True


ROWS: Final = (
    _Row(3, "3DES", triple_des_cbc, (0,), fixed_octets=24, block=8, counter=False),
    _Row(11, "NULL", Null, (0,), iv=0, serves_ike=False),
    _Row(12, "AES_CBC", aes_cbc, iv=16, block=16, counter=False),
    _Row(13, "AES_CTR", Ctr, salt=4),
    _Row(14, "AES_CCM_8", Ccm, salt=3, icv=8),
    _Row(15, "AES_CCM_12", Ccm, salt=3, icv=12),
    _Row(16, "AES_CCM_16", Ccm, salt=3, icv=16),
    _Row(18, "AES_GCM_8", Gcm, salt=4, icv=8),
    _Row(19, "AES_GCM_12", Gcm, salt=4, icv=12),
    _Row(20, "AES_GCM_16", Gcm, salt=4, icv=16),
    _Row(21, "NULL_AUTH_AES_GMAC", Gmac, salt=4, icv=16, serves_ike=False),
    _Row(28, "CHACHA20_POLY1305", ChaCha, (0,), fixed_octets=32, salt=4, icv=16),
    _Row(29, "AES_CCM_8_IIV", implicit(Ccm), salt=3, iv=0, icv=8, serves_ike=False),
    _Row(30, "AES_GCM_16_IIV", implicit(Gcm), salt=4, iv=0, icv=16, serves_ike=False),
    _Row(
        31,
        "CHACHA20_POLY1305_IIV",
        implicit(ChaCha),
        (0,),
        fixed_octets=32,
        salt=4,
        iv=0,
        icv=16,
        serves_ike=False,
    ),
)
_BY_CODE: Final = {row.code: row for row in ROWS}

KEY_BITS: Final = {row.code: row.key_bits for row in ROWS}
"""The Key Length attributes that each code point may have; 0 is none (RFC 7296 §3.3.5)."""


@cache
def encryption(code: int, key_bits: int) -> Encryption:
    """Return the algorithm of a code point with a key length, 0 if the cipher has only one.

    Raises:
        LookupError: we do not have that algorithm, or it has no such key length.
    """
    row = _BY_CODE.get(code)
    if row is None:
        raise LookupError(f"no encryption algorithm {code}, only {sorted(_BY_CODE)}")
    if key_bits not in row.key_bits:
        raise LookupError(f"{row.name} with keys of {key_bits} bits, not {row.key_bits}")
    return Encryption(
        code=code,
        name=f"{row.name}_{key_bits}" if key_bits else row.name,
        key_bits=key_bits,
        key_octets=(key_bits // 8 or row.fixed_octets) + row.salt,
        salt_octets=row.salt,
        iv_octets=row.iv,
        block_octets=row.block,
        icv_octets=row.icv,
        iv_is_counter=row.counter,
        serves_ike=row.serves_ike,
        family=row.family,
    )

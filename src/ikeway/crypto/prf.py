# SPDX-License-Identifier: Apache-2.0
"""Pseudorandom functions and prf+ (RFC 7296 §2.13, §2.14; RFC 4868, RFC 4434, RFC 4615)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ikeway.crypto.mac import CmacCode, KeyedMac, MacFamily, XcbcCode, hmac_with, require_equal

_MAX_BLOCKS: Final = 255
_AES_KEY: Final = 16


@dataclass(frozen=True, slots=True)
class Prf:
    """One row: a pseudorandom function by its code point.

    `key_octets` is the preferred key size: the length of SK_d, SK_pi and SK_pr. Keys of other
    lengths, such as shared secrets, are `fit` by the function's own rule if it has one.
    """

    code: int
    name: str
    key_octets: int
    output_octets: int
    family: MacFamily
    fit: Callable[[bytes], bytes] | None = None
    nonce_octets: int | None = None

    def compute(self, key: bytes, data: bytes) -> bytes:
        """Return prf(key, data)."""
        return self._keyed(key).compute(data)

    def verify(self, key: bytes, data: bytes, seen: bytes) -> None:
        """Check in constant time that `seen` is prf(key, data).

        Raises:
            IntegrityError: it is another value.
        """
        require_equal(self.compute(key, data), seen, f"{self.name} output")

    def prf_plus(self, key: bytes, seed: bytes, octets: int) -> bytes:
        """Return the first `octets` of prf+(key, seed), RFC 7296 §2.13.

        Raises:
            ValueError: that takes more than 255 blocks, where the counter would wrap.
        """
        blocks = -(-octets // self.output_octets)
        if blocks > _MAX_BLOCKS:
            raise ValueError(f"prf+ of {octets} octets takes {blocks} blocks, more than 255")
        keyed, block, stream = self._keyed(key), b"", bytearray()
        for number in range(1, blocks + 1):
            block = keyed.compute(block, seed, bytes([number]))
            stream += block
        return bytes(stream[:octets])

    def skeyseed_key(self, nonce_i: bytes, nonce_r: bytes) -> bytes:
        """Return the key that makes SKEYSEED of g^ir (RFC 7296 §2.14).

        That is Ni | Nr, or the first 8 octets of each where the key size is fixed.
        """
        return nonce_i[: self.nonce_octets] + nonce_r[: self.nonce_octets]

    def _keyed(self, key: bytes) -> KeyedMac:
        return self.family(key if self.fit is None else self.fit(key))


def _fit_xcbc(key: bytes) -> bytes:
    """RFC 4434 §2: short keys are padded with zeros, long ones are hashed by the code itself."""
    if len(key) <= _AES_KEY:
        return key.ljust(_AES_KEY, b"\0")
    return XcbcCode(bytes(_AES_KEY)).compute(key)


def _fit_cmac(key: bytes) -> bytes:
    """RFC 4615 §3: every other length, short or long, is hashed by the code itself."""
    return key if len(key) == _AES_KEY else CmacCode(bytes(_AES_KEY)).compute(key)


def _hmac_row(code: int, name: str, octets: int) -> Prf:
    return Prf(code, name, octets, octets, hmac_with(octets))


ROWS: Final = (
    _hmac_row(2, "HMAC_SHA1", 20),  # legacy opt-in
    Prf(4, "AES128_XCBC", _AES_KEY, 16, XcbcCode, _fit_xcbc, nonce_octets=8),
    _hmac_row(5, "HMAC_SHA2_256", 32),
    _hmac_row(6, "HMAC_SHA2_384", 48),
    _hmac_row(7, "HMAC_SHA2_512", 64),
    Prf(8, "AES128_CMAC", _AES_KEY, 16, CmacCode, _fit_cmac, nonce_octets=8),
)
_BY_CODE: Final = {row.code: row for row in ROWS}


def prf(code: int) -> Prf:
    """Return the row of a code point.

    Raises:
        LookupError: we do not have that function.
    """
    try:
        return _BY_CODE[code]
    except KeyError:
        raise LookupError(f"no PRF {code}, only {sorted(_BY_CODE)}") from None

# SPDX-License-Identifier: Apache-2.0
"""Message authentication codes behind the PRF and integrity rows (RFC 2104, RFC 3566, RFC 4493).

A family makes keyed codes; a keyed code is reusable, so that the work of the key is done once.
"""

from collections.abc import Callable
from functools import partial
from hmac import compare_digest
from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from ikeway._engine import Hmac
from ikeway.model.errors import IntegrityError

_AES_BLOCK: Final = 16


class KeyedMac(Protocol):
    """A code with its key."""

    def compute(self, *parts: bytes) -> bytes:
        """Return the whole code over the parts in order."""
        ...


MacFamily = Callable[[bytes], KeyedMac]


class CmacCode:
    """AES-128-CMAC, RFC 4493."""

    def __init__(self, key: bytes) -> None:
        self._keyed = CMAC(algorithms.AES128(key))

    def compute(self, *parts: bytes) -> bytes:
        """Return the whole code over the parts in order."""
        code = self._keyed.copy()
        for part in parts:
            code.update(part)
        return code.finalize()


class XcbcCode:
    """AES-128-XCBC-MAC, RFC 3566 §4: CBC with a last block that is masked by K2 or K3."""

    def __init__(self, key: bytes) -> None:
        blocks = b"".join(bytes([number]) * _AES_BLOCK for number in (1, 2, 3))
        # ECB of three constants is the RFC's own key derivation; no message passes through it.
        derive = Cipher(algorithms.AES128(key), modes.ECB()).encryptor()  # noqa: S305
        keys = derive.update(blocks) + derive.finalize()
        self._k1 = algorithms.AES128(keys[:16])
        self._k2 = int.from_bytes(keys[16:32])
        self._k3 = int.from_bytes(keys[32:])

    def compute(self, *parts: bytes) -> bytes:
        """Return the whole code over the parts in order."""
        message = b"".join(parts)
        last_at = max(0, (len(message) - 1) // _AES_BLOCK * _AES_BLOCK)
        last, mask = message[last_at:], self._k2
        if len(last) < _AES_BLOCK:
            last, mask = (last + b"\x80").ljust(_AES_BLOCK, b"\0"), self._k3
        masked = (int.from_bytes(last) ^ mask).to_bytes(_AES_BLOCK)
        chain = Cipher(self._k1, modes.CBC(bytes(_AES_BLOCK))).encryptor()
        return (chain.update(message[:last_at] + masked) + chain.finalize())[-_AES_BLOCK:]


def hmac_with(digest_octets: int) -> MacFamily:
    """Return the HMAC family of SHA-1 or SHA-2, by the length of its digests.

    It is the engine's: an IKE SA is made with a dozen codes, and each costs a third there.
    """
    return partial(Hmac, digest_octets)


def require_equal(expected: bytes, seen: bytes, what: str) -> None:
    """Compare two codes in a time that depends on their lengths only.

    Raises:
        IntegrityError: they differ.
    """
    if not compare_digest(expected, seen):
        raise IntegrityError(f"{what} does not verify")

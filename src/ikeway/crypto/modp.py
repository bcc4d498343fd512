# SPDX-License-Identifier: Apache-2.0
"""Diffie-Hellman over the MODP groups (RFC 2409 §6, RFC 3526; checks of RFC 6989 §2.1).

OpenSSL does the modular exponentiation, in constant time and five to eight times as fast as
Python's `pow`. The private value stays ours, so that the same random octets give the same offer.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import dh
from cryptography.utils import CryptographyDeprecationWarning

from ikeway.crypto.random import Random
from ikeway.model.errors import InvalidPublicValueError
from ikeway.model.secret import Secret

_GENERATOR: Final = 2
_ANY_PUBLIC: Final = 4
"""OpenSSL wants a public value beside a private one, but does not use it in an exchange."""


@dataclass(frozen=True, slots=True)
class Modp:
    """A group: 2^bits - 2^(bits-64) - 1 + 2^64 * ([2^(bits-130) pi] + offset), generator 2.

    `exponent_bits` is at least the larger estimate of RFC 3526 §8, in whole octets.
    """

    bits: int
    offset: int
    exponent_bits: int

    @property
    def octets(self) -> int:
        """The length of public values and shared secrets, padded on the left (RFC 7296 §2.14)."""
        return self.bits // 8

    @property
    def prime(self) -> int:
        """The modulus p; (p-1)/2 is prime too."""
        return _prime(self.bits, self.offset)

    def private(self, random: Random) -> Secret:
        """Return a fresh exponent with its top bit set, so that its length tells nothing."""
        exponent = bytearray(random.octets(self.exponent_bits // 8))
        exponent[0] |= 0x80
        return Secret(bytes(exponent))

    def public(self, private: Secret) -> bytes:
        """Return 2^private mod p."""
        return self._power(private, _GENERATOR)

    def shared(self, private: Secret, public: bytes) -> Secret:
        """Return public^private mod p, padded on the left to the length of p.

        Raises:
            InvalidPublicValueError: not 1 < public < p-1 (RFC 6989 §2.1).
        """
        value = int.from_bytes(public)
        if not 1 < value < self.prime - 1:
            raise InvalidPublicValueError(f"a MODP {self.bits} value that is not in 1 < r < p-1")
        return Secret(self._power(private, value))

    def meet(self, private: Secret, public: bytes) -> tuple[bytes, Secret]:
        """Return our public value and the shared secret.

        Raises:
            InvalidPublicValueError: not 1 < public < p-1 (RFC 6989 §2.1).
        """
        shared = self.shared(private, public)
        return self.public(private), shared

    def _power(self, private: Secret, base: int) -> bytes:
        with _without_warning():
            group = dh.DHParameterNumbers(self.prime, _GENERATOR)
            ours = dh.DHPublicNumbers(_ANY_PUBLIC, group)
            exponent = int.from_bytes(private.octets)
            key = dh.DHPrivateNumbers(exponent, ours).private_key()
            return key.exchange(dh.DHPublicNumbers(base, group).public_key())


@cache
def _prime(bits: int, offset: int) -> int:
    scaled = _pi(bits - 130) + offset
    return (1 << bits) - (1 << (bits - 64)) - 1 + (scaled << 64)


@cache
def _pi(bits: int) -> int:
    """Return [2^bits pi] by Machin's formula; 64 bits more absorb the rounding."""
    one = 1 << (bits + 64)
    return (16 * _arccot(5, one) - 4 * _arccot(239, one)) >> 64


def _arccot(number: int, one: int) -> int:
    power, total, divisor, sign = one // number, 0, 1, 1
    while power:
        total += sign * (power // divisor)
        power //= number * number
        divisor, sign = divisor + 2, -sign
    return total


@contextmanager
def _without_warning() -> Iterator[None]:
    """Hide that pyca means to drop MODP one day: IKEv2 requires group 14 (RFC 8247 §2.4)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        yield

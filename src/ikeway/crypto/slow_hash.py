# SPDX-License-Identifier: Apache-2.0
"""Slow hashes of passwords: argon2id (RFC 9106), for whoever sees the password itself."""

from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from ikeway.model.secret import Secret

SALT_OCTETS: Final = 16
_HASHER: Final = PasswordHasher(
    time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, type=Type.ID
)
"""OWASP's choice of 2024: some 20 ms, so that a gateway may let hundreds in after a restart."""


def slow_hash(password: Secret, salt: bytes) -> str:
    """Return the hash of a password, with all that it takes to compare another one with it."""
    return _HASHER.hash(password.octets, salt=salt)


def is_password(hashed: str, password: Secret) -> bool:
    """Whether the hash is of this password; takes as long if it is not."""
    try:
        return _HASHER.verify(hashed, password.octets)
    except (VerificationError, InvalidHashError):
        return False


DUMMY: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA"
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""The hash of no password, to be compared with where nobody has a name: that takes as long."""

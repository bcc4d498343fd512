# SPDX-License-Identifier: Apache-2.0
"""Users, as values."""

import unicodedata
from dataclasses import dataclass
from typing import Final

from ikeway.model.errors import UsageError

NAME_OCTETS_MOST: Final = 253
"""What an identity of EAP may have (RFC 2865 §5)."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may come in, until `expires_at` if that is set. Times are seconds since 1970.

    `has_clear` is whether the password itself is kept, sealed. What was proven before
    `proofs_from` counts no more: a ticket of somebody who was disabled since, for one.
    """

    name: str
    groups: tuple[str, ...]
    is_enabled: bool
    created_at: float
    expires_at: float | None
    password_at: float
    has_clear: bool
    proofs_from: float

    def refusal(self, now: float) -> str | None:
        """Return why the user may not come in, if it is so."""
        if not self.is_enabled:
            return f"user {self.name!r} is disabled"
        if self.expires_at is not None and now >= self.expires_at:
            return f"user {self.name!r} has expired"
        return None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a password: a slow hash, and sealed its NT hash and maybe itself."""

    argon2: str
    nt_hash: bytes
    clear: bytes | None


@dataclass(frozen=True, slots=True)
class Departure:
    """A user whose IKE SAs have to end, and why."""

    number: int
    name: str
    reason: str


def key_of(name: str) -> str:
    """Return what two names have in common that are the same but for case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def check_name(name: str) -> str:
    """Return a name for a new user, as it is kept.

    Raises:
        UsageError: nobody can be called so.
    """
    name = unicodedata.normalize("NFC", name)
    if not name:
        raise UsageError("a user needs a name")
    if len(name.encode()) > NAME_OCTETS_MOST:
        raise UsageError(f"a name has at most {NAME_OCTETS_MOST} octets, not {len(name.encode())}")
    if not name.isprintable() or name != name.strip():
        raise UsageError(f"{name!r} is no name: it has spaces at an end, or what cannot be printed")
    return name

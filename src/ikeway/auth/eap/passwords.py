# SPDX-License-Identifier: Apache-2.0
"""What a server knows of its users' passwords, in the form that each method can check."""

from dataclasses import dataclass
from typing import Protocol

from ikeway.crypto.milenage import Usim
from ikeway.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Login:
    """Whom a peer is, and its password in UTF-8."""

    identity: bytes
    password: Secret


class Passwords(Protocol):
    """The users. A name that nobody has gives None, and takes as long as one that somebody has.

    What gives a secret, or compares one, raises `AuthenticationError` for who has a name and may
    not come in, or has guessed too often: a method looks to its peer as if the password was wrong.
    """

    def name(self, identity: bytes) -> bytes:
        """Return the name of the user that an identity means; itself where there is none."""
        ...

    def clear(self, identity: bytes) -> Secret | None:
        """Return the password itself, in UTF-8; None also where only a hash of it is kept."""
        ...

    def nt_hash(self, identity: bytes) -> Secret | None:
        """Return the NT hash of the password."""
        ...

    def usim(self, identity: bytes) -> Usim | None:
        """Return the USIM, ours or the home network's knowledge of it."""
        ...

    def accepts(self, identity: bytes, password: Secret) -> bool:
        """Whether this is the password, which is all that a slow hash of it can tell."""
        ...

    def failed(self, identity: bytes) -> None:
        """Note that a peer has shown another password than `clear` or `nt_hash` gave."""
        ...

    def groups(self, identity: bytes) -> tuple[str, ...]:
        """Return the groups of a user."""
        ...

# SPDX-License-Identifier: Apache-2.0
"""What the methods work with: secrets, random octets, and who we are."""

from dataclasses import dataclass

from ikeway.auth.eap.passwords import Login, Passwords
from ikeway.crypto.random import Random
from ikeway.model.errors import AuthenticationError


@dataclass(frozen=True, slots=True)
class Means:
    """`server` is our name as a server, which some methods say."""

    passwords: Passwords
    random: Random
    server: bytes = b"ikeway"

    def login(self, identity: bytes) -> Login:
        """Return our own password.

        Raises:
            AuthenticationError: there is none.
        """
        password = self.passwords.clear(identity)
        if password is None:
            raise AuthenticationError(f"there is no password for {identity!r}")
        return Login(identity, password)

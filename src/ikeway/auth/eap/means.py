# SPDX-License-Identifier: Apache-2.0
"""What the methods work with: secrets, random octets, and who we are."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ikeway.auth.eap.passwords import Login, Passwords
from ikeway.crypto.random import Random
from ikeway.crypto.tls import Believe, Credential
from ikeway.model.errors import AuthenticationError
from ikeway.model.identity import Identity


def _no_sequence() -> int:
    raise AuthenticationError("there are no sequence numbers for USIMs")


@dataclass(frozen=True, slots=True)
class TlsMeans:
    """Our certificate for TLS, and who believes certificates of clients and of servers.

    Both raise `AuthenticationError`.
    """

    credential: Credential | None
    believe_client: Believe
    believe_server: Believe


@dataclass(frozen=True, slots=True)
class Means:
    """`server` is our name as a server, which some methods say.

    `expected` is the name of the server that a peer's TLS has to lead to, and `inner` is what it
    does in it. `sequence` gives numbers for challenges of USIMs, each higher than all before (3GPP
    TS 33.102 annex C); `highest` are the last ones that ours have seen.
    """

    passwords: Passwords
    random: Random
    server: bytes = b"ikeway"
    tls: TlsMeans | None = None
    expected: Identity | None = None
    inner: str = "mschapv2"
    sequence: Callable[[], int] = field(default=_no_sequence)
    highest: dict[bytes, int] = field(default_factory=dict, compare=False)

    def need_tls(self) -> TlsMeans:
        """Return what TLS needs.

        Raises:
            AuthenticationError: it is not there.
        """
        if self.tls is None:
            raise AuthenticationError("there are no certificates for TLS")
        return self.tls

    def login(self, identity: bytes) -> Login:
        """Return our own password.

        Raises:
            AuthenticationError: there is none.
        """
        password = self.passwords.clear(identity)
        if password is None:
            raise AuthenticationError(f"there is no password for {identity!r}")
        return Login(identity, password)

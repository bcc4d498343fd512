# SPDX-License-Identifier: Apache-2.0
"""Seals what is kept of passwords, each for one user and one use: elsewhere it opens no more."""

from dataclasses import dataclass
from typing import Final

from ikeway.crypto import mschap
from ikeway.crypto.random import Random
from ikeway.crypto.slow_hash import SALT_OCTETS, slow_hash
from ikeway.crypto.ticket_seal import NONCE_OCTETS, key_id, seal, unseal
from ikeway.model.errors import HostError, IntegrityError
from ikeway.model.secret import Secret
from ikeway.store.user import Kept, key_of

KEY_OCTETS: Final = 32
NT_HASH: Final = "nt-hash"
CLEAR: Final = "clear"


@dataclass(frozen=True, slots=True)
class Seal:
    """AES-256-GCM under the key of the database, a fresh one for each nonce."""

    key: Secret
    random: Random

    @property
    def id(self) -> bytes:
        """What names the key without telling anything of it."""
        return key_id(self.key)

    def keep(self, name: str, password: Secret, *, with_clear: bool) -> Kept:
        """Return what is kept of a user's password, in UTF-8."""
        nt = mschap.nt_hash(password)
        return Kept(
            slow_hash(password, self.random.octets(SALT_OCTETS)),
            self.close(name, NT_HASH, nt),
            self.close(name, CLEAR, password) if with_clear else None,
        )

    def open(self, name: str, use: str, sealed: bytes) -> Secret:
        """Return what was sealed.

        Raises:
            HostError: it was changed, or was of another user or use.
        """
        nonce, rest = sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:]
        try:
            return Secret(unseal(self.key, nonce, _about(name, use), rest))
        except IntegrityError as error:
            raise HostError(f"the {use} of user {name!r} in the database was changed") from error

    def close(self, name: str, use: str, secret: Secret) -> bytes:
        """Return a secret sealed for a user and a use."""
        nonce = self.random.octets(NONCE_OCTETS)
        return nonce + seal(self.key, nonce, _about(name, use), secret.octets)


def _about(name: str, use: str) -> bytes:
    return f"{use}\0{key_of(name)}".encode()

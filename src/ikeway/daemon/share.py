# SPDX-License-Identifier: Apache-2.0
"""Which part of the daemon's work one process has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

from ikeway.ike.io import RevokeTicket
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.connection import Connection
from ikeway.runtime.leases import Lender


def keeper(connection: str, workers: int) -> int:
    """Return the number of the worker that starts a connection and keeps it up."""
    return crc32(connection.encode()) % workers


class Others(Protocol):
    """The other workers, as one of them sees them. Nobody has to believe what another one says."""

    def contacted(self, local: Identity, peer: Identity) -> None:
        """Tell them that a peer said INITIAL_CONTACT (RFC 7296 §2.4)."""
        ...

    async def is_up(self, connection: str) -> bool:
        """Whether one of them has an IKE SA with a peer that the connection is for."""
        ...


@dataclass(frozen=True, slots=True)
class Share:
    """One process's part of the work, the pools if they are elsewhere, and who has the rest.

    `revoked` is told of tickets that are void, for the others.
    """

    worker: int = 0
    workers: int = 1
    leases: Lender | None = None
    crash_secrets: tuple[Secret, ...] = ()
    revoked: Callable[[RevokeTicket], None] = lambda _: None
    others: Others | None = None

    def starts(self, connection: Connection) -> bool:
        """Whether a connection that is to stay up is this process's to start."""
        return keeper(connection.name, self.workers) == self.worker

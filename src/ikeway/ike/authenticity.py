# SPDX-License-Identifier: Apache-2.0
"""How long a proof of identity counts: a rekey does not renew it (RFC 7296 §2.8.3)."""

import math
from dataclasses import dataclass, replace
from typing import Final

from ikeway.crypto.random import Random
from ikeway.ike.children import hard_limit, soft_limit
from ikeway.model.time import Instant, Seconds
from ikeway.policy.connection import Connection

AGAIN: Final[Seconds] = 60.0
"""After so long an IKE SA that was to take over and did not is tried once more."""


@dataclass(frozen=True, slots=True)
class Authenticity:
    """When we prove identities anew, if we do, and until when those that were proven count.

    `is_stranded` is whether we have moved, and the peer may not have followed: the new IKE SA is
    then worth more than this one.
    """

    renew_at: Instant = math.inf
    until: Instant = math.inf
    is_stranded: bool = False

    @classmethod
    def begin(cls, connection: Connection, random: Random, now: Instant) -> "Authenticity":
        """Return how long identities count that are proven now.

        Who lends addresses, or cannot start the connection, leaves it to the peer to renew them.
        """
        lifetimes = connection.lifetimes
        if not lifetimes.reauth:
            return cls()
        renew_at = now + soft_limit(lifetimes.reauth, lifetimes.jitter, random)
        until = now + hard_limit(lifetimes.reauth)
        return cls(renew_at if _may_renew(connection) else math.inf, until)

    @property
    def next(self) -> Instant:
        """When it calls for something."""
        return min(self.renew_at, self.until)

    def stranded(self, connection: Connection, now: Instant) -> "Authenticity":
        """Return it where identities are to be proven anew now, if that is ours to do."""
        if not _may_renew(connection):
            return self
        return replace(self, renew_at=now, is_stranded=True)

    def renewing(self, now: Instant) -> "Authenticity":
        """Return it while it is being renewed."""
        return replace(self, renew_at=now + AGAIN)


def _may_renew(connection: Connection) -> bool:
    return connection.may_initiate and connection.pool is None

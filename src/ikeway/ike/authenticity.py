# SPDX-License-Identifier: Apache-2.0
"""How long a proof of identity counts: a rekey does not renew it (RFC 7296 §2.8.3, RFC 4478)."""

import math
from dataclasses import dataclass, replace
from typing import Final

from ikeway.crypto.random import Random
from ikeway.ike.children import hard_limit, soft_limit
from ikeway.ike.features import auth_lifetime
from ikeway.model.time import Instant, Seconds
from ikeway.policy.connection import Connection
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify

AGAIN: Final[Seconds] = 60.0
"""After so long an IKE SA that was to take over and did not is tried once more."""
LEAST: Final[Seconds] = 5.0
"""A gateway cannot make us begin sooner after the last time (RFC 4478 §5)."""
EARLY: Final = 0.1
"""By how much of what a gateway lets us we begin sooner, so that it does not end before that."""
EARLY_MOST: Final[Seconds] = 60.0


@dataclass(frozen=True, slots=True)
class Authenticity:
    """When we prove identities anew, if we do, and until when those that were proven count.

    `is_stranded` is whether we have moved, and the peer may not have followed: the new IKE SA is
    then worth more than this one. `is_client` is whether we started the IKE SA in which identities
    were proven. At `remind_at` a client that has not done it yet is told to (RFC 4478); what we are
    told counts from `earliest` on.
    """

    renew_at: Instant = math.inf
    until: Instant = math.inf
    is_stranded: bool = False
    is_client: bool = False
    remind_at: Instant = math.inf
    earliest: Instant = -math.inf

    @classmethod
    def begin(
        cls, connection: Connection, random: Random, now: Instant, *, is_client: bool
    ) -> "Authenticity":
        """Return how long identities count that are proven now.

        Who lends addresses, or cannot start the connection, leaves it to the peer to renew them.
        """
        lifetimes, known = connection.lifetimes, cls(is_client=is_client, earliest=now + LEAST)
        if not lifetimes.reauth:
            return known
        until = now + hard_limit(lifetimes.reauth)
        if _may_renew(connection):
            renew_at = now + soft_limit(lifetimes.reauth, lifetimes.jitter, random)
            return replace(known, renew_at=renew_at, until=until)
        remind_at = math.inf if is_client else now + lifetimes.reauth
        return replace(known, until=until, remind_at=remind_at)

    @property
    def next(self) -> Instant:
        """When it calls for something."""
        return min(self.renew_at, self.until, self.remind_at)

    def stranded(self, connection: Connection, now: Instant) -> "Authenticity":
        """Return it where identities are to be proven anew now, if that is ours to do."""
        if not _may_renew(connection):
            return self
        return replace(self, renew_at=now, is_stranded=True)

    def renewing(self, now: Instant) -> "Authenticity":
        """Return it while it is being renewed."""
        return replace(self, renew_at=now + AGAIN, earliest=now + AGAIN)

    def reminded(self) -> "Authenticity":
        """Return it once the client was told that it is time."""
        return replace(self, remind_at=math.inf)

    def heard(
        self, connection: Connection, message: Message, random: Random, now: Instant
    ) -> "Authenticity":
        """Return it as the gateway wants it, which may ask for less than we do and never for more.

        RFC 4478 §2: "the time is measured from the time that the original Initiator receives".
        """
        left = auth_lifetime.learn(message)
        if left is None or not self.is_client or not _may_renew(connection):
            return self
        in_time = left - min(left * EARLY, EARLY_MOST)
        due = now + soft_limit(in_time, connection.lifetimes.jitter, random)
        return replace(self, renew_at=min(self.renew_at, max(due, self.earliest)))


def announce(connection: Connection, proven: Instant, now: Instant) -> tuple[Notify, ...]:
    """Return what tells a client how long its proof counts, where it is the client's to renew."""
    reauth = connection.lifetimes.reauth
    if not reauth or _may_renew(connection):
        return ()
    return (auth_lifetime.notify(proven + reauth - now),)


def _may_renew(connection: Connection) -> bool:
    return connection.may_initiate and connection.pool is None

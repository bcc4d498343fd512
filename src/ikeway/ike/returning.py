# SPDX-License-Identifier: Apache-2.0
"""The tickets of an endpoint: those that it holds, and those of its own that are used up.

RFC 5723 §4.3.1, §4.3.4, §6.2: each is used once, and goes with its IKE SA if that is deleted. One
whose peer was lost is what tickets are for.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from ikeway.ike.eap_states import AdmittingUser
from ikeway.ike.io import RevokeTicket
from ikeway.ike.revoked import Revoked
from ikeway.ike.states import (
    AwaitAuthRequest,
    AwaitInitResponse,
    CheckingInitiator,
    Established,
    Gone,
    InstallingFirst,
    LeasingAddress,
    SigningResponse,
    State,
)
from ikeway.ike.tickets import Held, Past
from ikeway.model.address import Address
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection

Proving = (
    AwaitAuthRequest,
    CheckingInitiator,
    AdmittingUser,
    LeasingAddress,
    SigningResponse,
    InstallingFirst,
)
"""The states of a responder that has keys."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A ticket of ours to present: how the connection was then, and which addresses it had."""

    connection: Connection
    held: Held
    virtual_ips: tuple[Address, ...] = ()

    def fits(self, connection: Connection, now: Instant) -> bool:
        """Whether it may be presented for a connection: nothing of it was changed since (§6.2)."""
        then, today = (
            replace(one, virtual_ips=(), initial_contact=False)
            for one in (self.connection, connection)
        )
        return connection.resumption and then == today and now < self.held.past.expires

    def again(self, connection: Connection) -> Connection:
        """Return the connection as it is asked for: with the same addresses, if we can (§5)."""
        had = {address.version: address for address in self.virtual_ips}
        wanted = tuple(had.get(any_.version, any_) for any_ in connection.virtual_ips)
        return replace(connection, virtual_ips=wanted)


class Stateful(Protocol):
    """An IKE SA as those see it who only look."""

    spi: bytes

    @property
    def state(self) -> State:
        """Where it stands."""
        ...


class Returning:
    """What is known of tickets, beyond the IKE SAs that they are of."""

    def __init__(self) -> None:
        self.revoked = Revoked()
        self._kept: dict[str, Kept] = {}

    # As client ------------------------------------------------------------------------------------

    def take(self, connection: Connection, now: Instant) -> Kept | None:
        """Return the ticket for a connection that is as it was, and keep it no more."""
        kept = self._kept.pop(connection.name, None)
        return kept if kept is not None and kept.fits(connection, now) else None

    def drop(self, name: str) -> None:
        """Forget the ticket of a connection: somebody here does not want it any more (§6.2)."""
        self._kept.pop(name, None)

    # Both -----------------------------------------------------------------------------------------

    def observe(self, before: State, after: State, now: Instant) -> tuple[RevokeTicket, ...]:
        """See what became of an IKE SA: one that ends on purpose takes its ticket along."""
        if isinstance(before, Established):
            return () if isinstance(after, Established) else self._ended(before, after, now)
        if isinstance(after, Established):
            self._kept.pop(after.connection.name, None)
            past = resumed(before)
            return self.revoke(past.spi, past.issued, now) if past else ()
        if isinstance(before, AwaitInitResponse) and isinstance(after, Gone):
            self._unanswered(before)  # one that became `Candidates` was answered
        return ()

    def revoke(self, spi: bytes, issued: Instant, now: Instant) -> tuple[RevokeTicket, ...]:
        """Note that the tickets of an IKE SA are void, and have it told to other workers."""
        self.revoked.add(spi, issued, now)
        return (RevokeTicket(spi, issued),)

    def _ended(self, before: Established, after: State, now: Instant) -> tuple[RevokeTicket, ...]:
        """A peer that was lost may come back; every other end is one of the ticket as well."""
        issued, held = before.resumption.issued, before.resumption.held
        if isinstance(after, Gone):
            if held is not None:
                kept = Kept(before.connection, held, before.virtual_ips)
                self._kept[before.connection.name] = kept
            return ()
        return () if issued is None else self.revoke(before.session.sa, issued, now)

    def _unanswered(self, before: AwaitInitResponse) -> None:
        """Keep a ticket that nobody answered: it was not used (§4.3.1)."""
        resuming = before.resuming
        if resuming is not None and not resuming.is_answered:
            connection = before.connection
            had = tuple(one for one in connection.virtual_ips if not one.is_unspecified)
            self._kept[connection.name] = Kept(connection, resuming.held, had)


def resumed(state: State) -> Past | None:
    """Return what the IKE SA of a responder was before, if its peer has shown a ticket."""
    return state.session.resumed if isinstance(state, Proving) else None


def rivals(sas: Iterable[Stateful], spi: bytes) -> tuple[bytes, ...]:
    """Return the IKE SAs that are on their way with a ticket that was used meanwhile."""
    found = ((sa.spi, resumed(sa.state)) for sa in sas)
    return tuple(ours for ours, past in found if past is not None and past.spi == spi)

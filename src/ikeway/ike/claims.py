# SPDX-License-Identifier: Apache-2.0
"""Which peer has an inner address: two of one connection never have the same (RFC 3948 §5).

Clients behind different NATs may have the same address there, and those behind one NAT are at one
address in transport mode. What is sent to it would reach whoever came last.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ikeway.ike.io import Action, Answered, InstallChild, RemoveChild
from ikeway.ike.questions import Answer, Installed, Refused, Ticket
from ikeway.ike.sa import IkeSa
from ikeway.ike.states import Established, InstallingFirst
from ikeway.model.address import Address
from ikeway.model.esp import ChildSa
from ikeway.model.identity import Identity


@dataclass(frozen=True, slots=True)
class Claim:
    """Who has a Child SA, and of which connection."""

    connection: str
    peer: Identity
    child: ChildSa

    def contradicts(self, other: "Claim") -> bool:
        """Whether a packet could be for both.

        A peer that comes back may take what it had; two connections with the same address are what
        the operator wrote.
        """
        if self.connection != other.connection or self.peer.is_surely(other.peer):
            return False
        sides = (
            (self.child.local_ts, other.child.local_ts),
            (self.child.peer_ts, other.child.peer_ts),
        )
        return all(any(a.intersect(b) for a in ours for b in theirs) for ours, theirs in sides)


class Claims:
    """An index of Child SAs by the single addresses of their peers."""

    __slots__ = ("_at", "_claims", "_pending")

    def __init__(self) -> None:
        self._at: dict[Address, set[int]] = {}
        self._claims: dict[int, Claim] = {}
        self._pending: dict[Ticket, int] = {}

    def look(
        self, sa: IkeSa, actions: tuple[Action, ...]
    ) -> tuple[tuple[Action, ...], tuple[Answered, ...]]:
        """Return the actions that may be done, and the answers to those that may not."""
        self.release(actions)
        refused = {
            action.ticket: why
            for action in actions
            if isinstance(action, InstallChild) and (why := self._refuse(sa, action))
        }
        if not refused:
            return actions, ()
        kept = (a for a in actions if not (isinstance(a, InstallChild) and a.ticket in refused))
        return tuple(kept), tuple(Answered(t, Refused(why)) for t, why in refused.items())

    def _refuse(self, sa: IkeSa, install: InstallChild) -> str | None:
        """Return why a Child SA may not be installed; else it has its addresses from now on."""
        peer, child = _peer_of(sa), install.child
        addresses = _addresses(child)
        if peer is None or not addresses:
            return None
        claim = Claim(install.connection, peer, child)
        for address in addresses:
            for spi in self._at.get(address, ()):
                other = self._claims[spi]
                if claim.contradicts(other):
                    return f"{address} is another peer's: {other.peer} has it"
        self._claims[child.spi_in] = claim
        self._pending[install.ticket] = child.spi_in
        for address in addresses:
            self._at.setdefault(address, set()).add(child.spi_in)
        return None

    def answered(self, ticket: Ticket, answer: Answer) -> None:
        """Note what the data plane says of a Child SA."""
        spi = self._pending.pop(ticket, None)
        if spi is not None and not isinstance(answer, Installed):
            self._drop(spi)

    def release(self, actions: Iterable[Action]) -> None:
        """Note which Child SAs are taken out."""
        for action in actions:
            if isinstance(action, RemoveChild):
                self._drop(action.spi_in)

    def _drop(self, spi_in: int) -> None:
        claim = self._claims.pop(spi_in, None)
        for address in _addresses(claim.child) if claim else ():
            self._at[address].discard(spi_in)
            if not self._at[address]:
                del self._at[address]


def _peer_of(sa: IkeSa) -> Identity | None:
    state = sa.state
    if isinstance(state, InstallingFirst):
        return state.request.id_i
    return state.peer_id if isinstance(state, Established) else None


def _addresses(child: ChildSa) -> frozenset[Address]:
    """Return the single addresses among the peer's selectors: the others are networks."""
    return frozenset(each.start for each in child.peer_ts if each.start == each.end)

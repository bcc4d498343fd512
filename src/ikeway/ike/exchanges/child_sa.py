# SPDX-License-Identifier: Apache-2.0
"""Child SAs by CREATE_CHILD_SA: what both sides of the exchange share (RFC 7296 §1.3.1, §1.3.3)."""

from dataclasses import replace

from ikeway.ike.child_terms import Place
from ikeway.ike.children import Child
from ikeway.ike.nonces import lowest
from ikeway.ike.series import ChildPromise
from ikeway.ike.shape import Shape, maybe, one
from ikeway.ike.states import Established
from ikeway.ike.tasks import AskedChild, Crossed
from ikeway.model.address import Endpoint
from ikeway.policy.connection import ChildPolicy
from ikeway.policy.proposals import ProposalSpec
from ikeway.wire.payloads import KeyExchange, Nonce, SecurityAssociation, TsI, TsR
from ikeway.wire.registry import ExchangeType

TYPE = ExchangeType.CREATE_CHILD_SA
REQUEST = Shape(one(SecurityAssociation), one(Nonce), maybe(KeyExchange), one(TsI), one(TsR))
RESPONSE = REQUEST
SPI_OCTETS = 4


def find(state: Established, spi_in: int) -> Child | None:
    """Return the child with this inbound SPI."""
    return next((child for child in state.children if child.sa.spi_in == spi_in), None)


def place(state: Established, path: tuple[Endpoint, Endpoint]) -> Place:
    """Return what the dynamic selectors of a connection stand for; `path` is local and peer."""
    connection, lent = state.connection, state.virtual_ips
    ours = lent if connection.virtual_ips else (path[0].address,)
    theirs = lent if connection.pool else (path[1].address,)
    return Place(ours, theirs, path, state.session.agreed.nat)


def crossings(state: Established) -> tuple[Crossed, ...]:
    """Return the peer's rekeys that may cross ours, also those that are not done yet."""
    coming = (
        Crossed(each.child.replaces, each.child.sa.spi_in, lowest(*each.nonces))
        for each in state.answering
        if each.child.replaces
    )
    begun = (
        Crossed(each.promise.replaces, each.promise.spi_in, each.lowest)
        for each in state.series.theirs
        if isinstance(each.promise, ChildPromise) and each.promise.replaces
    )
    return (*state.crossed, *coming, *begun)


def change(state: Established, child: Child) -> Established:
    """Return the state with a child as it is now."""
    others = (child if each.sa.spi_in == child.sa.spi_in else each for each in state.children)
    return replace(state, children=tuple(others))


def specs_for(policy: ChildPolicy, method: int) -> tuple[ProposalSpec, ...]:
    """Return what we offer; the method that the child was made with comes first.

    INTEROP: a peer that never used a key exchange for this child is not asked for one.
    """
    if not method:
        return policy.esp
    return tuple(
        replace(spec, ke=((method, 0), *(c for c in spec.ke if c != (method, 0))))
        for spec in policy.esp
    )


def uncrossed(state: Established, asked: AskedChild) -> Established:
    """Return the state in which nothing crosses what we have asked for any more."""
    left = tuple(each for each in state.crossed if each.old != asked.replaces)
    return replace(state, crossed=left)

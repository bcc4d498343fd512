# SPDX-License-Identifier: Apache-2.0
"""Child SAs by CREATE_CHILD_SA: what both sides of the exchange share (RFC 7296 §1.3.1, §1.3.3)."""

from dataclasses import replace

from ikeway.ike.children import Child
from ikeway.ike.shape import Shape, maybe, one
from ikeway.ike.states import Established
from ikeway.model.time import Seconds
from ikeway.wire.payloads import KeyExchange, Nonce, SecurityAssociation, TsI, TsR
from ikeway.wire.registry import ExchangeType

TYPE = ExchangeType.CREATE_CHILD_SA
REQUEST = Shape(one(SecurityAssociation), one(Nonce), maybe(KeyExchange), one(TsI), one(TsR))
RESPONSE = REQUEST
SPI_OCTETS = 4
RETRY: Seconds = 5.0
"""How long to leave a peer alone that says TEMPORARY_FAILURE (§2.25)."""


def find(state: Established, spi_in: int) -> Child | None:
    """Return the child with this inbound SPI."""
    return next((child for child in state.children if child.sa.spi_in == spi_in), None)


def change(state: Established, child: Child) -> Established:
    """Return the state with a child as it is now."""
    others = (child if each.sa.spi_in == child.sa.spi_in else each for each in state.children)
    return replace(state, children=tuple(others))

# SPDX-License-Identifier: Apache-2.0
"""IKE_SA_INIT (RFC 7296 §1.2, §2.14): its shapes, and what both sides of it share."""

from dataclasses import replace
from typing import Final

from ikeway.ike.environment import Environment
from ikeway.ike.features import Agreed
from ikeway.ike.features.context import Context
from ikeway.ike.features.nat_traversal import float_port
from ikeway.ike.io import Report
from ikeway.ike.reports import SuiteChosen, Warned
from ikeway.ike.session import Link, Session
from ikeway.ike.shape import Shape, one
from ikeway.policy.connection import Connection
from ikeway.policy.grades import is_post_quantum, weaknesses
from ikeway.wire.payloads import (
    KeyExchange,
    Nonce,
    SecurityAssociation,
)
from ikeway.wire.registry import ExchangeType

TYPE: Final = ExchangeType.IKE_SA_INIT
REQUEST: Final = Shape(one(SecurityAssociation), one(KeyExchange), one(Nonce))
RESPONSE: Final = REQUEST

ZERO_SPI: Final = bytes(8)
"""The responder's SPI as long as it has chosen none (§2.6)."""


def context(link: Link, spi_r: bytes, connection: Connection) -> Context:
    """Return what the features need for a message that has this SPIr."""
    return Context(link.spi_i, spi_r, link.local, link.peer, connection)


def chosen(session: Session, connection: Connection) -> tuple[Report, ...]:
    """Return the reports of what was agreed on; what is weak in it has a line of its own."""
    suite = session.keyring.suite
    could_be_more = any(spec.additional for spec in connection.ike)
    is_lesser = could_be_more and not is_post_quantum(suite)
    return (
        session.report(SuiteChosen(str(suite), str(session.agreed.nat), is_lesser)),
        *(session.report(Warned(f"weak algorithm in use: {one}")) for one in weaknesses(suite)),
    )


def floated(link: Link, env: Environment, connection: Connection, agreed: Agreed) -> Link:
    """Return the link on port 4500, if a NAT is there, or may come: with MOBIKE (RFC 4555 §3.3)."""
    if not (agreed.nat.is_present or (connection.does_mobike and agreed.nat.is_spoken)):
        return link
    port = env.nat_port
    return replace(link, local=float_port(link.local, port), peer=float_port(link.peer, port))

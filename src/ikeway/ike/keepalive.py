# SPDX-License-Identifier: Apache-2.0
"""Keepalives for the NAT that we are behind (RFC 7296 §2.23, RFC 3948 §4)."""

from dataclasses import replace

from ikeway.ike.io import Send
from ikeway.ike.session import Session
from ikeway.ike.states import Established, Step
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection
from ikeway.wire.message import NAT_KEEPALIVE


def due(session: Session, connection: Connection, now: Instant) -> Instant | None:
    """Return when the NAT needs to see a packet again; None where there is none before us."""
    return now + connection.keepalive if session.agreed.nat.local else None


def send(state: Established, now: Instant) -> Step:
    """Send a keepalive: whether ESP has passed meanwhile is not worth asking the data plane."""
    link = state.session.link
    after = replace(state, keep_at=due(state.session, state.connection, now))
    return Step(after, (Send(link.local, link.peer, NAT_KEEPALIVE),))

# SPDX-License-Identifier: Apache-2.0
"""The ways in which an IKE SA ends (RFC 7296 §1.4.1, §2.4, §2.21)."""

from dataclasses import replace

from ikeway.ike import messages
from ikeway.ike.children import Child
from ikeway.ike.io import Action, RemoveChild, Report
from ikeway.ike.reports import ChildClosed, Closed
from ikeway.ike.states import Deleting, Established, Gone, Lingering, Session, State, Step
from ikeway.ike.timers import LINGER
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Delete
from ikeway.wire.registry import ExchangeType, ProtocolId


def remove_children(
    session: Session, connection: Connection, children: tuple[Child, ...], reason: str
) -> tuple[Action, ...]:
    """Return the actions that take Child SAs out of the data plane."""
    actions: list[Action] = []
    for child in children:
        spi = child.sa.spi_in
        actions.append(RemoveChild(session.sa, spi))
        actions.append(session.report(ChildClosed(connection.name, spi, reason)))
    return tuple(actions)


def closed(sa: bytes, connection: str, reason: str, *, is_failure: bool) -> Report:
    """Return the report of an SA's end."""
    return Report(sa, Closed(connection, reason, is_failure))


def give_up(state: State, sa: bytes, connection: str, reason: str) -> Step:
    """Drop the SA and what it has, without a word to the peer."""
    actions: tuple[Action, ...] = ()
    if isinstance(state, Established):
        actions = remove_children(state.session, state.connection, state.children, reason)
    return Step(Gone(), (*actions, closed(sa, connection, reason, is_failure=True)))


def linger(session: Session, now: Instant) -> Lingering:
    """Return the state that only repeats the last response."""
    return Lingering(session, now + (LINGER.length or 0.0))


def tell(
    session: Session, connection: Connection, payloads: tuple[Body, ...], now: Instant
) -> Step:
    """Tell the peer that the SA ends, with a Delete or an error notify."""
    if not session.window.may_request:
        session = _drop_outstanding(session)
    after, actions = messages.request(
        session,
        ExchangeType.INFORMATIONAL,
        payloads,
        "delete",
        connection.retransmission,
        now,
    )
    return Step(Deleting(after, connection), actions)


def delete(state: Established, reason: str, now: Instant) -> Step:
    """Delete an established IKE SA and with it its Child SAs."""
    removed = remove_children(state.session, state.connection, state.children, reason)
    ended = closed(state.session.sa, state.connection.name, reason, is_failure=False)
    step = tell(state.session, state.connection, (Delete(ProtocolId.IKE, 0, ()),), now)
    return Step(step.state, (*removed, *step.actions, ended))


def _drop_outstanding(session: Session) -> Session:
    """Forget an unanswered request: the SA ends, so nobody waits for its answer any more."""
    return replace(session, window=session.window.concluded())

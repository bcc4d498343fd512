# SPDX-License-Identifier: Apache-2.0
"""The ways in which an IKE SA ends (RFC 7296 §1.4.1, §2.4, §2.21)."""

from dataclasses import replace
from typing import Final, TypeAlias

from ikeway.crypto.random import Random
from ikeway.ike import messages
from ikeway.ike.children import Child, hard_limit, soft_limit
from ikeway.ike.eap_states import AsPeer, AsServer
from ikeway.ike.io import Action, RemoveChild, Report
from ikeway.ike.reports import ChildClosed, Closed
from ikeway.ike.session import Session
from ikeway.ike.states import (
    AwaitAuthRequest,
    AwaitAuthResponse,
    AwaitInitResponse,
    AwaitIntermediateRequest,
    AwaitIntermediateResponse,
    Candidates,
    CheckingInitiator,
    CheckingResponder,
    Deleting,
    Established,
    Gone,
    InstallingFirst,
    LeasingAddress,
    Lingering,
    Replaced,
    SigningRequest,
    SigningResponse,
    State,
    Step,
)
from ikeway.ike.timers import LINGER
from ikeway.model.time import Instant, Seconds
from ikeway.policy.connection import Connection
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Delete
from ikeway.wire.registry import ExchangeType, ProtocolId

LINGER_MOST: Final[Seconds] = 180.0
"""How long who replays the last request can make an SA linger."""

Alive: TypeAlias = (
    AwaitInitResponse
    | Candidates
    | AwaitIntermediateResponse
    | SigningRequest
    | AwaitAuthResponse
    | CheckingResponder
    | AsPeer
    | AwaitIntermediateRequest
    | AwaitAuthRequest
    | AsServer
    | CheckingInitiator
    | LeasingAddress
    | SigningResponse
    | InstallingFirst
    | Established
    | Replaced
)
"""The states of an IKE SA that is not at its end."""


def remove_children(
    session: Session, connection: Connection, children: tuple[Child, ...], reason: str
) -> tuple[Action, ...]:
    """Return the actions that take Child SAs out of the data plane."""
    actions: list[Action] = []
    for child in children:
        spi = child.sa.spi_in
        actions.append(RemoveChild(session.sa, spi, child.is_replaced))
        actions.append(session.report(ChildClosed(connection.name, spi, reason)))
    return tuple(actions)


def remove_all(state: Established, reason: str) -> tuple[Action, ...]:
    """Return the actions that take out all Child SAs, also one that is only being installed."""
    children = tuple(replace(child, is_replaced=False) for child in state.children)
    removed = remove_children(state.session, state.connection, children, reason)
    sa, coming = state.session.sa, (each.child.sa.spi_in for each in state.answering)
    return (*removed, *(RemoveChild(sa, spi) for spi in coming))


def closed(sa: bytes, connection: str, reason: str, *, is_failure: bool) -> Report:
    """Return the report of an SA's end."""
    return Report(sa, Closed(connection, reason, is_failure))


def give_up(state: Alive, connection: str, reason: str, *, is_failure: bool = True) -> Step:
    """Drop the SA and what it has, without a word to the peer."""
    sa = _spi(state)
    actions: tuple[Action, ...] = ()
    if isinstance(state, Established):
        actions = remove_all(state, reason)
    elif isinstance(state, InstallingFirst) and state.outcome.child is not None:
        actions = (RemoveChild(sa, state.outcome.child.sa.spi_in),)
    return Step(Gone(), (*actions, closed(sa, connection, reason, is_failure=is_failure)))


def _spi(state: Alive) -> bytes:
    if isinstance(state, AwaitInitResponse | Candidates):
        return state.link.spi_i
    return state.session.sa


def aging(state: Established, now: Instant) -> Established:
    """Return the state with the times at which its SA is rekeyed and at which it ends (§2.8)."""
    rekey_at, expires_at = ages(state.connection, state.session.env.random, now)
    return replace(state, rekey_at=rekey_at, expires_at=expires_at)


def ages(connection: Connection, random: Random, now: Instant) -> tuple[Instant, Instant]:
    """Return when an IKE SA that begins now is to be rekeyed, and when it ends (§2.8)."""
    lifetimes = connection.lifetimes
    soft = now + soft_limit(lifetimes.ike, lifetimes.jitter, random)
    return soft, now + hard_limit(lifetimes.ike)


def linger(session: Session, now: Instant) -> Lingering:
    """Return the state that only repeats the last response."""
    return Lingering(session, now + (LINGER.length or 0.0), now + LINGER_MOST)


def asked_again(state: Lingering, now: Instant) -> Lingering:
    """Return the state in which the peer has not got the last response yet.

    Its repetitions come further and further apart, and on a bad link its answer is lost often.
    """
    return replace(state, until=min(now + (LINGER.length or 0.0), state.at_most))


def tell(
    session: Session, connection: Connection, payloads: tuple[Body, ...], now: Instant
) -> Step:
    """Tell the peer that the SA ends, by a Delete or an error notify, once nothing else is asked.

    Requests may pass one another (§2.3), and after this one the peer answers no other.
    """
    if session.window.outstanding:
        return Step(Deleting(session, connection, unsaid=payloads))
    timing = connection.retransmission
    after, actions = messages.request(session, ExchangeType.INFORMATIONAL, payloads, timing, now)
    return Step(Deleting(after, connection), actions)


def farewell(state: Deleting, now: Instant) -> Step:
    """Go on after a response: say what was to be said, or be gone."""
    if state.session.window.outstanding:
        return Step(state)
    if not state.unsaid:
        return Step(Gone())
    return tell(state.session, state.connection, state.unsaid, now)


def delete(state: Established, reason: str, now: Instant) -> Step:
    """Delete an established IKE SA and with it its Child SAs."""
    removed = remove_all(state, reason)
    ended = closed(state.session.sa, state.connection.name, reason, is_failure=False)
    step = tell(state.session, state.connection, (Delete(ProtocolId.IKE, 0, ()),), now)
    return Step(step.state, (*removed, *step.actions, ended))


def out_of_step(state: Established, now: Instant) -> Step:
    """Delete an IKE SA on which the peer says for minutes that it cannot do a thing now (§2.25)."""
    return delete(state, "the peer has said TEMPORARY_FAILURE for minutes", now)


def disconnect(state: State, reason: str, now: Instant) -> Step:
    """End the SA because somebody here wants it; a peer that believes in it is told."""
    if isinstance(state, Deleting | Lingering | Gone):
        return Step(state)
    if isinstance(state, Established):
        return delete(state, reason, now)
    connection = getattr(state, "connection", None)
    name = connection.name if isinstance(connection, Connection) else ""
    return give_up(state, name, reason, is_failure=False)


def close_when_spent(state: State, now: Instant) -> Step:
    """End an SA whose message IDs run out: the last one of ours is for its Delete (§2.2)."""
    if isinstance(state, Established) and state.session.window.is_spent:
        return delete(state, "its message IDs are used up", now)
    return Step(state)

# SPDX-License-Identifier: Apache-2.0
"""The last IKE_AUTH response: its Child SA is installed first, and then the IKE SA is established.

RFC 7296 §1.2, §2.8, §2.15.
"""

from dataclasses import replace

from ikeway.ike import (
    authenticity,
    crash_detection,
    messages,
    mobility,
    ppk,
    redirection,
    resumption,
    wanted,
    window_size,
)
from ikeway.ike.auth_request import AuthRequest
from ikeway.ike.exchanges import ike_auth
from ikeway.ike.features import message_id_sync, mobike
from ikeway.ike.io import UNUSED, Action, InstallChild
from ikeway.ike.questions import Answer, Installed, Refused
from ikeway.ike.reports import ChildEstablished, ChildFailed
from ikeway.ike.session import Session
from ikeway.ike.states import (
    ChildOutcome,
    InstallingFirst,
    Step,
)
from ikeway.ike.timers import HALF_OPEN
from ikeway.model.identity import ANONYMOUS
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection
from ikeway.policy.proposals import esp_words
from ikeway.wire.codec import Body
from ikeway.wire.payloads import IdR, Notify
from ikeway.wire.registry import NotifyType


def expires(now: Instant) -> Instant:
    """Return until when the initiator is waited for."""
    return now + (HALF_OPEN.length or 0.0)


def identity(connection: Connection) -> IdR:
    """Return who we are on a connection."""
    return IdR(connection.local_id.type, connection.local_id.data)


def prove(
    session: Session,
    request: AuthRequest,
    outcome: ChildOutcome,
    auth: tuple[Body, ...],
    now: Instant,
) -> Step:
    """Have the Child SA installed before the response leaves (§2.8), if there is one.

    What we sent on it could overtake the response. So another Child SA for the same traffic goes on
    sending, that of the IKE SA which this one replaces, until the peer has shown that it has this.
    """
    waiting = InstallingFirst(session, request, outcome, auth, expires(now))
    if outcome.child is None:
        return _finish(waiting, now)
    child = outcome.child.sa
    ticket = session.install_ticket(child.spi_in)
    name = request.connection.name
    install = InstallChild(ticket, name, child, is_standby=True, active_after=UNUSED)
    return Step(waiting, (install,))


def installed(state: InstallingFirst, answer: Answer, now: Instant) -> Step:
    """Answer the request; a data plane that refuses costs the Child SA only."""
    if isinstance(answer, Installed):
        return _finish(state, now)
    reason = answer.reason if isinstance(answer, Refused) else "it could not be installed"
    notify = Notify(NotifyType.NO_ADDITIONAL_SAS)
    failed = ChildOutcome((notify,), None, (), f"the data plane says: {reason}")
    without = replace(state, outcome=failed)
    return _finish(without, now)


def _finish(state: InstallingFirst, now: Instant) -> Step:
    request, outcome = state.request, state.outcome
    connection, past = request.connection, state.session.resumed
    ticket = resumption.answer_first(state.session, request, now)
    payloads: tuple[Body, ...] = (
        *(() if request.keys else (identity(connection),)),
        *message_id_sync.answer(request.message),
        *state.proof,
        *crash_detection.announce(state.session.env, state.session.link),
        *outcome.payloads,
        *ticket.payloads,
        *window_size.announce(connection),
        *_mobike(state),
        *ppk.answer(state.session),
        *authenticity.announce(connection, past.proven if past else now, now),
    )
    path = request.local, request.peer
    session, actions = messages.respond(state.session, request.message.header, payloads, path)
    is_alone = request.message.notify(NotifyType.INITIAL_CONTACT) is not None
    replaces = is_alone and request.id_i != ANONYMOUS
    ids = connection.local_id, request.id_i
    proven = ike_auth.Proven(
        session,
        connection,
        *ids,
        request.message,
        replaces,
        standing=request.standing,
        resumption=ticket.known,
    )
    children = (outcome.child.installed(),) if outcome.child else ()
    established, report = ike_auth.establish(proven, children, outcome.virtual_ips, now)
    gateway = redirection.elsewhere(state.session, connection, request.local.address)
    if gateway is not None:
        established = redirection.leaving(established, gateway, now)
    else:
        established = wanted.adopt(established)
    return Step(established, (*actions, report, *_child_reports(session, connection, outcome)))


def _mobike(state: InstallingFirst) -> tuple[Notify, ...]:
    """Return what we say of MOBIKE to a peer that has asked for it (RFC 4555 §3.2)."""
    request = state.request
    if not mobike.is_supported(request.message):
        return ()
    path = request.local, request.peer
    return mobility.announce(state.session, request.connection, path)


def _child_reports(
    session: Session, connection: Connection, outcome: ChildOutcome
) -> tuple[Action, ...]:
    if outcome.child is None:
        return _failure_report(session, connection, outcome.failure)
    child = outcome.child.sa
    suite = esp_words(child.suite)
    return (session.report(ChildEstablished(connection.name, child, suite)),)


def _failure_report(
    session: Session, connection: Connection, failure: str | None
) -> tuple[Action, ...]:
    return (session.report(ChildFailed(connection.name, failure)),) if failure else ()

# SPDX-License-Identifier: Apache-2.0
"""Several may answer our IKE_SA_INIT; the first to prove its identity is the peer (RFC 7296 §2.4).

Anybody who saw the request can forge an answer that comes before the peer's. So each answer becomes
a branch with keys and an IKE_AUTH request of its own, and none that fails ends the others.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias, TypeVar

from ikeway.ike import ending
from ikeway.ike.eap_states import AwaitEapProof
from ikeway.ike.exchanges import (
    ike_intermediate_initiator,
    ike_sa_init,
    ike_sa_init_initiator,
    ike_session_resume,
)
from ikeway.ike.io import (
    Action,
    AddChild,
    AddressesChanged,
    Answered,
    CheckLiveness,
    CloseChild,
    Disconnect,
    Input,
    PeerSeen,
    Received,
    Rekey,
    Report,
    Retire,
    SendAway,
    Spent,
    Synchronize,
    TimerFired,
)
from ikeway.ike.reports import Closed, Dropped, Warned
from ikeway.ike.states import (
    AwaitAuthResponse,
    AwaitInitResponse,
    AwaitIntermediateResponse,
    Branch,
    Candidates,
    CheckingResponder,
    Deleting,
    Established,
    Gone,
    Lingering,
    SigningRequest,
    State,
    Step,
)
from ikeway.ike.timers import ANOTHER_ANSWER
from ikeway.model.errors import PeerError
from ikeway.model.time import Instant
from ikeway.wire.message import Header
from ikeway.wire.payloads import Delete
from ikeway.wire.registry import ProtocolId

ANSWERS_MOST: Final = 4
"""How many answers are followed up: each costs a key exchange and draws a request."""

MayBeUp: TypeAlias = AwaitAuthResponse | CheckingResponder | AwaitEapProof
"""The states in which the peer may have let us in."""

Advance = Callable[[State, Input, Instant], Step]


def answered(state: AwaitInitResponse, received: Received, now: Instant) -> Step:
    """Take an answer to our IKE_SA_INIT request; the first that fits makes us `Candidates`."""
    if not _is_answer(received.header):
        return _drop(state, received, "not an answer to our IKE_SA_INIT")
    name = _name(received)
    result = ike_sa_init_initiator.conclude(state, received, name, now)
    if isinstance(result, Step):
        return result
    return _follow(Candidates(state, (), ()), result, received, now)


def advance(state: Candidates, event: Input, now: Instant, inner: Advance) -> Step:
    """Take an input while several may be the peer; `inner` is what moves one branch."""
    match event:
        case Received() if _is_answer(event.header):
            return _another(state, event, now)
        case Received():
            return _received(state, event, now, inner)
        case Answered():
            return _move(state, event, now, inner, lambda branch: _asked(branch, event))
        case TimerFired():
            step = _move(state, event, now, inner, lambda _: True)
            return _end_if_due(step, now)
        case Disconnect(reason):
            return _disconnect(state, reason, now)
        case (
            CheckLiveness()
            | Rekey()
            | Synchronize()
            | Spent()
            | AddChild()
            | CloseChild()
            | SendAway()
            | PeerSeen()
            | AddressesChanged()
            | Retire()
        ):
            return Step(state)


def _is_answer(header: Header) -> bool:
    return (
        header.is_response
        and header.exchange in {ike_sa_init.TYPE, ike_session_resume.TYPE}
        and header.message_id == 0
        and not header.is_from_initiator
    )


def _name(received: Received) -> bytes:
    return hashlib.sha256(received.datagram.octets).digest()[:16]


# Answers ------------------------------------------------------------------------------------------


def _another(state: Candidates, received: Received, now: Instant) -> Step:
    """Take an answer after the first: one that the peer may have sent as well."""
    name = _name(received)
    if name in state.seen:
        return _drop(state, received, "an answer to our IKE_SA_INIT that was there before")
    if len(state.seen) >= ANSWERS_MOST:
        return _drop(state, received, f"more than {ANSWERS_MOST} answers to our IKE_SA_INIT")
    result = ike_sa_init_initiator.conclude(state.asked, received, name, now)
    if isinstance(result, ike_sa_init_initiator.Agreement):
        return _follow(state, result, received, now)
    asked = result.state
    if isinstance(asked, Gone):
        return _drop(state, received, "a redirect after another answer")
    if isinstance(asked, AwaitInitResponse) and asked.attempt.tries > state.asked.attempt.tries:
        return Step(replace(state, asked=asked), result.actions)
    return Step(state, result.actions)


def _follow(
    state: Candidates,
    agreement: ike_sa_init_initiator.Agreement,
    received: Received,
    now: Instant,
) -> Step:
    """Ask more of one who answered: IKE_INTERMEDIATE where that was agreed on, else IKE_AUTH.

    A second answer that makes the keys of the first is not followed: another request under these
    keys would repeat their IVs (RFC 5282 §3.1). To make one it is enough to copy the first with a
    bit changed where no key comes from; X25519 ignores one of the public value, too (RFC 7748 §5),
    and both points of one x have one secret (RFC 5903 §7).
    """
    seen = (*state.seen, _name(received))
    key = agreement.session.keyring.keys.sk_ei
    if key in state.sealed_with:
        return _drop(replace(state, seen=seen), received, "an answer that makes known keys")
    connection = state.connection
    try:
        step = ike_intermediate_initiator.begin(connection, agreement, state.asked.wish, now)
    except PeerError as error:
        step = ending.give_up(state, connection.name, str(error))
    after = replace(state, seen=seen, sealed_with=(*state.sealed_with, key))
    return _settle(after, (*state.branches, step.state), step.actions, now)


# Branches -----------------------------------------------------------------------------------------


def _asked(branch: Branch, event: Answered) -> bool:
    return branch.session.branch == event.ticket.branch


def _received(state: Candidates, event: Received, now: Instant, inner: Advance) -> Step:
    """Take a message of one branch: the one whose keys fit, should SPIs be alike."""
    last = _drop(state, event, "the SPIs are of another IKE SA")
    for branch in state.branches:
        if branch.session.link.spi_r != event.header.spi_r:
            continue
        step = inner(branch, event, now)
        if step.state is not branch:
            return _settle(state, _swap(state, branch, step.state), step.actions, now)
        last = Step(state, step.actions)
    return last


def _swap(state: Candidates, old: Branch, new: State) -> tuple[State, ...]:
    return tuple(new if branch is old else branch for branch in state.branches)


def _move(
    state: Candidates,
    event: Input,
    now: Instant,
    inner: Advance,
    concerns: Callable[[Branch], bool],
) -> Step:
    """Give an input to the branches that it concerns."""
    after: list[State] = []
    actions: list[Action] = []
    for branch in state.branches:
        step = inner(branch, event, now) if concerns(branch) else Step(branch)
        after.append(step.state)
        actions += step.actions
    return _settle(state, tuple(after), tuple(actions), now)


def _settle(
    state: Candidates, after: tuple[State, ...], actions: tuple[Action, ...], now: Instant
) -> Step:
    """Return where the branches lead: to the one that proved itself, or to waiting for another."""
    proven = next((branch for branch in after if isinstance(branch, Established)), None)
    if proven is not None:
        return Step(proven, actions)
    kept = tuple(branch for branch in after if isinstance(branch, Branch))
    failure, said = _failures(state, actions)
    if any(_may_prove(branch) for branch in kept):
        return Step(replace(state, branches=kept, failure=failure, until=None), said)
    anew = ike_sa_init_initiator.give_up_ticket(state.asked, failure, now)
    if anew is not None:
        return replace(anew, actions=(*said, *anew.actions))
    until = now + (ANOTHER_ANSWER.length or 0.0) if state.until is None else state.until
    return Step(replace(state, branches=kept, failure=failure, until=until), said)


def _may_prove(branch: Branch) -> bool:
    return not isinstance(branch, Deleting | Lingering)


def _failures(state: Candidates, actions: tuple[Action, ...]) -> tuple[str, tuple[Action, ...]]:
    """Return why the last branch failed; the end of a branch is not the end of the IKE SA."""
    failure, said = state.failure, list[Action]()
    for action in actions:
        if isinstance(action, Report) and isinstance(action.event, Closed):
            failure = action.event.reason
            said.append(Report(action.sa, Warned(f"this answer leads nowhere: {failure}")))
        else:
            said.append(action)
    return failure, tuple(said)


# INITIAL_CONTACT ----------------------------------------------------------------------------------


Unsaid: TypeAlias = AwaitInitResponse | AwaitIntermediateResponse | SigningRequest
"""The states in which IKE_AUTH is not asked yet."""
Starting = TypeVar("Starting", bound=Unsaid)


def without_initial_contact(
    state: AwaitInitResponse | Candidates,
) -> AwaitInitResponse | Candidates:
    """Return the state of an IKE SA that is not the only one with its peer (§2.4)."""
    if isinstance(state, AwaitInitResponse):
        return _silent(state)
    branches = (_silent(b) if isinstance(b, Unsaid) else b for b in state.branches)
    return replace(state, asked=_silent(state.asked), branches=tuple(branches))


def _silent(state: Starting) -> Starting:
    return replace(state, connection=replace(state.connection, initial_contact=False))


# The end ------------------------------------------------------------------------------------------


def _end_if_due(step: Step, now: Instant) -> Step:
    """Give up when no other answer came; a branch that still says goodbye may finish that."""
    state = step.state
    if not isinstance(state, Candidates) or state.until is None or state.until > now:
        return step
    rest = next((branch for branch in state.branches if isinstance(branch, Deleting)), Gone())
    return Step(rest, (*step.actions, _closed(state, state.failure, is_failure=True)))


def _disconnect(state: Candidates, reason: str, now: Instant) -> Step:
    """End it because somebody here wants it.

    Who was asked IKE_AUTH may be established with us by now, and send through its Child SA: it is
    told as soon as it has answered (§1.4.1, §2.3). Of several one at most is the peer, and nobody
    knows which.
    """
    closed = _closed(state, reason, is_failure=False)
    asked = [branch for branch in state.branches if isinstance(branch, MayBeUp)]
    if len(asked) != 1:
        return Step(Gone(), (closed,))
    end = (Delete(ProtocolId.IKE, 0, ()),)
    step = ending.tell(asked[0].session, state.connection, end, now)
    return Step(step.state, (closed, *step.actions))


def _closed(state: Candidates, reason: str, *, is_failure: bool) -> Report:
    return ending.closed(state.link.spi_i, state.connection.name, reason, is_failure=is_failure)


def _drop(state: AwaitInitResponse | Candidates, received: Received, reason: str) -> Step:
    dropped = Dropped(reason, received.datagram.peer)
    return Step(state, (Report(state.link.spi_i, dropped),))

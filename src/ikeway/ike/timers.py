# SPDX-License-Identifier: Apache-2.0
"""Every timer of an IKE SA: name, length, RFC section. The earliest is the one that is set."""

from dataclasses import dataclass
from typing import Final

from ikeway.ike import eap_states, postponing, states
from ikeway.ike.reassembly import TIMEOUT
from ikeway.model.time import Instant, Seconds


@dataclass(frozen=True, slots=True)
class Timer:
    """A row of the table. `length` None is set by the connection."""

    name: str
    length: Seconds | None
    why: str


RETRANSMIT: Final = Timer("retransmit", None, "RFC 7296 §2.1: a request without a response")
HALF_OPEN: Final = Timer("half-open", 30.0, "RFC 7296 §2.6: IKE_AUTH has to come and to end")
EAP: Final = Timer("EAP", 120.0, "RFC 7296 §2.16: people may have to be asked, but not for ever")
PRESSED: Final = Timer("half-open under attack", 10.0, "RFC 8019 §4.1: others wait for the place")
COMPLAINT: Final = Timer(
    "complaint", 2.0, "RFC 7296 §2.21.1: a real answer may follow a forged error"
)
ANOTHER_ANSWER: Final = Timer(
    "another answer", 2.0, "RFC 7296 §2.4: a real answer may follow one that proved nothing"
)
LIVENESS: Final = Timer("liveness", None, "RFC 7296 §2.4: look for signs of the peer's life")
INSTALL: Final = Timer("install", 30.0, "design §4: a data plane that does not answer refuses")
FOLLOWUP: Final = Timer(
    "follow-up", 20.0, "RFC 9370 §2.2.4: the next key exchange of the peer's has to come"
)
KEEPALIVE: Final = Timer("keepalive", None, "RFC 3948 §4: a NAT before us forgets")
REASSEMBLY: Final = Timer(
    "reassembly", TIMEOUT, "RFC 7383 §2.6: fragments that are missing do not come any more"
)
LINGER: Final = Timer("linger", 15.0, "RFC 7296 §2.1: the last response may have been lost")
REPLACED: Final = Timer(
    "replaced", 60.0, "RFC 7296 §2.8: who rekeyed an IKE SA deletes the old one"
)
AGE: Final = Timer("age", None, "RFC 7296 §2.8: an SA is to be rekeyed, or has been used too long")
TIMERS: Final = (
    RETRANSMIT,
    HALF_OPEN,
    PRESSED,
    EAP,
    COMPLAINT,
    ANOTHER_ANSWER,
    LIVENESS,
    INSTALL,
    FOLLOWUP,
    KEEPALIVE,
    REASSEMBLY,
    LINGER,
    REPLACED,
    AGE,
)


def deadline(state: states.State) -> tuple[str, Instant] | None:
    """Return the earliest timer of a state: its name and when it fires."""
    match state:  # the most frequent ones first
        case states.Established():
            return _of_established(state)
        case (
            states.AwaitAuthRequest(expires=at)
            | states.InstallingFirst(expires=at)
            | states.SigningRequest(expires=at)
            | states.CheckingResponder(expires=at)
            | states.AwaitIntermediateRequest(expires=at)
            | eap_states.AnsweringEap(expires=at)
            | eap_states.SigningFirst(expires=at)
            | eap_states.AwaitSecond(expires=at)
            | eap_states.SigningEap(expires=at)
            | eap_states.AskingEap(expires=at)
            | eap_states.AwaitEapResponse(expires=at)
            | eap_states.AwaitEapAuth(expires=at)
            | eap_states.AdmittingUser(expires=at)
            | states.CheckingInitiator(expires=at)
            | states.LeasingAddress(expires=at)
            | states.SigningResponse(expires=at)
        ):
            return HALF_OPEN.name, at
        case states.Candidates():
            return _of_candidates(state)
        case states.Lingering(until=until) | states.Replaced(until=until):
            name = LINGER.name if isinstance(state, states.Lingering) else REPLACED.name
            return name, until
        case states.Gone():
            return None
        case _:
            return _of_peer(state)


def _of_candidates(state: states.Candidates) -> tuple[str, Instant] | None:
    due = [timer for branch in state.branches if (timer := deadline(branch)) is not None]
    if state.until is not None:
        due.append((ANOTHER_ANSWER.name, state.until))
    return min(due, key=lambda timer: timer[1], default=None)


def _of_established(state: states.Established) -> tuple[str, Instant]:
    """Return when the peer is asked once more or anew, an SA is too old, or an install too late."""
    if state.is_provisional:
        return REPLACED.name, state.expires_at
    due = [(INSTALL.name, child.due) for child in state.children if child.due is not None]
    due += [(HALF_OPEN.name, answering.expires) for answering in state.answering]
    due += [(FOLLOWUP.name, theirs.expires) for theirs in state.series.theirs]
    due += [(REASSEMBLY.name, one.until) for one in state.session.fragmentation.incomplete]
    if state.keep_at is not None:
        due.append((KEEPALIVE.name, state.keep_at))
    repetition = _of_peer(state)
    if repetition is not None:
        due.append(repetition)
    elif not state.answering:
        due.append((LIVENESS.name, state.pulse.look_at))
    if state.session.window.may_request and not state.answering:
        due.append((AGE.name, next_age(state)))
    return min(due, key=lambda timer: timer[1])


def _of_peer(
    state: states.AwaitInitResponse
    | states.AwaitIntermediateResponse
    | states.AwaitAuthResponse
    | eap_states.AwaitEapRequest
    | eap_states.AwaitEapProof
    | states.Established
    | states.Deleting,
) -> tuple[str, Instant] | None:
    """Return when the peer is asked once more."""
    if isinstance(state, states.AwaitInitResponse):
        return RETRANSMIT.name, state.attempt.outstanding.due
    due = state.session.window.due
    return None if due is None else (RETRANSMIT.name, due)


def next_age(state: states.Established) -> Instant:
    """Return when the age of the IKE SA or of a Child SA, or a lost one, calls for something."""
    children = [
        min(child.rekey_at, child.expires_at)
        for child in state.children
        if child.is_installed and not child.is_deleting
    ]
    ours = state.wanted.next_at, state.authenticity.next, postponing.next_at(state)
    ends = state.expires_at, state.parting.until
    return min(state.standing.look_at, state.rekey_at, *ends, *ours, *children)

# SPDX-License-Identifier: Apache-2.0
"""Every timer of an IKE SA: name, length, RFC section. The earliest is the one that is set."""

from dataclasses import dataclass
from typing import Final

from ikeway.ike import states
from ikeway.model.time import Instant, Seconds


@dataclass(frozen=True, slots=True)
class Timer:
    """A row of the table. `length` None is set by the connection."""

    name: str
    length: Seconds | None
    why: str


RETRANSMIT: Final = Timer("retransmit", None, "RFC 7296 §2.1: a request without a response")
HALF_OPEN: Final = Timer("half-open", 30.0, "RFC 7296 §2.6: IKE_AUTH has to come and to end")
COMPLAINT: Final = Timer(
    "complaint", 4.0, "RFC 7296 §2.21.1: a real answer may follow a forged error"
)
LIVENESS: Final = Timer("liveness", None, "RFC 7296 §2.4: nothing was heard for that long")
LINGER: Final = Timer("linger", 15.0, "RFC 7296 §2.1: the last response may have been lost")
TIMERS: Final = (RETRANSMIT, HALF_OPEN, COMPLAINT, LIVENESS, LINGER)


def deadline(state: states.State) -> tuple[str, Instant] | None:
    """Return the earliest timer of a state: its name and when it fires."""
    match state:
        case states.AwaitInitResponse(attempt=attempt):
            return RETRANSMIT.name, attempt.outstanding.due
        case (
            states.SigningRequest(expires=at)
            | states.CheckingResponder(expires=at)
            | states.AwaitAuthRequest(expires=at)
            | states.CheckingInitiator(expires=at)
            | states.LeasingAddress(expires=at)
            | states.SigningResponse(expires=at)
            | states.InstallingFirst(expires=at)
        ):
            return HALF_OPEN.name, at
        case states.AwaitAuthResponse(session=session) | states.Deleting(session=session):
            return _retransmit(session)
        case states.Established(session=session, probe_at=probe_at):
            return _retransmit(session) or (LIVENESS.name, probe_at)
        case states.Lingering(until=until):
            return LINGER.name, until
        case states.Gone():
            return None


def _retransmit(session: states.Session) -> tuple[str, Instant] | None:
    outstanding = session.window.outstanding
    return None if outstanding is None else (RETRANSMIT.name, outstanding.due)

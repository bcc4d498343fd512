# SPDX-License-Identifier: Apache-2.0
"""The states of an IKE SA while EAP runs inside IKE_AUTH (RFC 7296 §2.16)."""

from dataclasses import dataclass
from typing import TypeAlias

from ikeway.ike.auth_request import AuthRequest, EapKeys
from ikeway.ike.children import ChildDraft
from ikeway.ike.session import Session, Transcript
from ikeway.ike.signing_scheme import SigningScheme
from ikeway.ike.vouched import Standing
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection, Proof
from ikeway.wire.codec import Body
from ikeway.wire.payloads import IdR


@dataclass(frozen=True, slots=True)
class Responder:
    """Who answers us.

    `standing` is that of the certificate of its AUTH, None where EAP alone has to prove it (RFC
    5998).
    """

    id_r: IdR
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class AnsweringEap:
    """The responder's EAP packet is being answered."""

    session: Session
    transcript: Transcript
    connection: Connection
    child: ChildDraft
    responder: Responder
    expires: Instant


@dataclass(frozen=True, slots=True)
class AwaitEapRequest:
    """We answered an EAP packet and wait for the next one."""

    session: Session
    transcript: Transcript
    connection: Connection
    child: ChildDraft
    responder: Responder


@dataclass(frozen=True, slots=True)
class AwaitEapProof:
    """EAP succeeded and we sent AUTH; so has the responder to."""

    session: Session
    transcript: Transcript
    connection: Connection
    child: ChildDraft
    responder: Responder
    keys: EapKeys


@dataclass(frozen=True, slots=True)
class Applicant:
    """An initiator that EAP is to prove.

    It may turn out to belong to any of `candidates`: all have the identity and the proof that we
    show it. EAP has to end by `until`. Where it comes after another proof, `first` is which.
    """

    request: AuthRequest
    candidates: tuple[Connection, ...]
    until: Instant
    first: Proof | None = None


@dataclass(frozen=True, slots=True)
class SigningFirst:
    """A device is authentic; our proof for it waits for its signature (RFC 4739)."""

    session: Session
    transcript: Transcript
    applicant: Applicant
    scheme: SigningScheme
    expires: Instant


@dataclass(frozen=True, slots=True)
class AwaitSecond:
    """A device and we have proven ourselves; now its user is to (RFC 4739)."""

    session: Session
    transcript: Transcript
    applicant: Applicant
    expires: Instant


@dataclass(frozen=True, slots=True)
class SigningEap:
    """We prove ourselves before EAP begins, and wait for the signature of that."""

    session: Session
    transcript: Transcript
    applicant: Applicant
    scheme: SigningScheme
    expires: Instant


@dataclass(frozen=True, slots=True)
class AskingEap:
    """The next EAP packet is being made; `proof` goes before it."""

    session: Session
    transcript: Transcript
    applicant: Applicant
    proof: tuple[Body, ...]
    expires: Instant


@dataclass(frozen=True, slots=True)
class AwaitEapResponse:
    """We sent an EAP request."""

    session: Session
    transcript: Transcript
    applicant: Applicant
    expires: Instant


@dataclass(frozen=True, slots=True)
class AdmittingUser:
    """The initiator is a user, proven now or before its ticket: may it still come in?"""

    session: Session
    transcript: Transcript
    request: AuthRequest
    expires: Instant


@dataclass(frozen=True, slots=True)
class AwaitEapAuth:
    """We sent EAP Success and wait for AUTH: the request says already who is proven."""

    session: Session
    transcript: Transcript
    request: AuthRequest
    expires: Instant


Hearing: TypeAlias = AwaitSecond | AwaitEapResponse | AwaitEapAuth
"""The states of a responder that waits for more of an initiator."""
AsServer: TypeAlias = SigningFirst | SigningEap | AskingEap | Hearing | AdmittingUser
"""All states of a responder with an initiator that EAP is to prove."""
AsPeer: TypeAlias = AnsweringEap | AwaitEapRequest | AwaitEapProof
"""All states of an initiator that EAP is to prove."""

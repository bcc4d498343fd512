# SPDX-License-Identifier: Apache-2.0
"""The states of an IKE SA, named by what they await. Each holds only what is known then."""

import math
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from ikeway.crypto.offer import Offer
from ikeway.ike.auth_request import AuthRequest
from ikeway.ike.authenticity import Authenticity
from ikeway.ike.children import Child, ChildDraft, Wish
from ikeway.ike.eap_states import AsPeer, AsServer, Hearing
from ikeway.ike.environment import Environment
from ikeway.ike.features.nat_traversal import Nat
from ikeway.ike.invalid_message_id import Complained
from ikeway.ike.io import Action
from ikeway.ike.mobility import Mobility
from ikeway.ike.pace import Pace
from ikeway.ike.parting import NEVER, Parting
from ikeway.ike.pulse import Pulse
from ikeway.ike.resumption import NONE, Resumption
from ikeway.ike.rounds import Round
from ikeway.ike.series import Series
from ikeway.ike.session import Link, Session, Transcript
from ikeway.ike.signing_scheme import SigningScheme
from ikeway.ike.tasks import Answering, Asked, Crossed, Postponed, Rival, Task, Wanted
from ikeway.ike.tickets import Held
from ikeway.ike.trail import Trail
from ikeway.ike.vouched import Standing
from ikeway.ike.window import Outstanding
from ikeway.model.address import Address, Endpoint
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection
from ikeway.wire.codec import Body
from ikeway.wire.message import Message

A = TypeVar("A", bound=Asked)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One IKE_SA_INIT request of ours: all that its response is checked against.

    `solution` is of the cookie's puzzle; `solving` is a cookie whose puzzle is being solved while
    the request goes on (RFC 8019 §7.1.2).
    """

    method: int
    offer: Offer
    nonce: bytes
    cookie: bytes
    tries: int
    outstanding: Outstanding
    solution: bytes = b""
    solving: bytes = b""


@dataclass(frozen=True, slots=True)
class Resuming:
    """We present a ticket (RFC 5723 §4.3.2). `is_over` is when IKE_SA_INIT is asked instead.

    An answer may come all the same: the one that said no may be forged, or slow.
    """

    held: Held
    nonce: bytes
    request: bytes = b""
    is_over: bool = False
    is_answered: bool = False


@dataclass(frozen=True, slots=True)
class AwaitInitResponse:
    """We asked IKE_SA_INIT. `complaint` is an unprotected error that may be forged (§2.21.1).

    `wish` is which Child SA is to come of it first. `resuming` is there where we asked
    IKE_SESSION_RESUME first; until that is over, the attempt is the one that would follow.
    """

    env: Environment
    link: Link
    connection: Connection
    attempt: Attempt
    complaint: str | None = None
    wish: Wish = field(default=Wish())
    resuming: Resuming | None = None
    trail: Trail = field(default=Trail())


@dataclass(frozen=True, slots=True)
class AwaitIntermediateResponse:
    """We asked IKE_INTERMEDIATE (RFC 9242).

    `rounds` are the exchanges that are not done; `offer` is the first one's part of a key exchange.
    `covered` is what AUTH will cover of the request.
    """

    session: Session
    transcript: Transcript
    connection: Connection
    wish: Wish
    rounds: tuple[Round, ...]
    offer: Offer | None
    covered: bytes


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """We know the keys and wait for the signature of our IKE_AUTH request.

    `without_ppk` is the one that counts for a peer that does not know our PPK (RFC 8784 §3).
    """

    session: Session
    transcript: Transcript
    connection: Connection
    child: ChildDraft
    scheme: SigningScheme
    expires: Instant
    without_ppk: bytes = b""


@dataclass(frozen=True, slots=True)
class AwaitAuthResponse:
    """We asked IKE_AUTH."""

    session: Session
    transcript: Transcript
    connection: Connection
    child: ChildDraft


@dataclass(frozen=True, slots=True)
class CheckingResponder:
    """The responder's certificate is being verified."""

    session: Session
    transcript: Transcript
    connection: Connection
    child: ChildDraft
    reply: Message
    expires: Instant


@dataclass(frozen=True, slots=True)
class AwaitIntermediateRequest:
    """We answered IKE_SA_INIT, and these exchanges have to come (RFC 9242)."""

    session: Session
    transcript: Transcript
    candidates: tuple[Connection, ...]
    rounds: tuple[Round, ...]
    expires: Instant


@dataclass(frozen=True, slots=True)
class AwaitAuthRequest:
    """We answered IKE_SA_INIT: a half-open SA. It may belong to any of `candidates`."""

    session: Session
    transcript: Transcript
    candidates: tuple[Connection, ...]
    expires: Instant


Unproven: TypeAlias = AwaitIntermediateRequest | AwaitAuthRequest | Hearing
"""The states in which an initiator sends what it has not proven to be its own."""


@dataclass(frozen=True, slots=True)
class CheckingInitiator:
    """The initiator's certificate is being verified."""

    session: Session
    transcript: Transcript
    request: AuthRequest
    expires: Instant


@dataclass(frozen=True, slots=True)
class LeasingAddress:
    """The initiator is authentic; its virtual addresses are being leased."""

    session: Session
    transcript: Transcript
    request: AuthRequest
    expires: Instant


@dataclass(frozen=True, slots=True)
class ChildOutcome:
    """What became of the first Child SA: what to answer, and the child if there is one."""

    payloads: tuple[Body, ...]
    child: Child | None
    virtual_ips: tuple[Address, ...]
    failure: str | None


@dataclass(frozen=True, slots=True)
class SigningResponse:
    """Our IKE_AUTH response waits for its signature."""

    session: Session
    request: AuthRequest
    outcome: ChildOutcome
    scheme: SigningScheme
    expires: Instant


@dataclass(frozen=True, slots=True)
class InstallingFirst:
    """Our IKE_AUTH response waits until the data plane can receive (§2.8)."""

    session: Session
    request: AuthRequest
    outcome: ChildOutcome
    proof: tuple[Body, ...]
    expires: Instant


@dataclass(frozen=True, slots=True)
class Established:
    """Both identities are proven.

    `pulse` is what is known of the peer's life. `queued` is what we want to ask; what we have asked
    stands in the window; `postponed` was refused for now. `answering` are requests of the peer's
    that wait for the data plane.
    `series` are CREATE_CHILD_SA exchanges that more key exchanges follow (RFC 9370).
    `crossed` and `rival` are rekeys of the peer's that crossed ours. An IKE SA that came of such a
    rekey is provisional until the nonces decide: nothing is changed on it (RFC 7296 §2.8.2).
    `stillborn` are outbound SPIs that the peer deleted before its answer told us of them.
    `authenticity` is how long the proofs of identity count, `pace` how often the peer wants SAs.
    `keep_at` is when a NAT before us needs to see a packet. `wanted` are Child SAs that we keep up.
    `mobility` is what is known of where both sides are. `synchronised` is the last message ID that
    a synchronisation of the peer's began with (RFC 6311 §5.1).
    `standing` is what its identity rests on where that may be taken back.
    `crash_tokens` are the peer's, told in the clear when it has lost this IKE SA (RFC 6290).
    `resumption` is what is known of its ticket (RFC 5723). `parting` is where its client was sent.
    """

    session: Session
    connection: Connection
    local_id: Identity
    peer_id: Identity
    children: tuple[Child, ...]
    virtual_ips: tuple[Address, ...]
    since: Instant
    pulse: Pulse
    keep_at: Instant | None = None
    crash_tokens: tuple[bytes, ...] = ()
    standing: Standing = field(default=Standing())
    queued: tuple[Task, ...] = ()
    postponed: tuple[Postponed, ...] = ()
    answering: tuple[Answering, ...] = ()
    series: Series = field(default=Series())
    crossed: tuple[Crossed, ...] = ()
    rival: Rival | None = None
    is_provisional: bool = False
    stillborn: tuple[int, ...] = ()
    complained: Complained | None = None
    synchronised: int = -1
    rekey_at: Instant = math.inf
    expires_at: Instant = math.inf
    wanted: Wanted = field(default=Wanted())
    mobility: Mobility = field(default=Mobility())
    authenticity: Authenticity = field(default=Authenticity())
    resumption: Resumption = NONE
    pace: Pace = field(default=Pace())
    parting: Parting = NEVER

    def asking(self, kind: type[A]) -> tuple[A, ...]:
        """Return what we have asked of a kind and have no answer to, the oldest first."""
        asked = (each.asked for each in self.session.window.outstanding)
        return tuple(each for each in asked if isinstance(each, kind))

    def answered(self, answering: Answering, session: Session) -> "Established":
        """Return the state in which a request of the peer's waits no more."""
        left = tuple(each for each in self.answering if each is not answering)
        return replace(self, session=session, answering=left)


@dataclass(frozen=True, slots=True)
class Replaced:
    """The peer rekeyed this IKE SA and is about to delete it (§2.8)."""

    session: Session
    connection: Connection
    until: Instant


@dataclass(frozen=True, slots=True)
class Deleting:
    """We told the peer that the SA goes and wait for its answer.

    `unsaid` is what it has yet to hear, once it has answered what we asked before (§2.3).
    """

    session: Session
    connection: Connection
    unsaid: tuple[Body, ...] = ()


@dataclass(frozen=True, slots=True)
class Lingering:
    """The SA is gone; only a repeated last request of the peer still gets its answer (§2.1).

    Each repetition makes it wait for another one, but never longer than until `at_most`.
    """

    session: Session
    until: Instant
    at_most: Instant


@dataclass(frozen=True, slots=True)
class Gone:
    """Nothing is left."""


Branch: TypeAlias = (
    AwaitIntermediateResponse
    | SigningRequest
    | AwaitAuthResponse
    | CheckingResponder
    | AsPeer
    | Deleting
    | Lingering
)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Our IKE_SA_INIT was answered, perhaps not by the peer only (§2.4).

    Each answer is a branch until one proves its identity; `seen` names all that came, and
    `sealed_with` the keys of our requests to those that were followed. Once no branch can prove any
    more, `failure` says why, and another answer may come until `until`.
    """

    asked: AwaitInitResponse
    branches: tuple[Branch, ...]
    seen: tuple[bytes, ...]
    sealed_with: tuple[Secret, ...] = ()
    failure: str = ""
    until: Instant | None = None

    @property
    def link(self) -> Link:
        """Which IKE SA this is; its SPIr is not known yet."""
        return self.asked.link

    @property
    def connection(self) -> Connection:
        """The connection that we want."""
        return self.asked.connection


State: TypeAlias = (
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
    | Deleting
    | Lingering
    | Gone
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an IKE SA is, and what it knows of that: for the one that takes its Child SAs."""

    local: Endpoint
    peer: Endpoint
    nat: Nat
    mobility: Mobility
    keep_at: Instant | None


@dataclass(frozen=True, slots=True)
class Offspring:
    """What goes to another IKE SA: one that begins, or more Child SAs for one that is there."""

    spi: bytes
    begins: State | None
    children: tuple[Child, ...] = ()
    queued: tuple[Task, ...] = ()
    connection: str = ""
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What an input leads to."""

    state: State
    actions: tuple[Action, ...] = ()
    offspring: tuple[Offspring, ...] = ()

    def then(self, *actions: Action) -> "Step":
        """Return the step with more actions at its end."""
        return replace(self, actions=self.actions + actions)

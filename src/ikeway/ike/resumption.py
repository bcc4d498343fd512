# SPDX-License-Identifier: Apache-2.0
"""Asking for tickets and giving them (RFC 5723 §4.1, §4.2, §6.2)."""

from dataclasses import dataclass, replace
from typing import Final

from ikeway.crypto.ticket_seal import NONCE_OCTETS
from ikeway.ike import proof, tickets
from ikeway.ike.auth_request import AuthRequest
from ikeway.ike.session import Session
from ikeway.ike.shape import need
from ikeway.ike.tasks import Inform
from ikeway.ike.tickets import Held, Past
from ikeway.model.identity import Identity
from ikeway.model.time import Instant, Seconds
from ikeway.policy.connection import Connection, Proof
from ikeway.wire.message import Message
from ikeway.wire.payloads import Authentication, IdI, Notify
from ikeway.wire.registry import NotifyType

LIFETIME_MOST: Final[Seconds] = 24 * 3600.0
"""As long as a secret is kept at least after the last ticket that was sealed with it (§6.2)."""
TICKET_OCTETS_MOST: Final = 4096
REVOCABLE: Final = frozenset({Proof.EAP_RADIUS, Proof.EAP_TLS})
"""Of these somebody else says how long they count: a ticket would be a way around that."""
_LIFETIME_OCTETS: Final = 4


@dataclass(frozen=True, slots=True)
class Evidence:
    """How the client's identity was proven, and when: resuming an IKE SA does not renew it.

    `said` is its IDi, which may be another one after EAP.
    """

    proof: Proof
    at: Instant
    said: Identity


@dataclass(frozen=True, slots=True)
class Resumption:
    """What an IKE SA knows of tickets: when we issued the last one, or the one that we hold.

    Without `evidence` there are none. `asks` is whether we are the client.
    """

    evidence: Evidence | None = None
    asks: bool = False
    issued: Instant | None = None
    held: Held | None = None

    def succeeded(self) -> "Resumption":
        """Return what the successor of a rekeyed IKE SA knows: the ticket is not of it (§6.2)."""
        return replace(self, issued=None, held=None)


NONE: Final = Resumption()


@dataclass(frozen=True, slots=True)
class Subject:
    """The IKE SA that a ticket is of, and who is at its ends."""

    session: Session
    connection: Connection
    client: Identity
    gateway: Identity


# As client ----------------------------------------------------------------------------------------


def announce(connection: Connection) -> tuple[Notify, ...]:
    """Return the request for a ticket, if we want one."""
    return (Notify(NotifyType.TICKET_REQUEST),) if connection.resumption else ()


def ask_again(known: Resumption, connection: Connection) -> tuple[Inform, ...]:
    """Return what a client asks on the IKE SA that replaced the one of its ticket (§6.2)."""
    wanted = announce(connection) if known.asks else ()
    return (Inform(wanted),) if wanted else ()


def begin(subject: Subject, reply: Message, now: Instant, *, is_watched: bool) -> Resumption:
    """Return what the client knows once the gateway has proven itself.

    One whose certificate `is_watched` has to show it again: a ticket would be a way around that.
    """
    if is_watched:
        return NONE
    past, connection = subject.session.resumed, subject.connection
    at = past.proven if past else now
    evidence = Evidence(connection.local_auth, at, connection.local_id)
    return learn(Resumption(evidence, asks=connection.resumption), subject, reply, now)


def learn(known: Resumption, subject: Subject, reply: Message, now: Instant) -> Resumption:
    """Return it with the ticket of a response, and all that has to be kept with it (§4.2)."""
    given, evidence = reply.notify(NotifyType.TICKET_LT_OPAQUE), known.evidence
    if given is None or evidence is None or not known.asks:
        return known
    said = float(int.from_bytes(given.data[:_LIFETIME_OCTETS]))
    lifetime = min(said, _lifetime(evidence, subject.connection, now))
    octets, link = given.data[_LIFETIME_OCTETS:], subject.session.link
    if not (lifetime > 0 and 0 < len(octets) <= TICKET_OCTETS_MOST):
        return known
    spi = link.spi_r if link.is_initiator else link.spi_i
    return replace(known, held=Held(octets, _past(evidence, subject, spi, now, lifetime)))


# As gateway ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What a gateway says to a request for a ticket, and what it knows then."""

    payloads: tuple[Notify, ...]
    known: Resumption


def answer_first(session: Session, request: AuthRequest, now: Instant) -> Answer:
    """Return the answer in the last of IKE_AUTH, once the client has proven itself (§4.2)."""
    connection = request.connection
    subject = Subject(session, connection, request.id_i, connection.local_id)
    return answer(Resumption(_evidence(session, request, now)), subject, request.message, now)


def _evidence(session: Session, request: AuthRequest, now: Instant) -> Evidence | None:
    """Return how the client has proven itself; None where it may be taken back: it is watched."""
    past, said = session.resumed, need(request.message, IdI).identity
    if past is not None:
        return Evidence(past.proof, past.proven, past.said)
    if request.standing.is_watched or request.device is not None:
        return None  # a ticket speaks of one proof
    if request.keys is not None:
        by_eap = [proof for proof in request.connection.peer_auth if proof.eap_method]
        return None if REVOCABLE & {*by_eap} else Evidence(by_eap[0], now, said)
    auth = need(request.message, Authentication)
    kind = proof.kind(auth, request.message, request.connection.peer_auth)
    return None if kind is Proof.NULL else Evidence(kind, now, said)


def answer(known: Resumption, subject: Subject, request: Message, now: Instant) -> Answer:
    """Return the ticket, or that there is none, to a peer that asks for one (§4.1)."""
    connection, evidence = subject.connection, known.evidence
    if not connection.resumption or request.notify(NotifyType.TICKET_REQUEST) is None:
        return Answer((), known)
    env = subject.session.env
    lifetime = int(_lifetime(evidence, connection, now)) if evidence else 0
    if evidence is None or known.asks or lifetime <= 0 or not env.tickets.known:
        return Answer((Notify(NotifyType.TICKET_NACK),), known)
    past = _past(evidence, subject, subject.session.sa, now, lifetime)
    made = tickets.write(past, env.tickets.known[0], env.random.octets(NONCE_OCTETS))
    data = lifetime.to_bytes(_LIFETIME_OCTETS) + made
    return Answer((Notify(NotifyType.TICKET_LT_OPAQUE, data),), replace(known, issued=now))


# Both ---------------------------------------------------------------------------------------------


def _past(
    evidence: Evidence, subject: Subject, spi: bytes, now: Instant, lifetime: Seconds
) -> Past:
    """Return what a ticket says that is issued now; `spi` is the gateway's."""
    keyring = subject.session.keyring
    return Past(
        connection=subject.connection.name,
        suite=keyring.suite,
        sk_d=keyring.keys.sk_d,
        id_i=subject.client,
        id_r=subject.gateway,
        said=evidence.said,
        proof=evidence.proof,
        spi=spi,
        proven=evidence.at,
        issued=now,
        expires=now + lifetime,
    )


def _lifetime(evidence: Evidence, connection: Connection, now: Instant) -> Seconds:
    """Return how long a ticket holds: as an IKE SA at most, and while proofs count (§6.2)."""
    lifetimes = connection.lifetimes
    longest = min(connection.ticket_lifetime, LIFETIME_MOST, lifetimes.ike or LIFETIME_MOST)
    if lifetimes.reauth:
        return min(longest, evidence.at + lifetimes.reauth - now)
    return longest

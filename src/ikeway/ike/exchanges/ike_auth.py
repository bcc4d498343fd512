# SPDX-License-Identifier: Apache-2.0
"""IKE_AUTH (RFC 7296 §1.2, §2.15): its shapes, and from proven identities to `Established`."""

from dataclasses import dataclass, field, replace

from ikeway.ike import crash_detection, ending, keepalive, mobility, ppk, window_size
from ikeway.ike.authenticity import Authenticity
from ikeway.ike.children import Child
from ikeway.ike.features import message_id_sync
from ikeway.ike.io import Action
from ikeway.ike.pulse import Pulse
from ikeway.ike.reports import Established as EstablishedReport
from ikeway.ike.resumption import NONE, Resumption
from ikeway.ike.session import Session
from ikeway.ike.shape import Shape, maybe, one, some
from ikeway.ike.states import Established
from ikeway.ike.vouched import Standing
from ikeway.model.address import Address, Endpoint
from ikeway.model.identity import Identity
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection
from ikeway.wire.message import Message
from ikeway.wire.payloads import (
    Authentication,
    Certificate,
    CertificateRequest,
    Configuration,
    Eap,
    IdI,
    IdR,
    Notify,
    SecurityAssociation,
    TsI,
    TsR,
)
from ikeway.wire.registry import ExchangeType

TYPE = ExchangeType.IKE_AUTH
REQUEST = Shape(
    one(IdI),
    some(Certificate),
    some(CertificateRequest),
    maybe(IdR),
    maybe(Authentication),
    maybe(Configuration),
    maybe(SecurityAssociation),
    maybe(TsI),
    maybe(TsR),
)
RESPONSE = Shape(
    one(IdR),
    some(Certificate),
    one(Authentication),
    maybe(Configuration),
    maybe(SecurityAssociation),
    maybe(TsI),
    maybe(TsR),
)
ANOTHER_REQUEST = Shape(one(IdI), maybe(Authentication))
EAP_RESPONSE = Shape(one(IdR), some(Certificate), maybe(Authentication), one(Eap))
EAP_ROUND = Shape(one(Eap))
LAST_REQUEST = Shape(one(Authentication))
LAST_RESPONSE = Shape(
    one(Authentication),
    maybe(Configuration),
    maybe(SecurityAssociation),
    maybe(TsI),
    maybe(TsR),
)


def refusal(reply: Message) -> str | None:
    """Return the error that ends the exchange: one that stands without AUTH (§2.21.2)."""
    if reply.one(Authentication) is not None:
        return None
    errors = [notify.type.name for notify in reply.all(Notify) if notify.type.is_error]
    return errors[0] if errors else None


@dataclass(frozen=True, slots=True)
class Proven:
    """Both identities are proven, the peer's by `message`; what is left is to be `Established`."""

    session: Session
    connection: Connection
    local_id: Identity
    peer_id: Identity
    message: Message
    replaces_others: bool = False
    standing: Standing = field(default=Standing())
    resumption: Resumption = NONE


def establish(
    proven: Proven, children: tuple[Child, ...], virtual_ips: tuple[Address, ...], now: Instant
) -> tuple[Established, Action]:
    """Return the established state and the report of it."""
    connection = proven.connection
    session = window_size.begin(proven.session, connection, proven.message)
    session = _agreed_now(session, connection, proven.message)
    resumed, session = session.resumed, replace(session, resumed=None)
    session = ppk.settled(session)
    random = session.env.random
    aging = tuple(
        child.aging(connection.child(child.name).lifetimes, random, now) for child in children
    )
    proven_at = resumed.proven if resumed else now
    is_client = session.link.is_initiator
    authenticity = Authenticity.begin(connection, random, proven_at, is_client=is_client)
    authenticity = authenticity.heard(connection, proven.message, random, now)
    rekey_at, expires_at = ending.ages(connection, random, now)
    state = Established(
        session=session,
        connection=connection,
        local_id=proven.local_id,
        peer_id=proven.peer_id,
        children=aging,
        virtual_ips=virtual_ips,
        since=now,
        pulse=Pulse.begin(connection, now),
        keep_at=keepalive.due(session, connection, now),
        mobility=mobility.begin(session, connection, proven.message),
        crash_tokens=crash_detection.learn(proven.message),
        rekey_at=rekey_at,
        expires_at=expires_at,
        authenticity=authenticity,
        standing=proven.standing,
        resumption=proven.resumption,
    )
    report = EstablishedReport(
        connection=connection.name,
        local_id=proven.local_id,
        peer_id=proven.peer_id,
        peer=session.link.peer,
        suite=str(session.keyring.suite),
        virtual_ips=virtual_ips,
        replaces_others=proven.replaces_others,
        resumed=resumed.spi if resumed else b"",
    )
    return state, session.report(report)


def _agreed_now(session: Session, connection: Connection, message: Message) -> Session:
    """Return the session with what is agreed on in IKE_AUTH; `message` is the peer's."""
    does_mobike = mobility.learn(connection, message)
    can_sync = message_id_sync.learn(message)
    if not does_mobike and not can_sync:
        return session
    agreed = replace(session.agreed, mobike=does_mobike, message_id_sync=can_sync)
    return replace(session, agreed=agreed)


def moved(session: Session, local: Endpoint, peer: Endpoint) -> Session:
    """Return the session with the path that an authentic message took."""
    link = session.link
    if link.local == local and link.peer == peer:
        return session
    return replace(session, link=replace(session.link, local=local, peer=peer))


def sized(session: Session, connection: Connection) -> Session:
    """Return the session with the fragment size of the connection that it is known to be for."""
    size = session.agreed.fragment_size
    if size is None or connection.fragment_size in {0, size}:
        return session
    agreed = replace(session.agreed, fragment_size=connection.fragment_size)
    return replace(session, agreed=agreed)

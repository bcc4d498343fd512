# SPDX-License-Identifier: Apache-2.0
"""IKE_AUTH (RFC 7296 §1.2, §2.15): its shapes, and from proven identities to `Established`."""

from dataclasses import dataclass, replace

from ikeway.ike import crash_detection, ending, keepalive, mobility, window_size
from ikeway.ike.authenticity import Authenticity
from ikeway.ike.children import Child
from ikeway.ike.features import message_id_sync
from ikeway.ike.io import Action
from ikeway.ike.pulse import Pulse
from ikeway.ike.reports import Established as EstablishedReport
from ikeway.ike.session import Session
from ikeway.ike.shape import Shape, maybe, one, some
from ikeway.ike.states import Established
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
    IdI,
    IdR,
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


@dataclass(frozen=True, slots=True)
class Proven:
    """Both identities are proven, the peer's by `message`; what is left is to be `Established`."""

    session: Session
    connection: Connection
    local_id: Identity
    peer_id: Identity
    message: Message
    replaces_others: bool = False


def establish(
    proven: Proven, children: tuple[Child, ...], virtual_ips: tuple[Address, ...], now: Instant
) -> tuple[Established, Action]:
    """Return the established state and the report of it."""
    connection = proven.connection
    session = window_size.begin(proven.session, connection, proven.message)
    session = mobility.learn(session, connection, proven.message)
    can_sync = message_id_sync.learn(proven.message)
    session = replace(session, agreed=replace(session.agreed, message_id_sync=can_sync))
    random = session.env.random
    state = Established(
        session=session,
        connection=connection,
        local_id=proven.local_id,
        peer_id=proven.peer_id,
        children=tuple(
            child.aging(connection.child(child.name).lifetimes, random, now) for child in children
        ),
        virtual_ips=virtual_ips,
        since=now,
        pulse=Pulse.begin(connection, now),
        keep_at=keepalive.due(session, now),
        mobility=mobility.begin(session, connection, proven.message),
        crash_tokens=crash_detection.learn(proven.message),
        authenticity=Authenticity.begin(connection, random, now),
    )
    report = EstablishedReport(
        connection=connection.name,
        local_id=proven.local_id,
        peer_id=proven.peer_id,
        peer=session.link.peer,
        suite=str(session.keyring.suite),
        virtual_ips=virtual_ips,
        replaces_others=proven.replaces_others,
    )
    return ending.aging(state, now), session.report(report)


def moved(session: Session, local: Endpoint, peer: Endpoint) -> Session:
    """Return the session with the path that an authentic message took."""
    return replace(session, link=replace(session.link, local=local, peer=peer))


def sized(session: Session, connection: Connection) -> Session:
    """Return the session with the fragment size of the connection that it is known to be for."""
    size = session.agreed.fragment_size
    if size is None or not connection.fragment_size:
        return session
    agreed = replace(session.agreed, fragment_size=connection.fragment_size)
    return replace(session, agreed=agreed)

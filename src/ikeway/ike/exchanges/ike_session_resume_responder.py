# SPDX-License-Identifier: Apache-2.0
"""IKE_SESSION_RESUME as its responder (RFC 5723 §4.3.2): a ticket instead of a key exchange."""

from dataclasses import dataclass

from ikeway.ike import features, messages, tickets
from ikeway.ike.environment import Environment
from ikeway.ike.exchanges import ike_sa_init, ike_session_resume
from ikeway.ike.features import Agreed
from ikeway.ike.io import Datagram, Send
from ikeway.ike.nonces import NONCE_OCTETS
from ikeway.ike.reports import MessageReceived, MessageSent
from ikeway.ike.revoked import Revoked
from ikeway.ike.session import Link, Session, Transcript
from ikeway.ike.shape import check_critical, need
from ikeway.ike.states import AwaitAuthRequest, Step
from ikeway.ike.tickets import Past
from ikeway.ike.timers import HALF_OPEN, PRESSED
from ikeway.ike.window import Window
from ikeway.model.errors import AuthenticationError, IntegrityError, MalformedError
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection, Encapsulate, Proof
from ikeway.policy.credentials import identities_equal
from ikeway.wire.message import Message
from ikeway.wire.payloads import Nonce
from ikeway.wire.registry import NotifyType


@dataclass(frozen=True, slots=True)
class Presented:
    """A ticket that may be used, the request that has it, and the connection that it is for."""

    message: Message
    datagram: Datagram
    past: Past
    connection: Connection


def read(env: Environment, revoked: Revoked, datagram: Datagram, now: Instant) -> Presented:
    """Return the ticket of a request, if it may be used.

    Raises:
        PeerError: it may not.
    """
    message = Message.decode(datagram.octets)
    check_critical(message)
    ike_session_resume.REQUEST.check(message)
    ticket = message.notify(NotifyType.TICKET_OPAQUE)
    if ticket is None:
        raise MalformedError("IKE_SESSION_RESUME without a ticket")
    past = tickets.read(env.tickets.known, ticket.data, now)
    revoked.check(past)
    return Presented(message, datagram, past, _connection(env, past, datagram))


def _connection(env: Environment, past: Past, datagram: Datagram) -> Connection:
    """Return the connection of a ticket, which would have to be given today as well (§6.2)."""
    for connection in env.connections:
        if connection.name == past.connection and _still_fits(connection, past, datagram):
            break
    else:
        raise IntegrityError("a ticket of a connection that is not as it was")
    is_by_key = Proof.PSK in {past.proof, connection.local_auth}
    if is_by_key and env.credentials.psk(past.id_r, past.id_i) is None:
        raise AuthenticationError(f"no pre-shared key is for {past.id_i} any more")
    if past.proof is Proof.PUBKEY and not env.credentials.keys_of(past.id_i):
        raise AuthenticationError(f"no public key is for {past.id_i} any more")
    return connection


def _still_fits(connection: Connection, past: Past, datagram: Datagram) -> bool:
    return (
        connection.resumption
        and connection.may_respond
        and connection.peer.matches(datagram.peer.address)
        and connection.local_address in {None, datagram.local.address}
        and connection.peer_id.matches(past.id_i)
        and identities_equal(connection.local_id, past.id_r)
        and past.proof in connection.peer_auth
        and any(spec.allows(past.suite) for spec in connection.ike)
    )


def respond(
    env: Environment, presented: Presented, spi_r: bytes, now: Instant, *, is_pressed: bool = False
) -> Step:
    """Answer a request whose ticket may be used, and become half open.

    Raises:
        IntegrityError: its packets could not be carried.
    """
    message, datagram, past = presented.message, presented.datagram, presented.past
    connection, peer = presented.connection, datagram.peer
    link = Link(message.header.spi_i, spi_r, False, datagram.local, peer)
    nonces = need(message, Nonce).data, env.random.octets(NONCE_OCTETS)
    context = ike_sa_init.context(link, spi_r, connection)
    head = messages.header(link, ike_session_resume.TYPE, 0, is_response=True)
    reply = Message(head, (Nonce(nonces[1]), *features.answer(message, context)))
    octets = reply.encode()
    zero = ike_sa_init.context(link, ike_sa_init.ZERO_SPI, connection)
    agreed = features.learn(message, zero)
    _check_traversal(connection, agreed)
    keyring = ike_session_resume.keyring(past, link, nonces)
    session = Session(env, link, spi_r, keyring, Window(expected=1), agreed, resumed=past)
    transcript = Transcript(datagram.octets, octets, *nonces)
    expires = now + ((PRESSED if is_pressed else HALF_OPEN).length or 0.0)
    return Step(
        AwaitAuthRequest(session, transcript, (connection,), expires),
        (
            Send(datagram.local, peer, octets),
            session.report(MessageReceived(message, peer, len(datagram.octets))),
            *ike_sa_init.chosen(session, connection),
            session.report(MessageSent(reply, peer, len(octets))),
        ),
    )


def _check_traversal(connection: Connection, agreed: Agreed) -> None:
    """Check that ESP can go into UDP where it has to (RFC 7296 §2.23).

    Raises:
        IntegrityError: the peer says nothing of NATs, as it would in IKE_SA_INIT.
    """
    # INTEROP libreswan: 5.2 leaves NAT detection out of IKE_SESSION_RESUME.
    if connection.encapsulate is Encapsulate.ALWAYS and not agreed.nat.is_spoken:
        raise IntegrityError('no NAT traversal with a ticket, and `encapsulation` is "always"')

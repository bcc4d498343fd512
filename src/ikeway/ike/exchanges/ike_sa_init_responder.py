# SPDX-License-Identifier: Apache-2.0
"""IKE_SA_INIT as its responder (RFC 7296 §1.2, §2.7): what strangers may make us compute."""

from dataclasses import dataclass, replace
from typing import Final

from ikeway.crypto.kex import key_exchange
from ikeway.ike import certificate_requests, features, messages, negotiate, redirection
from ikeway.ike.environment import Environment
from ikeway.ike.exchanges import ike_intermediate_responder, ike_sa_init
from ikeway.ike.features import auth_methods, intermediate, multiple_auth, redirect
from ikeway.ike.io import Action, Datagram, Send
from ikeway.ike.keys import Keyring
from ikeway.ike.nonces import NONCE_OCTETS
from ikeway.ike.reports import MessageReceived, MessageSent
from ikeway.ike.session import Link, Session, Transcript
from ikeway.ike.shape import check_critical, need
from ikeway.ike.states import Step
from ikeway.ike.timers import HALF_OPEN, PRESSED
from ikeway.ike.window import Window
from ikeway.model.errors import ElsewhereError, NoProposalError
from ikeway.model.secret import Secret
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection, UsePpk
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange, Nonce, Notify, SecurityAssociation
from ikeway.wire.registry import KeMethod

AUTHORITIES_MOST: Final = 12
"""How many authorities our answer names: it goes to somebody whose address is not proven (§2.6)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that we can answer: our choice, and the connections that it may belong to.

    `likely` is what it is taken for until IKE_AUTH.
    """

    message: Message
    datagram: Datagram
    choice: negotiate.Choosing
    candidates: tuple[Connection, ...]
    likely: Connection


def respond(
    env: Environment, datagram: Datagram, spi_r: bytes, now: Instant, *, is_pressed: bool = False
) -> Step:
    """Answer a request and become half open; not for long where others wait for the place.

    Raises:
        PeerError: the request is answered with an error or dropped, and no state is kept.
    """
    asked = _consider(env, datagram)
    exchange = need(asked.message, KeyExchange)
    negotiate.check_key_exchange(asked.choice.ike.ke, exchange)
    public, shared = key_exchange(asked.choice.ike.ke).answer(env.random, exchange.data)
    spi_i = asked.message.header.spi_i
    link = Link(spi_i, spi_r, False, datagram.local, datagram.peer)
    payloads = _answer(env, asked, link, public)
    expires = now + ((PRESSED if is_pressed else HALF_OPEN).length or 0.0)
    return _half_open(env, asked, link, (payloads, shared), expires)


def _consider(env: Environment, datagram: Datagram) -> Asked:
    candidates = _candidates(env, datagram)
    message = Message.decode(datagram.octets)
    check_critical(message)
    ike_sa_init.REQUEST.check(message)
    method = need(message, KeyExchange).method
    offered = need(message, SecurityAssociation)
    if not intermediate.learn(message):
        offered = negotiate.without_additional(offered)
    choice = _choose(offered, candidates, method)
    suite = choice.ike
    fitting = tuple(c for c in candidates if any(spec.allows(suite) for spec in c.ike))
    gateway = redirection.of_all(fitting, message, datagram.local.address)
    if gateway is not None:
        named = redirect.data(gateway, need(message, Nonce).data)
        raise ElsewhereError(f"it is sent to {gateway}", named)
    return Asked(message, datagram, choice, fitting, _likely(fitting))


def _likely(candidates: tuple[Connection, ...]) -> Connection:
    """Return the connection that it may well be; a PPK is spoken of where any of them wants one.

    Which one it is shows in IKE_AUTH, and so does whether its PPK is known (RFC 8784 §3).
    """
    first = candidates[0]
    wanted = next((each.ppk for each in candidates if each.ppk is not UsePpk.OFF), UsePpk.OFF)
    return first if first.ppk is wanted else replace(first, ppk=wanted)


def _candidates(env: Environment, datagram: Datagram) -> tuple[Connection, ...]:
    """Return the connections that a request may belong to, those closest to its address first.

    So a peer with a connection of its own gets its proposals, not those of `any`.
    """
    address = datagram.peer.address
    found = [
        connection
        for connection in env.connections
        if connection.may_respond
        and connection.peer.matches(address)
        and connection.local_address in {None, datagram.local.address}
    ]
    if not found:
        raise NoProposalError(f"no connection is configured for {address}")
    return tuple(sorted(found, key=lambda each: each.peer.exactness(address), reverse=True))


def _choose(
    offered: SecurityAssociation, candidates: tuple[Connection, ...], method: int
) -> negotiate.Choosing:
    for connection in candidates:
        try:
            return negotiate.choose(offered, connection.ike, prefer_ke=method)
        except NoProposalError:
            continue
    raise NoProposalError(f"no common proposal; the peer offers {negotiate.describe(offered)}")


def _answer(env: Environment, asked: Asked, link: Link, public: bytes) -> tuple[Body, ...]:
    """Return the payloads. Features that the request does not have are not answered either."""
    context = ike_sa_init.context(link, link.spi_r, asked.likely)
    return (
        asked.choice.answer(b""),
        KeyExchange(KeMethod(asked.choice.ike.ke), public),
        Nonce(env.random.octets(NONCE_OCTETS)),
        *features.answer(asked.message, context),
        *multiple_auth.announce(asked.candidates),
        *_methods_later(asked),
        *certificate_requests.ask(env, asked.candidates, AUTHORITIES_MOST),
    )


def _half_open(
    env: Environment,
    asked: Asked,
    link: Link,
    made: tuple[tuple[Body, ...], Secret],
    expires: Instant,
) -> Step:
    (payloads, shared), datagram = made, asked.datagram
    reply, octets = _reply(asked, link, payloads)
    nonces = need(asked.message, Nonce).data, need(reply, Nonce).data
    spis = link.spi_i, link.spi_r
    keyring = Keyring.derive(asked.choice.ike, shared, nonces, spis, is_initiator=False)
    zero = ike_sa_init.context(link, ike_sa_init.ZERO_SPI, asked.likely)
    agreed = features.learn(asked.message, zero)
    session = Session(env, link, link.spi_r, keyring, Window(expected=1), agreed)
    transcript = Transcript(datagram.octets, octets, *nonces)
    return Step(
        ike_intermediate_responder.wait(session, transcript, asked.candidates, expires),
        (
            Send(datagram.local, datagram.peer, octets),
            *_reports(session, asked, reply, len(octets)),
        ),
    )


def _reply(asked: Asked, link: Link, payloads: tuple[Body, ...]) -> tuple[Message, bytes]:
    """Return the answer, with what is said unasked if the request was long enough for that.

    A longer answer would be a weapon in the hands of one who forges the sender of requests.
    """
    head = messages.header(link, ike_sa_init.TYPE, 0, is_response=True)
    context = ike_sa_init.context(link, link.spi_r, asked.likely)
    unasked, methods = features.unasked(asked.message, context), _methods(asked)
    for extra in dict.fromkeys((unasked + methods, unasked, methods)):
        if not extra:
            continue
        reply = Message(head, payloads + extra)
        octets = reply.encode()
        if len(octets) <= len(asked.datagram.octets):
            return reply, octets
    # DEVIATION RFC 6023 §3: a request too short for the notify does not get it.
    reply = Message(head, payloads)
    return reply, reply.encode()


def _methods(asked: Asked) -> tuple[Notify, ...]:
    """Return which methods of AUTH we accept, unless IKE_INTERMEDIATE says so (RFC 9593 §3.1)."""
    whole = auth_methods.announce(asked.candidates)
    return () if asked.choice.ike.additional else whole


def _methods_later(asked: Asked) -> tuple[Notify, ...]:
    has_list = asked.choice.ike.additional and auth_methods.announce(asked.candidates)
    return auth_methods.LATER if has_list else ()


def _reports(session: Session, asked: Asked, reply: Message, octets: int) -> tuple[Action, ...]:
    datagram = asked.datagram
    return (
        session.report(MessageReceived(asked.message, datagram.peer, len(datagram.octets))),
        *ike_sa_init.chosen(session, asked.candidates[0]),
        session.report(MessageSent(reply, datagram.peer, octets)),
    )

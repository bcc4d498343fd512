# SPDX-License-Identifier: Apache-2.0
"""The first Child SA, which IKE_AUTH sets up along with the IKE SA (RFC 7296 §1.2, §2.9, §2.19)."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from ikeway.ike import configuration, narrow, negotiate, spending
from ikeway.ike.children import Child, ChildDraft, Seed, Terms, build
from ikeway.ike.environment import Environment
from ikeway.ike.io import Leased
from ikeway.ike.session import Link, Session, Transcript
from ikeway.ike.shape import need
from ikeway.ike.states import AuthRequest, ChildOutcome
from ikeway.model.address import Address, Endpoint
from ikeway.model.errors import (
    ConfigurationRequiredError,
    Ends,
    InternalAddressError,
    NoProposalError,
    PeerError,
    SelectorsError,
)
from ikeway.model.esp import Encapsulation
from ikeway.model.selectors import Selectors, TrafficSelector
from ikeway.policy.connection import Connection, resolve_selectors
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Configuration, Notify, SecurityAssociation, TsI, TsR
from ikeway.wire.payloads.traffic_selectors import TrafficSelectors
from ikeway.wire.registry import NotifyType

SPI_OCTETS = 4
NEVER_ASKED: Final = frozenset({NotifyType.USE_TRANSPORT_MODE, NotifyType.IPCOMP_SUPPORTED})
"""What changes a Child SA, and what we do not ask for: packets would not be understood."""

_EVERYTHING: dict[int, IPv4Network | IPv6Network] = {
    4: ip_network("0.0.0.0/0"),
    6: ip_network("::/0"),
}


def encapsulation(session: Session) -> Encapsulation:
    """Return what carries the ESP of this IKE SA (§2.23)."""
    return Encapsulation.UDP if session.agreed.nat.is_present else Encapsulation.NONE


# Initiator ----------------------------------------------------------------------------------------


def draft(env: Environment, connection: Connection, link: Link) -> ChildDraft:
    """Return the Child SA that we ask for.

    Where we ask for addresses, `dynamic` is everything of their families: the answer narrows it.
    """
    local = _dynamic(connection, link)
    peer = resolve_selectors(connection.peer_ts, (link.peer.address,))
    return ChildDraft(env.new_esp_spi(), local, peer)


def _dynamic(connection: Connection, link: Link) -> Selectors:
    if not connection.virtual_ips:
        return resolve_selectors(connection.local_ts, (link.local.address,))
    versions = dict.fromkeys(address.version for address in connection.virtual_ips)
    found: list[TrafficSelector] = []
    for template in connection.local_ts:
        if template.network is not None:
            found += template.resolve(())
        else:
            found += [
                TrafficSelector.of(_EVERYTHING[version], template.protocol, template.ports)
                for version in versions
            ]
    return tuple(found)


def request(connection: Connection, child: ChildDraft) -> tuple[Body, ...]:
    """Return CP, SA, TSi and TSr of our IKE_AUTH request; CP comes before SA (§2.19)."""
    return (
        *configuration.request(connection.virtual_ips),
        negotiate.offer(connection.esp, child.spi_in.to_bytes(SPI_OCTETS), with_ke=False),
        TsI(child.offered_i),
        TsR(child.offered_r),
    )


@dataclass(frozen=True, slots=True)
class Granted:
    """The Child SA that the responder granted, and what it assigned to us."""

    child: Child
    assigned: configuration.Assigned


def conclude(
    session: Session,
    transcript: Transcript,
    connection: Connection,
    child: ChildDraft,
    reply: Message,
) -> Granted:
    """Return the Child SA that an IKE_AUTH response grants.

    Raises:
        PeerError: it grants none, or not what we asked for.
    """
    _check_granted(reply)
    chosen = negotiate.check_choice(
        need(reply, SecurityAssociation), connection.esp, with_ke=False, spi_octets=SPI_OCTETS
    )
    assigned = configuration.accept(reply.one(Configuration))
    if connection.virtual_ips and not assigned.addresses:
        raise InternalAddressError("we asked for an address and got none")
    local_ts = granted(need(reply, TsI), child.offered_i)
    peer_ts = granted(need(reply, TsR), child.offered_r)
    spi_out = peer_spi(chosen)
    terms = Terms(
        child.spi_in,
        spi_out,
        chosen.esp,
        local_ts,
        peer_ts,
        connection.replay_window,
        spending.limits(connection.lifetimes, chosen.esp, session.env.random),
    )
    return Granted(_child(session, transcript, terms, _path(session)), assigned)


def _check_granted(reply: Message) -> None:
    for notify in reply.all(Notify):
        if notify.type.is_error:
            raise SelectorsError(f"the peer refuses the Child SA: {notify.type.name}")
        if notify.type in NEVER_ASKED:
            raise SelectorsError(f"the peer grants {notify.type.name}, which we did not ask for")


def granted(answer: TrafficSelectors, offered: Selectors) -> Selectors:
    """Return the selectors of the answer; one of a type that we do not know was never offered."""
    if len(answer.selectors) != len(answer.parts):
        raise SelectorsError("the answer has selectors that are no address ranges")
    narrow.check_subset(answer.selectors, offered)
    return answer.selectors


def _path(session: Session) -> tuple[Endpoint, Endpoint]:
    return session.link.local, session.link.peer


def peer_spi(chosen: negotiate.Choosing) -> int:
    """Return the peer's inbound SPI from its proposal.

    Raises:
        SelectorsError: it is of the reserved range (RFC 4303 §2.1).
    """
    spi = int.from_bytes(chosen.proposal.spi)
    if spi < 256:
        raise NoProposalError(f"ESP SPI {spi} is reserved")
    return spi


def _child(
    session: Session, transcript: Transcript, terms: Terms, path: tuple[Endpoint, Endpoint]
) -> Child:
    seed = Seed((transcript.nonce_i, transcript.nonce_r), session.link.is_initiator)
    return Child(build(terms, session.keyring, seed, path, encapsulation(session)))


# Responder ----------------------------------------------------------------------------------------


def respond(
    session: Session, transcript: Transcript, request: AuthRequest, leased: Leased | None
) -> ChildOutcome:
    """Return what becomes of the Child SA that an authentic initiator asks for.

    A refusal is an outcome, not an error: the IKE SA comes up without the child (§2.21.2).
    """
    try:
        return _grant(session, transcript, request, leased)
    except PeerError as error:
        if error.ends is Ends.SA:
            raise
        notify = Notify(NotifyType(error.notify), error.data)
        return ChildOutcome((notify,), None, (), str(error))


def _grant(
    session: Session, transcript: Transcript, request: AuthRequest, leased: Leased | None
) -> ChildOutcome:
    connection, message = request.connection, request.message
    asked = message.one(Configuration)
    cp: tuple[Body, ...] = ()
    if leased is not None and asked is not None:
        cp = (configuration.reply(asked, leased),)
    elif connection.pool and connection.require_address_request:
        raise ConfigurationRequiredError("the connection needs a request for an address")
    chosen = negotiate.choose(need(message, SecurityAssociation), connection.esp)
    allowed_i, allowed_r = _allowed(request, leased)
    ts_i = narrow.narrow(need(message, TsI).selectors, allowed_i)
    ts_r = narrow.narrow(need(message, TsR).selectors, allowed_r)
    spi_in, spi_out = session.env.new_esp_spi(), peer_spi(chosen)
    limits = spending.limits(connection.lifetimes, chosen.esp, session.env.random)
    terms = Terms(spi_in, spi_out, chosen.esp, ts_r, ts_i, connection.replay_window, limits)
    child = _child(session, transcript, terms, (request.local, request.peer))
    answer = chosen.answer(spi_in.to_bytes(SPI_OCTETS))
    payloads = (*cp, answer, TsI(ts_i), TsR(ts_r))
    return ChildOutcome(payloads, child, leased.addresses if leased else (), None)


def _allowed(request: AuthRequest, leased: Leased | None) -> tuple[Selectors, Selectors]:
    """Return what the connection allows as TSi and TSr."""
    addresses: tuple[Address, ...] = leased.addresses if leased else (request.peer.address,)
    connection = request.connection
    allowed_i = resolve_selectors(connection.peer_ts, addresses)
    return allowed_i, resolve_selectors(connection.local_ts, (request.local.address,))

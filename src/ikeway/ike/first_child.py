# SPDX-License-Identifier: Apache-2.0
"""The first Child SA, which IKE_AUTH sets up along with the IKE SA (RFC 7296 §1.2, §2.9, §2.19)."""

from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_network

from ikeway.ike import building, child_terms, configuration, ipcomp, narrow, negotiate, siblings
from ikeway.ike.auth_request import AuthRequest
from ikeway.ike.child_terms import Place
from ikeway.ike.children import Child, ChildDraft, Seed, Wish
from ikeway.ike.environment import Environment
from ikeway.ike.questions import Leased
from ikeway.ike.session import Link, Session, Transcript
from ikeway.ike.shape import need
from ikeway.ike.states import ChildOutcome
from ikeway.model.address import Address
from ikeway.model.errors import (
    ConfigurationRequiredError,
    Ends,
    InternalAddressError,
    MalformedError,
    NoProposalError,
    PeerError,
    SelectorsError,
)
from ikeway.model.selectors import Selectors, TrafficSelector
from ikeway.policy.connection import Childless, ChildPolicy, Connection, resolve_selectors
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Configuration, Notify, SecurityAssociation, TsI, TsR
from ikeway.wire.registry import NotifyType

SPI_OCTETS = 4

_EVERYTHING: dict[int, IPv4Network | IPv6Network] = {
    4: ip_network("0.0.0.0/0"),
    6: ip_network("::/0"),
}


def wants_child(request: Message) -> bool:
    """Whether a request asks for a Child SA along with the IKE SA, as all but childless ones do.

    Raises:
        MalformedError: it has some of the payloads for that, but not all (RFC 6023 §5).
    """
    parts = [request.one(body) is not None for body in (SecurityAssociation, TsI, TsR)]
    if any(parts) and not all(parts):
        raise MalformedError("SA, TSi and TSr go together")
    return all(parts)


# Initiator ----------------------------------------------------------------------------------------


def draft(env: Environment, connection: Connection, link: Link, wish: Wish) -> ChildDraft:
    """Return the Child SA that we ask for; a packet that wants it comes first (§2.9).

    Where we ask for addresses, `dynamic` is everything of their families: the answer narrows it.
    """
    policy, *others = connection.wanted(wish.child)
    local = _dynamic(connection, policy, link)
    peer = resolve_selectors(policy.peer_ts, (link.peer.address,))
    local, peer, trigger = narrow.led_by(wish.trigger, local, peer)
    names = tuple(other.name for other in others)
    return ChildDraft(env.new_esp_spi(), local, peer, policy, trigger, names)


def _dynamic(connection: Connection, policy: ChildPolicy, link: Link) -> Selectors:
    if not connection.virtual_ips:
        return resolve_selectors(policy.local_ts, (link.local.address,))
    versions = dict.fromkeys(address.version for address in connection.virtual_ips)
    found: list[TrafficSelector] = []
    for template in policy.local_ts:
        if template.network is not None:
            found += template.resolve(())
        else:
            found += [
                TrafficSelector.of(_EVERYTHING[version], template.protocol, template.ports)
                for version in versions
            ]
    return tuple(found)


def addresses(connection: Connection) -> tuple[Body, ...]:
    """Return CP alone: all that is asked for without a Child SA (RFC 6023 §5)."""
    return configuration.request(connection.virtual_ips)


def request(connection: Connection, child: ChildDraft) -> tuple[Body, ...]:
    """Return CP, SA, TSi and TSr of our IKE_AUTH request; CP comes before SA (§2.19)."""
    return (
        *addresses(connection),
        *child_terms.asked(child.policy),
        *ipcomp.offer(child.policy, child.spi_in),
        *siblings.announce(child.policy),
        negotiate.offer(child.policy.esp, child.spi_in.to_bytes(SPI_OCTETS), with_ke=False),
        TsI(child.offered_i),
        TsR(child.offered_r),
    )


def starts_without(session: Session, connection: Connection) -> bool:
    """Whether we start without a Child SA: if we want to and the responder can (RFC 6023 §3).

    Raises:
        NoProposalError: we have to, and it cannot.
    """
    if connection.childless not in {Childless.PREFER, Childless.FORCE}:
        return False
    if not session.agreed.childless and connection.childless is Childless.FORCE:
        raise NoProposalError("the responder does not take an IKE SA without a Child SA")
    return session.agreed.childless


def assigned(connection: Connection, reply: Message) -> tuple[Address, ...]:
    """Return the addresses that an IKE_AUTH response without a Child SA lends us.

    Raises:
        InternalAddressError: we asked for an address and got none.
    """
    addresses = configuration.accept(reply.one(Configuration)).addresses
    if connection.virtual_ips and not addresses:
        raise InternalAddressError("we asked for an address and got none")
    return addresses


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
    policy = child.policy
    chosen = negotiate.check_choice(
        need(reply, SecurityAssociation), policy.esp, with_ke=False, spi_octets=SPI_OCTETS
    )
    assigned = configuration.accept(reply.one(Configuration))
    if connection.virtual_ips and not assigned.addresses:
        raise InternalAddressError("we asked for an address and got none")
    path = session.link.local, session.link.peer
    place = Place((), (), path, session.agreed.nat)
    scope = child_terms.accept(policy, (child.offered_i, child.offered_r), reply, place)
    seed = _seed(session, transcript)
    made = building.make(session, child.spi_in, chosen, scope, seed, path)
    number = siblings.learn(policy, reply)
    return Granted(Child(made, policy.name, number=number), assigned)


def _check_granted(reply: Message) -> None:
    for notify in reply.all(Notify):
        if notify.type.is_error:
            raise SelectorsError(f"the peer refuses the Child SA: {notify.type.name}")


def _seed(session: Session, transcript: Transcript) -> Seed:
    return Seed((transcript.nonce_i, transcript.nonce_r), session.link.is_initiator)


# Responder ----------------------------------------------------------------------------------------


def respond(
    session: Session, transcript: Transcript, request: AuthRequest, leased: Leased | None
) -> ChildOutcome:
    """Return what becomes of the Child SA that an authentic initiator asks for.

    A refusal is an outcome, not an error: the IKE SA comes up without the child (§2.21.2).
    """
    try:
        if not wants_child(request.message):
            return _without(request, leased)
        if request.connection.childless is Childless.FORCE:
            return _later(request, leased)
        return _grant(session, transcript, request, leased)
    except PeerError as error:
        if error.ends is Ends.SA:
            raise
        notify = Notify(NotifyType(error.notify), error.data)
        return ChildOutcome((notify,), None, (), str(error))


def _without(request: AuthRequest, leased: Leased | None) -> ChildOutcome:
    """Return what a request gets that asks for no Child SA: addresses at most (RFC 6023 §5)."""
    cp = _configuration(request, leased)
    return ChildOutcome(cp, None, leased.addresses if leased else (), None)


def _later(request: AuthRequest, leased: Leased | None) -> ChildOutcome:
    """Return what a request gets whose Child SA is to have an exchange of its own, as all have.

    The initiator may not know of RFC 6023. "Not now" has it ask again; it needs its addresses then.
    """
    without = _without(request, leased)
    not_now = Notify(NotifyType.TEMPORARY_FAILURE)
    return replace(without, payloads=(*without.payloads, not_now))


def comes_later(reply: Message) -> bool:
    """Whether the Child SA that we asked for is to be asked for again, in its own exchange."""
    return reply.notify(NotifyType.TEMPORARY_FAILURE) is not None


def _configuration(request: AuthRequest, leased: Leased | None) -> tuple[Body, ...]:
    asked = request.message.one(Configuration)
    if leased is not None and asked is not None:
        return (configuration.reply(asked, leased),)
    if request.connection.pool and request.connection.require_address_request:
        raise ConfigurationRequiredError("the connection needs a request for an address")
    return ()


def _grant(
    session: Session, transcript: Transcript, request: AuthRequest, leased: Leased | None
) -> ChildOutcome:
    connection, message = request.connection, request.message
    cp = _configuration(request, leased)
    offered = need(message, SecurityAssociation)
    granted = child_terms.grant(
        connection,
        message,
        _place(session, request, leased),
        lambda policy: negotiate.choose(offered, policy.esp),
    )
    chosen, scope = granted.chosen, granted.scope
    spi_in = session.env.new_esp_spi()
    path, seed = (request.local, request.peer), _seed(session, transcript)
    made = building.make(session, spi_in, chosen, scope, seed, path)
    number = siblings.learn(scope.policy, message)
    child = Child(made, scope.policy.name, number=number)
    answer = chosen.answer(spi_in.to_bytes(SPI_OCTETS))
    selectors = child_terms.told(scope)
    told = siblings.announce(scope.policy) if number is not None else ()
    agreed = *granted.notifies, *ipcomp.answer(scope.cpi_out, spi_in), *told
    payloads = (*cp, *agreed, answer, *selectors)
    return ChildOutcome(payloads, child, leased.addresses if leased else (), None)


def _place(session: Session, request: AuthRequest, leased: Leased | None) -> Place:
    """Return what the connection's dynamic selectors stand for."""
    addresses: tuple[Address, ...] = leased.addresses if leased else (request.peer.address,)
    path = request.local, request.peer
    return Place((request.local.address,), addresses, path, session.agreed.nat)

# SPDX-License-Identifier: Apache-2.0
"""MOBIKE in INFORMATIONAL: new addresses, and whether a peer is there (RFC 4555 §3.5-3.9)."""

from dataclasses import dataclass, replace

from ikeway.ike import ending, keepalive, moving, paths
from ikeway.ike.exchanges import informational
from ikeway.ike.exchanges.ike_sa_init import context
from ikeway.ike.features import mobike, nat_traversal
from ikeway.ike.io import Datagram
from ikeway.ike.mobility import RETRIES_MOST
from ikeway.ike.moving import Change
from ikeway.ike.reports import RefusedRequest, Warned
from ikeway.ike.states import Established, Step
from ikeway.ike.tasks import AskedCheck, AskedMove, CheckReturn, Inform, TellAddresses
from ikeway.model.address import Endpoint
from ikeway.model.errors import UnacceptableAddressesError, UnexpectedNatError
from ikeway.model.time import Instant
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

DETECTION = (NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP)

# Asking -------------------------------------------------------------------------------------------


def ask(state: Established, task: TellAddresses | CheckReturn, now: Instant) -> Step:
    """Ask what a move calls for."""
    if isinstance(task, CheckReturn):
        return _check(state, task, now)
    return _tell(state, task, now)


def _tell(state: Established, task: TellAddresses, now: Instant) -> Step:
    """Tell the peer where we are: as the initiator, that all goes over this path from now on."""
    session, mobility = state.session, state.mobility
    path = session.link.local, session.link.peer
    more = mobility.others(state.connection, path[0].address)
    cookie = session.env.random.octets(mobike.OUR_COOKIE_OCTETS)
    payloads: tuple[Body, ...] = (
        *((Notify(NotifyType.UPDATE_SA_ADDRESSES),) if task.is_update else ()),
        *(_detection(state, path) if task.is_update else ()),
        *(mobike.listing(more) if more != mobility.told or not task.is_update else ()),
        *mobike.no_nats(session.agreed.nat, path),
        Notify(NotifyType.COOKIE2, cookie),
    )
    asked = AskedMove(task.is_update, mobility.moves, cookie)
    after = replace(state, mobility=replace(mobility, told=more))
    return informational.send(after, asked, payloads, now)


def _check(state: Established, task: CheckReturn, now: Instant) -> Step:
    """Ask the peer, where it is now or at `task.peer`, for what only somebody there can see."""
    session = state.session
    link, cookie = session.link, session.env.random.octets(mobike.OUR_COOKIE_OCTETS)
    peer = task.peer or link.peer
    there = replace(state, session=replace(session, link=replace(link, peer=peer)))
    asked = AskedCheck(peer, state.mobility.moves, cookie)
    step = informational.send(there, asked, (Notify(NotifyType.COOKIE2, cookie),), now)
    if not isinstance(step.state, Established):
        return step
    here = replace(step.state, session=replace(step.state.session, link=link))
    return Step(here, step.actions)


def liveness(state: Established) -> tuple[Body, ...]:
    """Return what a liveness check says: behind a NAT it also asks how we are seen (§3.8)."""
    agreed, link = state.session.agreed, state.session.link
    if not (agreed.mobike and state.mobility.chooses and agreed.nat.local):
        return ()
    return _detection(state, (link.local, link.peer))


def _detection(state: Established, path: tuple[Endpoint, Endpoint]) -> tuple[Body, ...]:
    """Return our NAT detection payloads for a message over a path, if the peer knows them."""
    if not state.session.agreed.nat.is_spoken:
        return ()
    link = replace(state.session.link, local=path[0], peer=path[1])
    return nat_traversal.announce(context(link, link.spi_r, state.connection))


# Answering ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request leads to, and what the response says of it."""

    change: Change
    payloads: tuple[Body, ...] = ()


def respond(state: Established, message: Message, datagram: Datagram, now: Instant) -> Outcome:
    """Take what a request says of addresses; one that says nothing of them changes nothing.

    Raises:
        MalformedError: a cookie has not its length.
    """
    if not state.session.agreed.mobike:
        return Outcome(Change(state))
    copied = mobike.cookie(message)
    try:
        change = _take(state, message, datagram, now)
    except (UnexpectedNatError, UnacceptableAddressesError) as error:
        notify = Notify(NotifyType(error.notify))
        refused = RefusedRequest(notify.type.name, str(error), datagram.peer)
        return Outcome(Change(state, (state.session.report(refused),)), (notify, *copied))
    detected: tuple[Body, ...] = ()
    if all(message.notify(kind) is not None for kind in DETECTION):
        detected = _detection(change.state, (datagram.local, datagram.peer))
    return Outcome(change, (*detected, *copied))


def _take(state: Established, message: Message, datagram: Datagram, now: Instant) -> Change:
    """Take a list and an update, each if it is the newest (§3.5, §3.6)."""
    is_update = message.notify(NotifyType.UPDATE_SA_ADDRESSES) is not None
    is_update = is_update and not state.mobility.chooses
    has_listing = mobike.has_listing(message)
    if is_update or has_listing:
        mobike.check_no_nats(message, datagram.peer, datagram.local)
    number, mobility = message.header.message_id, state.mobility
    change = Change(state)
    if is_update and number > mobility.newest_update:
        change = _update(state, message, datagram, now)
    if has_listing and number > mobility.newest_list:
        listed = _list(change.state, message, datagram)
        change = Change(listed.state, (*change.actions, *listed.actions))
    return change


def _list(state: Established, message: Message, datagram: Datagram) -> Change:
    """Keep the peer's addresses; the initiator leaves one that is not among them (§3.5)."""
    known = tuple(dict.fromkeys((datagram.peer.address, *mobike.addresses(message))))
    number = message.header.message_id
    mobility = replace(state.mobility, peer_addresses=known, newest_list=number)
    after = replace(state, mobility=mobility)
    link = state.session.link
    if state.mobility.chooses and link.peer.address not in known:
        return Change(after, (paths.look(after, known),))
    return Change(after)


def _update(state: Established, message: Message, datagram: Datagram, now: Instant) -> Change:
    """Put the IKE SA on the path that the request took; its children once the peer is there.

    Raises:
        UnacceptableAddressesError: the connection does not allow it.
    """
    _check_policy(state, datagram)
    mobility = replace(state.mobility, newest_update=message.header.message_id)
    change, link = Change(replace(state, mobility=mobility)), state.session.link
    ends = datagram.local, datagram.peer
    if (link.local, link.peer) != ends:
        change = moving.relink(change.state, *ends, moving.PEER_MOVED, now)
    change = replace(change, state=_with_nat(change.state, message, datagram, now))
    is_known = all(moving.is_there(change.state, child) for child in change.state.children)
    if is_known or not state.connection.return_routability:
        return moving.carry(change)
    return replace(change, state=moving.front(change.state, CheckReturn()))


def _check_policy(state: Established, datagram: Datagram) -> None:
    connection, peer = state.connection, datagram.peer.address
    if not connection.peer.matches(peer):
        raise UnacceptableAddressesError(f"{peer} is none of the peer's addresses")
    if connection.local_address not in {None, datagram.local.address}:
        raise UnacceptableAddressesError(f"{datagram.local.address} is not for this connection")


def _with_nat(
    state: Established, message: Message, datagram: Datagram, now: Instant
) -> Established:
    """Return the state that knows of the NATs on the path of a message (§3.5)."""
    destination = message.notify(NotifyType.NAT_DETECTION_DESTINATION_IP)
    session = state.session
    if destination is None or not session.agreed.nat.is_spoken:
        return state
    link = replace(session.link, local=datagram.local, peer=datagram.peer)
    nat = nat_traversal.learn(message, context(link, link.spi_r, state.connection))
    if not nat.is_spoken:
        return state
    session = replace(session, agreed=replace(session.agreed, nat=nat))
    mobility = replace(state.mobility, mapping=destination.data)
    keep_at = keepalive.due(session, state.connection, now)
    return replace(state, session=session, mobility=mobility, keep_at=keep_at)


# Concluding ---------------------------------------------------------------------------------------


def conclude(
    state: Established,
    asked: AskedMove | AskedCheck | Inform,
    reply: Message,
    datagram: Datagram,
    now: Instant,
) -> Step:
    """Take the response to what a move called for, or to a liveness check."""
    match asked:
        case AskedMove():
            return _told(state, asked, reply, datagram, now)
        case AskedCheck():
            return _checked(state, asked, reply, datagram, now)
        case Inform():
            return _alive(state, reply)


def _told(
    state: Established, asked: AskedMove, reply: Message, datagram: Datagram, now: Instant
) -> Step:
    """Take the response to what we said of our addresses, unless they are others by now (§3.5)."""
    failure = next((n.type for n in reply.all(Notify) if n.type.is_error), None)
    if not _is_right(asked.cookie, reply, is_needed=failure is None):
        return _liar(state, now)
    if asked.moves != state.mobility.moves:
        return Step(state)
    if failure is NotifyType.UNEXPECTED_NAT_DETECTED:
        return _changed_on_the_way(state, asked)
    if failure is NotifyType.UNACCEPTABLE_ADDRESSES:
        return paths.avoid(state, "the peer does not accept our addresses")
    if not asked.is_update or failure is not None:
        return Step(state)
    settled = replace(state, mobility=replace(state.mobility, retries=0))
    return moving.carry(Change(_with_nat(settled, reply, datagram, now))).step


def _checked(
    state: Established, asked: AskedCheck, reply: Message, datagram: Datagram, now: Instant
) -> Step:
    """Take the response to a check: the peer is there, so its traffic may go there (§3.7).

    A check that was sent to several places says nothing of any.
    """
    if not _is_right(asked.cookie, reply, is_needed=True):
        return _liar(state, now)
    if asked.is_void or asked.moves != state.mobility.moves or datagram.peer != asked.peer:
        return Step(state)
    link = state.session.link
    if asked.peer == link.peer:
        return moving.carry(Change(state)).step
    reason = "the peer's traffic comes from elsewhere"
    return moving.carry(moving.relink(state, link.local, asked.peer, reason, now)).step


def _alive(state: Established, reply: Message) -> Step:
    """Take the response to a liveness check: a NAT that sees us elsewhere is news (§3.8)."""
    destination = reply.notify(NotifyType.NAT_DETECTION_DESTINATION_IP)
    if destination is None or not (state.session.agreed.mobike and state.mobility.chooses):
        return Step(state)
    if destination.data == state.mobility.mapping:
        return Step(state)
    return Step(moving.front(state, TellAddresses(is_update=True)))


def _is_right(cookie: bytes, reply: Message, *, is_needed: bool) -> bool:
    notify = reply.notify(NotifyType.COOKIE2)
    return not is_needed if notify is None else notify.data == cookie


def _liar(state: Established, now: Instant) -> Step:
    """End an IKE SA whose peer answers what it cannot have seen (§3.7)."""
    return ending.delete(state, "the peer's COOKIE2 is not ours", now)


def _changed_on_the_way(state: Established, asked: AskedMove) -> Step:
    """Say it again: who changed one packet may not be there any more (§3.9)."""
    mobility = replace(state.mobility, retries=state.mobility.retries + 1)
    if mobility.retries > RETRIES_MOST:
        return paths.avoid(state, "somebody changes our addresses on the way")
    after = replace(state, mobility=mobility)
    said = state.session.report(Warned("our addresses were changed on the way; we say them again"))
    return Step(moving.front(after, TellAddresses(asked.is_update)), (said,))

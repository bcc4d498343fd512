# SPDX-License-Identifier: Apache-2.0
"""Which pair of addresses to use: when ours change, and when nothing comes back (RFC 4555 §3.5).

The initiator chooses (RFC 4555 §2.1); the responder only when its own address is gone.
"""

from dataclasses import replace
from typing import Final

from ikeway.ike import ending, moving
from ikeway.ike.exchanges import informational
from ikeway.ike.features.mobike import ADDRESSES_MOST
from ikeway.ike.io import Action, AddressesChanged, Ask, Datagram
from ikeway.ike.mobility import PROBE_AFTER
from ikeway.ike.moving import Change
from ikeway.ike.questions import FindPaths, Paths
from ikeway.ike.session import Session
from ikeway.ike.states import AwaitInitResponse, Candidates, Established, State, Step
from ikeway.ike.tasks import AskedCheck, AskedMove, TellAddresses
from ikeway.ike.window import Outstanding
from ikeway.model.address import Address, Endpoint, Path
from ikeway.model.time import Instant

LOOK: Final = "paths"
PROBE: Final = "probe"

# Our addresses change -----------------------------------------------------------------------------


def changed(state: State, event: AddressesChanged) -> Step:
    """Take the addresses that the host has now."""
    match state:
        case AwaitInitResponse() | Candidates():
            if state.link.local.address in event.addresses:
                return Step(state)
            reason = f"the host does not have {state.link.local.address} any more"
            return ending.give_up(state, state.connection.name, reason)
        case Established():
            return _established(state, event)
        case _:
            return Step(state)


def _established(state: Established, event: AddressesChanged) -> Step:
    link = state.session.link
    mobility = replace(state.mobility, addresses=event.addresses, avoided=(), probes=())
    after = replace(state, mobility=mobility)
    if state.mobility.chooses or link.local.address not in event.addresses:
        return Step(after, (look(after, _peers(after)),))
    return Step(_listed(after))


def look(state: Established, peers: tuple[Address, ...], purpose: str = LOOK) -> Action:
    """Ask the host for its ways to the peer's addresses."""
    return Ask(state.session.ticket(purpose), FindPaths(peers[:ADDRESSES_MOST]))


def _peers(state: Established) -> tuple[Address, ...]:
    """Return the peer's addresses, the one in use first; without MOBIKE there is no other."""
    known = state.mobility.peer_addresses if state.session.agreed.mobike else ()
    return tuple(dict.fromkeys((state.session.link.peer.address, *known)))


def _listed(state: Established) -> Established:
    """Return the state that tells the peer of our other addresses, if they are not as it knows."""
    more = state.mobility.others(state.connection, state.session.link.local.address)
    if not state.session.agreed.mobike or more == state.mobility.told:
        return state
    return moving.front(state, TellAddresses(is_update=False))


def found(state: Established, given: Paths, now: Instant) -> Step:
    """Take the host's ways: leave for a better path, or stay and see whether all is well."""
    link = state.session.link
    best = _best(state, given)
    if best is None:
        return _nowhere(state, now)
    is_gone = link.local.address not in state.mobility.addresses
    if best != _path(state) and (state.mobility.chooses or is_gone):
        return move(state, best, "our addresses have changed", now).step
    stays = moving.hurry(_listed(state), now)
    if state.session.agreed.nat.local:
        return Step(informational.ask(stays.state, ()), stays.actions)
    return stays.step


def _allowed(state: Established, given: Paths) -> tuple[Path, ...]:
    only = state.connection.local_address
    return tuple(path for path in given.found if only in {None, path.local})


def _best(state: Established, given: Paths) -> Path | None:
    """Return the host's choice among the ways to the address in use, else among all."""
    usable = [path for path in _allowed(state, given) if path not in state.mobility.avoided]
    peer = state.session.link.peer.address
    return next((path for path in usable if path.peer == peer), next(iter(usable), None))


def _nowhere(state: Established, now: Instant) -> Step:
    """Wait for another network, unless all that there is was refused (§3.5)."""
    if _path(state) not in state.mobility.avoided:
        return Step(state)
    return ending.delete(state, "none of our addresses is accepted", now)


def _path(state: Established) -> Path:
    link = state.session.link
    return Path(link.local.address, link.peer.address)


def move(state: Established, path: Path, reason: str, now: Instant) -> Change:
    """Use another path, and tell the peer; its own new address has to prove itself first (§3.7)."""
    session = state.session
    link = session.link
    local = Endpoint(path.local, link.local.port)
    is_same = path.peer == link.peer.address
    peer = link.peer if is_same else Endpoint(path.peer, session.env.nat_port)
    fresh = replace(state, mobility=replace(state.mobility, probes=()))
    change = moving.relink(fresh, local, peer, reason, now)
    if not session.agreed.mobike:
        return moving.carry(replace(change, state=_untold(change.state, now)))
    task = TellAddresses(is_update=state.mobility.chooses)
    told = replace(change, state=moving.front(change.state, task))
    waits = state.mobility.chooses and not is_same and state.connection.return_routability
    return told if waits else moving.carry(told)


def _untold(state: Established, now: Instant) -> Established:
    """Return the state that makes itself known at its new place without MOBIKE.

    The peer may answer there and yet send its traffic to where we were (RFC 7296 §2.23 asks only
    those to follow who know of a NAT before us). An IKE SA from the new place needs no goodwill.
    """
    after = informational.ask(state, ())
    return replace(after, authenticity=after.authenticity.stranded(state.connection, now))


def avoid(state: Established, reason: str) -> Step:
    """Leave a path that the peer does not want, for whatever other the host has (§3.5)."""
    mobility = replace(state.mobility, avoided=(*state.mobility.avoided, _path(state)), retries=0)
    after = replace(state, mobility=mobility)
    said = moving.warned(state, f"{_path(state)}: {reason}")
    return Step(after, (said, look(after, _peers(after))))


# Nothing comes back: path probing (§3.10) ---------------------------------------------------------


def repeated(state: Established, request: Outstanding) -> tuple[Action, ...]:
    """Return what else is done as a request is sent once more: the other paths are tried too."""
    session, probes = state.session, state.mobility.probes
    if not _may_probe(state) or request.sent < PROBE_AFTER:
        return ()
    if not probes:
        return (look(state, _peers(state), PROBE),)
    return _over(session, probes, (request,))


def _may_probe(state: Established) -> bool:
    return state.session.agreed.mobike and state.mobility.chooses


def probe(state: Established, given: Paths) -> Step:
    """Send what has no answer over the other paths as well, with its message ID (§3.5).

    Where that is what we said of our addresses, it has to be said anew afterwards (§3.6).
    """
    window, mobility = state.session.window, state.mobility
    others = [path for path in _allowed(state, given) if path != _path(state)]
    # What failed before may work again; what has not comes first.
    others.sort(key=lambda path: path in mobility.avoided)
    probes = tuple(others[:ADDRESSES_MOST])
    if not probes or not window.outstanding:
        return Step(state)
    after = replace(state, mobility=replace(mobility, probes=probes))
    if state.asking(AskedMove):
        after = moving.unsettled(after)
    return Step(after, _over(state.session, probes, window.outstanding))


def _over(
    session: Session, probes: tuple[Path, ...], asked: tuple[Outstanding, ...]
) -> tuple[Action, ...]:
    """Return the requests as they go over other paths; a check belongs to one place only."""
    link = session.link
    ways = []
    for path in probes:
        peer = link.peer.port if path.peer == link.peer.address else session.env.nat_port
        local = Endpoint(path.local, link.local.port)
        ways.append(replace(link, local=local, peer=Endpoint(path.peer, peer)))
    requests = [each for each in asked if not isinstance(each.asked, AskedCheck)]
    return tuple(action for way in ways for each in requests for action in moving.over(way, each))


def arrived(state: Established, datagram: Datagram, now: Instant) -> Change:
    """Take the path that an answer came over, if it is one that was tried."""
    probes = state.mobility.probes
    if not probes:
        return Change(state)
    taken, current = Path(datagram.local.address, datagram.peer.address), _path(state)
    mobility = replace(state.mobility, probes=())
    if taken == current or taken not in probes:
        return Change(replace(state, mobility=mobility))
    failed = (*(path for path in mobility.avoided if path not in {taken, current}), current)
    mobility = replace(mobility, avoided=failed)
    reason = f"no answer over {current}"
    return move(replace(state, mobility=mobility), taken, reason, now)

# SPDX-License-Identifier: Apache-2.0
"""What a Child SA is for and how it wraps: mode, selectors, notifies (RFC 7296 §1.3.1, §2.9).

TFC padding we take in tunnel mode; in transport mode we could not tell it from payload, and say so
by ESP_TFC_PADDING_NOT_SUPPORTED.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ikeway.ike import ipcomp, later_fragments, narrow, traffic_flow, transport_mode
from ikeway.ike.children import Child, Scope
from ikeway.ike.features.nat_traversal import Nat
from ikeway.ike.negotiate import Choosing
from ikeway.ike.shape import need
from ikeway.model.address import Address, Endpoint
from ikeway.model.errors import NoProposalError, PeerError, SelectorsError
from ikeway.model.esp import Mode
from ikeway.model.selectors import Selectors
from ikeway.model.traffic_flow import TrafficFlow
from ikeway.policy.connection import ChildPolicy, Connection, resolve_selectors
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify, TsI, TsR
from ikeway.wire.payloads.traffic_selectors import TrafficSelectors
from ikeway.wire.registry import NotifyType

_TRANSPORT: Final = (
    Notify(NotifyType.USE_TRANSPORT_MODE),
    Notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where both ends of a Child SA are. `local` and `peer` are what `dynamic` selectors stand for.

    `path` is local and peer, as the IKE packets have them.
    """

    local: tuple[Address, ...]
    peer: tuple[Address, ...]
    path: tuple[Endpoint, Endpoint]
    nat: Nat


def asked(policy: ChildPolicy) -> tuple[Notify, ...]:
    """Return what goes with SA and TS in a request for a Child SA."""
    return *_notifies(policy.mode, policy.traffic_flow), *later_fragments.offer(policy)


def granted(scope: Scope) -> tuple[Notify, ...]:
    """Return what goes with SA and TS in the answer to one."""
    also = later_fragments.answer(is_agreed=scope.later_fragments)
    return *_notifies(scope.mode, scope.traffic_flow), *also


def _notifies(mode: Mode, flow: TrafficFlow) -> tuple[Notify, ...]:
    return _TRANSPORT if mode is Mode.TRANSPORT else traffic_flow.announce(flow)


def told(scope: Scope) -> tuple[TsI, TsR]:
    """Return the selectors of our answer (§2.23.1: as this host sees them)."""
    return TsI(scope.peer_ts), TsR(scope.local_ts)


# The peer asks ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grant:
    """What we grant. `notifies` belong into the answer."""

    scope: Scope
    chosen: Choosing
    notifies: tuple[Notify, ...]


def grant(
    connection: Connection,
    message: Message,
    place: Place,
    choose: Callable[[ChildPolicy], Choosing],
    present: tuple[str, ...] = (),
) -> Grant:
    """Return which Child SA of a connection a request is for, and on what terms.

    One that has the peer's first selectors comes first (§2.9), then one that is not `present` yet.

    Raises:
        PeerError: it is for none.
    """
    found: list[Grant] = []
    errors: list[PeerError] = []
    for policy in connection.child_policies:
        try:
            scope = _extended(_scope(policy, message, place), message)
            found.append(Grant(scope, choose(policy), granted(scope)))
        except PeerError as error:
            errors.append(error)
    if not found:
        raise min(errors, key=lambda error: isinstance(error, SelectorsError))
    if len(found) == 1:
        return found[0]
    best = min(
        found,
        key=lambda one: (not _has_first(one, message), one.scope.policy.name in present),
    )
    if _is_narrowed(best, message):
        more = Notify(NotifyType.ADDITIONAL_TS_POSSIBLE)
        best = replace(best, notifies=(*best.notifies, more))
    return best


def renew(old: Child, connection: Connection, message: Message, place: Place) -> Scope:
    """Return what the successor of a Child SA is for: it keeps the mode and the selectors (§2.9.2).

    Raises:
        PeerError: the peer asks for something else.
    """
    policy = connection.child(old.name)
    if old.sa.mode is Mode.TRANSPORT:
        scope = _scope(replace(policy, mode=Mode.TRANSPORT), message, place)
        return _extended(replace(scope, number=old.number), message)
    ts_i, ts_r = need(message, TsI).selectors, need(message, TsR).selectors
    peer_ts = narrow.narrow(ts_i, old.sa.peer_ts)
    flow = traffic_flow.wanted(policy, Mode.TUNNEL, message)
    local_ts = narrow.narrow(ts_r, old.sa.local_ts)
    scope = Scope(policy, Mode.TUNNEL, local_ts, peer_ts, traffic_flow=flow)
    return _extended(replace(scope, number=old.number), message)


def _extended(scope: Scope, message: Message) -> Scope:
    """Return what is granted, with what both sides want beside it.

    A stream hides how long packets are, which compression tells.
    """
    selectors = *scope.local_ts, *scope.peer_ts
    also = later_fragments.wanted(scope.policy, scope.mode, selectors, message)
    has_stream = scope.traffic_flow.stream is not None
    cpi_out = ipcomp.NONE if has_stream else ipcomp.wanted(scope.policy, message)
    return replace(scope, cpi_out=cpi_out, later_fragments=also)


def _scope(policy: ChildPolicy, message: Message, place: Place) -> Scope:
    ts_i, ts_r = need(message, TsI).selectors, need(message, TsR).selectors
    local = resolve_selectors(policy.local_ts, place.local)
    peer = resolve_selectors(policy.peer_ts, place.peer)
    if policy.mode is Mode.TUNNEL:
        # Whoever asks for transport mode gets an answer without it, which is tunnel mode.
        peer_ts = narrow.narrow(ts_i, peer)
        flow = traffic_flow.wanted(policy, Mode.TUNNEL, message)
        local_ts = narrow.narrow(ts_r, local)
        return Scope(policy, Mode.TUNNEL, local_ts, peer_ts, traffic_flow=flow)
    if message.notify(NotifyType.USE_TRANSPORT_MODE) is None:
        raise NoProposalError(f"{policy.name} is for transport mode, the peer asks for tunnel mode")
    seen = transport_mode.substitute(ts_r, ts_i, place.nat, place.path)
    peer_ts, local_ts = narrow.narrow(seen.peer_ts, peer), narrow.narrow(seen.local_ts, local)
    return Scope(policy, Mode.TRANSPORT, local_ts, peer_ts, seen.original)


def _has_first(one: Grant, message: Message) -> bool:
    """Whether a grant has the first selectors of both sides, which are those of a packet."""
    scope = one.scope
    if scope.mode is Mode.TRANSPORT:
        return True
    pairs = (scope.peer_ts, need(message, TsI)), (scope.local_ts, need(message, TsR))
    return all(
        bool(asked.selectors) and any(ts.covers(asked.selectors[0]) for ts in granted)
        for granted, asked in pairs
    )


def _is_narrowed(one: Grant, message: Message) -> bool:
    scope = one.scope
    pairs = (scope.peer_ts, need(message, TsI)), (scope.local_ts, need(message, TsR))
    return any(
        not any(ts.covers(asked) for ts in granted)
        for granted, offered in pairs
        for asked in offered.selectors
    )


# We asked -----------------------------------------------------------------------------------------


def accept(
    policy: ChildPolicy, offered: tuple[Selectors, Selectors], reply: Message, place: Place
) -> Scope:
    """Return what the peer granted of our offer, which is of our side and the peer's.

    Raises:
        PeerError: it is not part of the offer, or not in the mode that we need.
    """
    _check_mode(policy, reply)
    cpi_out = ipcomp.granted(policy, reply)
    local_ts, peer_ts, original = _named(reply, TsI), _named(reply, TsR), None
    if policy.mode is Mode.TRANSPORT:
        seen = transport_mode.substitute(local_ts, peer_ts, place.nat, place.path)
        local_ts, peer_ts, original = seen.local_ts, seen.peer_ts, seen.original
    narrow.check_subset(local_ts, offered[0])
    narrow.check_subset(peer_ts, offered[1])
    flow = traffic_flow.granted(policy, policy.mode, reply)
    if flow.stream is not None and cpi_out != ipcomp.NONE:
        raise SelectorsError(
            "the peer grants USE_AGGFRAG and IPCOMP_SUPPORTED, of which one is enough"
        )
    scope = Scope(policy, policy.mode, local_ts, peer_ts, original, flow, cpi_out)
    return replace(scope, later_fragments=later_fragments.granted(policy, reply))


def _check_mode(policy: ChildPolicy, reply: Message) -> None:
    """Check what changes how packets are understood (§1.3.1)."""
    is_transport = reply.notify(NotifyType.USE_TRANSPORT_MODE) is not None
    if is_transport and policy.mode is Mode.TUNNEL:
        raise SelectorsError("the peer grants USE_TRANSPORT_MODE, which we did not ask for")
    if policy.mode is Mode.TRANSPORT and not is_transport:
        raise SelectorsError(f"the peer declines transport mode, and {policy.name} needs it")


def _named(reply: Message, side: type[TrafficSelectors]) -> Selectors:
    """Return the selectors of an answer; one of a type that we do not know was never offered."""
    answer = need(reply, side)
    if len(answer.selectors) != len(answer.parts):
        raise SelectorsError("the answer has selectors that are no address ranges")
    return answer.selectors

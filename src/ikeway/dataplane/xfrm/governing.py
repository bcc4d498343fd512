# SPDX-License-Identifier: Apache-2.0
"""Policies that stand before all pairs, as the kernel's own (RFC 4301 §4.4.1, §5.2).

They have no number of an interface, so they judge what leaves and comes by any but ours. Nothing
that arrives there is protected: what should be is blocked. That it does not leave there either is
the business of the host's routes, for the kernel asks them before it knows the interface.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final
from zlib import crc32

from ikeway.dataplane.xfrm import messages
from ikeway.dataplane.xfrm.flows import Flow, flows
from ikeway.dataplane.xfrm.messages import Direction, FoundPolicy
from ikeway.model.address import IKE_PORT, NAT_PORT
from ikeway.model.policies import Action, TrafficPolicy
from ikeway.model.selectors import PORT_MAX

_MOST: Final = 1 << 12
"""Priorities of one interface, by which it knows its own again after a crash."""
_UDP: Final = 17


@dataclass(frozen=True, slots=True)
class PlainPolicy:
    """A flow in one direction that passes as it is, or not at all."""

    flow: Flow
    direction: Direction
    priority: int
    is_blocked: bool

    @property
    def place(self) -> tuple[Flow, Direction]:
        """What there is one policy for."""
        return self.flow, self.direction

    @property
    def name(self) -> bytes:
        """What names it (xfrm_userpolicy_id)."""
        return messages.policy_name(self.flow, self.direction, 0)

    def pack(self) -> bytes:
        """Return what the kernel is asked for (xfrm_userpolicy_info)."""
        return messages.plain_policy(
            self.flow, self.direction, self.priority, is_blocked=self.is_blocked
        )


def plain_policies(policies: tuple[TrafficPolicy, ...], interface: str) -> tuple[PlainPolicy, ...]:
    """Return the kernel's policies, of which those with smaller priorities come first.

    Raises:
        HostError: it has none for these selectors.
    """
    if not policies:
        return ()
    first: dict[tuple[Flow, Direction], PlainPolicy] = {}
    before = _priorities(interface).start
    for one in _ike(before):
        first.setdefault(one.place, one)
    for place, policy in enumerate(policies, before + 1):
        for flow in flows(policy.local_ts, policy.peer_ts):
            for direction in Direction:
                is_blocked = _is_blocked(policy.action, direction)
                one = PlainPolicy(flow, direction, place, is_blocked)
                first.setdefault(one.place, one)
    return tuple(first.values())


def is_ours(found: FoundPolicy, interface: str) -> bool:
    """Whether a policy without an interface was put there for this one."""
    return found.if_id == 0 and found.priority in _priorities(interface)


def _priorities(interface: str) -> range:
    start = (1 + crc32(interface.encode()) % 1024) * _MOST
    return range(start, start + _MOST)


def _is_blocked(action: Action, direction: Direction) -> bool:
    is_arriving = direction is not Direction.OUT
    return action is Action.DISCARD or (action is Action.PROTECT and is_arriving)


def _ike(priority: int) -> Iterator[PlainPolicy]:
    """IKE, and ESP in UDP, pass whatever policies say."""
    for everything in ("0.0.0.0/0", "::/0"):
        anywhere = ip_network(everything)
        for port in (IKE_PORT, NAT_PORT):
            flow = Flow(anywhere, anywhere, _UDP, local_port=(port, PORT_MAX))
            for direction in (Direction.IN, Direction.OUT):
                yield PlainPolicy(flow, direction, priority, is_blocked=False)

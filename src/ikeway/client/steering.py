# SPDX-License-Identifier: Apache-2.0
"""Which traffic goes around the tunnel's table, and which is looked up there, by policies.

Each policy has a priority of its own between the rules of `plan`, in the order of the file. Rules
need not be exact, as the packet filter has the last word (`firewall`): one that would take more
than its policy is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

from ikeway.client.plan import POLICIES, Version
from ikeway.model.address import Network
from ikeway.model.policies import Action, TrafficPolicy
from ikeway.model.selectors import PORT_MAX, TrafficSelector

Ports = tuple[int, int]
_HIGHEST = PORT_MAX - 1
"""The kernel takes no rule for port 65535, nor for 0."""


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """Packets of a policy that go around the tunnel, or on to it; None is any."""

    version: Version
    priority: int
    is_around: bool
    local: Network | None
    peer: Network | None
    protocol: int
    local_ports: Ports | None
    peer_ports: Ports | None


def steering(policies: tuple[TrafficPolicy, ...]) -> tuple[PolicyRule, ...]:
    """Return the rules of policies that pass in clear, or in Child SAs; the others need none."""
    return tuple(
        rule
        for place, policy in enumerate(policies)
        if policy.action is not Action.DISCARD
        for rule in _rules(policy, POLICIES + place)
    )


def _rules(policy: TrafficPolicy, priority: int) -> Iterator[PolicyRule]:
    for local, peer in policy.pairs:
        protocol = local.protocol or peer.protocol
        sides = [_ports(side) for side in (local, peer)]
        if any(ports == () for ports in sides):
            continue
        here, there = (cast("Ports | None", ports) for ports in sides)
        for ours in _networks(local):
            for theirs in _networks(peer):
                yield PolicyRule(
                    version=cast("Literal[4, 6]", local.version),
                    priority=priority,
                    is_around=policy.action is Action.BYPASS,
                    local=ours,
                    peer=theirs,
                    protocol=protocol,
                    local_ports=here,
                    peer_ports=there,
                )


def _networks(side: TrafficSelector) -> tuple[Network | None, ...]:
    found = side.networks()
    return (None,) if found[0].prefixlen == 0 else found


def _ports(side: TrafficSelector) -> Ports | tuple[()] | None:
    """Return the ports that a rule can name; None is any, and nothing is none of them."""
    if (side.port_start, side.port_end) == (0, PORT_MAX):
        return None
    first, last = max(side.port_start, 1), min(side.port_end, _HIGHEST)
    return (first, last) if first <= last else ()

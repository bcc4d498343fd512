# SPDX-License-Identifier: Apache-2.0
"""What the host is to keep from leaving in clear, by a configuration (RFC 4301 §4.4.1)."""

from ikeway.config.load import Loaded
from ikeway.control.status import PolicyStatus
from ikeway.model.address import Network
from ikeway.model.policies import Action, TrafficPolicy
from ikeway.model.selectors import Selectors, TrafficSelector
from ikeway.policy.connection import ChildPolicy, Connection, SelectorTemplate
from ikeway.policy.pools import Pool
from ikeway.runtime.network import Guard, HostNetwork

_ANYWHERE = (TrafficSelector.of("0.0.0.0/0"), TrafficSelector.of("::/0"))


def guard_of(loaded: Loaded) -> Guard:
    """Return all that is to be guarded: the policies, and what connections protect behind them."""
    found = [
        (child, entry)
        for connection in loaded.connections
        for child in connection.protected
        for entry in _entry(connection, child, loaded.pools)
    ]
    return Guard(
        interface=loaded.dataplane.interface,
        policies=loaded.policies,
        connections=tuple(entry for _, entry in found),
        open=frozenset(entry.name for child, entry in found if _is_open(child.local_ts)),
        holds=loaded.dataplane.hold,
        is_asked_for=bool(loaded.policies) or any(one.protect for one in loaded.connections),
    )


async def policy_status(loaded: Loaded, network: HostNetwork | None) -> list[PolicyStatus]:
    """Return what the host keeps in, and how often it had to.

    Raises:
        HostError: the packet filter does not say.
    """
    if network is None:
        return []
    guard, dropped = guard_of(loaded), await network.dropped()
    return [
        PolicyStatus(name=one.name, action=one.action.value, dropped=dropped.get(one.name, 0))
        for one in (*guard.policies, *guard.connections)
    ]


def _entry(
    connection: Connection, child: ChildPolicy, pools: dict[str, Pool]
) -> tuple[TrafficPolicy, ...]:
    peer_ts = tuple(
        TrafficSelector.of(network, template.protocol, template.ports)
        for template in child.peer_ts
        for network in _networks(template, connection, pools)
    )
    if not peer_ts:
        return ()
    name = f"{connection.name}/{child.name}" if connection.children else connection.name
    local_ts = _ANYWHERE if _is_open(child.local_ts) else _static(child.local_ts)
    return (TrafficPolicy(f"connection {name}", Action.PROTECT, local_ts, peer_ts),)


def _networks(
    template: SelectorTemplate, connection: Connection, pools: dict[str, Pool]
) -> tuple[Network, ...]:
    """Return where the peer's side of the traffic is, as far as it is known beforehand."""
    if template.network is not None:
        return (template.network,)
    if connection.pool in pools:
        return pools[connection.pool].ranges
    return connection.peer.networks if connection.peer.target is not None else ()


def _is_open(templates: tuple[SelectorTemplate, ...]) -> bool:
    return any(template.network is None for template in templates)


def _static(templates: tuple[SelectorTemplate, ...]) -> Selectors:
    return tuple(selector for template in templates for selector in template.resolve(()))

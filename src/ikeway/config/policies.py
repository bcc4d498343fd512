# SPDX-License-Identifier: Apache-2.0
"""`[policies.NAME]`: what may pass around connections, go nowhere, or pass through them only."""

from collections.abc import Iterator, Mapping
from typing import Final

from ikeway.config.findings import Findings
from ikeway.config.policy_tables import PolicyTable
from ikeway.model.policies import TrafficPolicy
from ikeway.model.selectors import PORT_MAX
from ikeway.policy.connection import SelectorTemplate, resolve_selectors

MOST: Final = 1024
"""Pairs of selectors that a data plane looks each packet up in."""
_WITH_TYPES: Final = frozenset({1, 58})


def build_policies(
    tables: Mapping[str, PolicyTable], findings: Findings
) -> tuple[TrafficPolicy, ...]:
    """Return the policies in the order of the file, which is the one in which they are asked."""
    built = tuple(
        TrafficPolicy(
            name,
            table.action,
            resolve_selectors(tuple(table.local_ts), ()),
            resolve_selectors(tuple(table.peer_ts), ()),
        )
        for name, table in tables.items()
    )
    for name, table in tables.items():
        for key in ("local_ts", "peer_ts"):
            for index, template in enumerate(getattr(table, key)):
                for words in _complaints(template):
                    findings.error(("policies", name, key, index), words)
    findings.raise_errors()
    _check_together(built, findings)
    return built


def _complaints(template: SelectorTemplate) -> Iterator[str]:
    first, last = template.ports
    if template.network is None:
        yield "a policy is for all connections, so there is no dynamic address: write prefixes"
    elif first > last:
        yield "the host's routing cannot tell opaque ports: leave them out"
    elif template.protocol in _WITH_TYPES and (first, last) != (0, PORT_MAX):
        yield "the host's routing cannot tell types of ICMP: write [icmp] or [icmpv6]"


def _check_together(built: tuple[TrafficPolicy, ...], findings: Findings) -> None:
    count = 0
    for place, policy in enumerate(built):
        where = ("policies", policy.name)
        pairs = tuple(policy.pairs)
        count += len(pairs)
        if not pairs:
            words = "no packet has this and local_ts: other protocols, or other IP versions"
            findings.error((*where, "peer_ts"), words)
        elif count > MOST:
            findings.error(
                where,
                f"with this one there are {count} pairs of selectors in policies;"
                f" {MOST} are the most",
            )
        else:
            before = next((one for one in built[:place] if _takes_all(one, policy)), None)
            if before is not None:
                findings.warn(where, f"no packet gets here: {before.name} stands before it")


def _takes_all(before: TrafficPolicy, policy: TrafficPolicy) -> bool:
    return all(
        any(one.covers(local) and other.covers(peer) for one, other in before.pairs)
        for local, peer in policy.pairs
    )

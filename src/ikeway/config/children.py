# SPDX-License-Identifier: Apache-2.0
"""Several Child SAs of a connection, and what each of them cannot be (RFC 7296 §1.3.1)."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ikeway.config.child_table import ChildTable
from ikeway.config.findings import Findings
from ikeway.config.positions import KeyPath
from ikeway.config.traffic_flow import build_traffic_flow, complaints
from ikeway.model.esp import Mode
from ikeway.model.traffic_flow import OPEN
from ikeway.policy.connection import ChildPolicy, Connection, Encapsulate, Role, Start
from ikeway.wire.registry import ProtocolId


def build_children(
    connection: Connection, tables: Mapping[str, ChildTable]
) -> tuple[ChildPolicy, ...]:
    """Return the Child SAs of the tables; what one leaves out is as its connection says."""
    (plain,) = connection.child_policies
    return tuple(_child(plain, name, table) for name, table in tables.items())


def _child(plain: ChildPolicy, name: str, table: ChildTable) -> ChildPolicy:
    ages = table.lifetimes
    child = plain.lifetimes.child if ages.child is None else ages.child
    octets = plain.lifetimes.child_octets if ages.child_bytes is None else ages.child_bytes
    return ChildPolicy(
        name=name,
        local_ts=tuple(table.local_ts or plain.local_ts),
        peer_ts=tuple(table.peer_ts or plain.peer_ts),
        esp=tuple(table.ah or table.esp or plain.esp),
        mode=table.mode or plain.mode,
        start=table.start or plain.start,
        replay_window=plain.replay_window if table.replay_window is None else table.replay_window,
        lifetimes=replace(plain.lifetimes, child=child, child_octets=octets),
        idle=plain.idle if table.idle is None else table.idle,
        traffic_flow=(
            plain.traffic_flow
            if table.traffic_flow is None
            else build_traffic_flow(table.traffic_flow)
        ),
        ipcomp=plain.ipcomp if table.ipcomp is None else table.ipcomp,
        per_cpu_children=(
            plain.per_cpu_children if table.per_cpu_children is None else table.per_cpu_children
        ),
        outer=plain.outer,
        later_fragments=plain.later_fragments,
    )


def check_children(path: KeyPath, connection: Connection, findings: Findings) -> None:
    """Find what cannot work in the Child SAs of a connection."""
    for policy in connection.child_policies:
        where: KeyPath = (*path, "children", policy.name) if connection.children else path
        for key, words in _complaints(connection, policy):
            findings.error((*where, key), words)


def _complaints(connection: Connection, policy: ChildPolicy) -> Iterator[tuple[str, str]]:
    yield from complaints(policy.traffic_flow, policy.mode)
    if policy.ipcomp and policy.traffic_flow != OPEN:
        yield "ipcomp", "compression shows by their length what traffic_flow is to hide"
    if policy.protocol is ProtocolId.AH:
        yield from _of_ah(connection, policy)
    if policy.mode is Mode.TRANSPORT:
        yield from _of_transport(connection, policy)
    if policy.start is Start.DEMAND:
        yield from _of_demand(connection)
    elif policy.idle != math.inf:
        yield "idle", 'only what starts on demand is closed when idle; set start = "demand"'
    if connection.children and 0 < policy.replay_window < 32:
        yield "replay_window", "allowed are 0 and 32 to 65536 (RFC 4303 §3.4.3)"


def _of_ah(connection: Connection, policy: ChildPolicy) -> Iterator[tuple[str, str]]:
    if connection.encapsulate is Encapsulate.ALWAYS:
        yield "ah", 'AH does not go into UDP: set encapsulation = "nat" in the connection'
    if policy.traffic_flow != OPEN:
        yield "traffic_flow", "AH hides nothing, and has no padding"
    if policy.ipcomp:
        yield "ipcomp", "AH carries no compressed packets here"


def _of_transport(connection: Connection, policy: ChildPolicy) -> Iterator[tuple[str, str]]:
    if connection.pool is not None or connection.virtual_ips:
        yield "mode", "transport mode has no virtual addresses: leave out pool and virtual_ips"
    for key, templates in (("local_ts", policy.local_ts), ("peer_ts", policy.peer_ts)):
        if any(template.network is not None for template in templates):
            yield (
                key,
                (
                    "transport mode is for the hosts themselves; write dynamic, with protocol and"
                    " ports if you like: dynamic[tcp/443]"
                ),
            )


def _of_demand(connection: Connection) -> Iterator[tuple[str, str]]:
    if connection.virtual_ips:
        yield (
            "start",
            (
                "what starts on demand needs its addresses before: leave out virtual_ips, or use"
                ' start = "now"'
            ),
        )
    if connection.children and connection.role is Role.RESPONDER:
        yield "start", 'a responder does not start; use role = "both"'

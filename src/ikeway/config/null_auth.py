# SPDX-License-Identifier: Apache-2.0
"""Where nobody proves who they are, and what such a peer may have at most (RFC 7619 §2.4, §2.5)."""

from ikeway.config.findings import Findings
from ikeway.config.positions import KeyPath
from ikeway.policy.connection import Connection, Proof


def check_null(path: KeyPath, connection: Connection, findings: Findings) -> None:
    """Note what does not go together with null authentication in a connection."""
    if Proof.NULL in connection.accepted:
        _check_theirs(path, connection, findings)
    if connection.local_auth is Proof.NULL:
        _check_ours(path, connection, findings)


def _check_theirs(path: KeyPath, connection: Connection, findings: Findings) -> None:
    where = (*path, "peer_auth")
    if len(connection.accepted) > 1:
        findings.error(
            where, "null goes alone: beside it nobody would need another proof for the same access"
        )
    if connection.peer_id.text != "*":
        findings.error((*path, "peer_id"), "with null nothing proves it; leave it out")
    if connection.may_initiate:
        findings.warn(where, "nothing proves the peer: who is on the way can read and change all")
    if connection.may_respond:
        findings.warn(where, "anybody may use this connection: nothing proves who it is")
        _check_selectors(path, connection, findings)


def _check_selectors(path: KeyPath, connection: Connection, findings: Findings) -> None:
    """Note where anybody could draw the traffic of others to himself (§2.5)."""
    children = connection.child_policies
    if any(each.network is not None for child in children for each in child.peer_ts):
        findings.error(
            (*path, "peer_ts"),
            'with null only "dynamic": the address that we lend or see, not one of its own choice',
        )


def _check_ours(path: KeyPath, connection: Connection, findings: Findings) -> None:
    where = (*path, "local_auth")
    if any(proof.eap_method for proof in connection.accepted):
        findings.error(where, "before EAP we have to prove ourselves by certificate, not by null")
    if connection.initial_contact:
        findings.error(
            (*path, "initial_contact"), "with null nobody can know that we are who was there before"
        )
    if connection.role.value != "initiator":
        findings.warn(where, "nothing proves us: who is on the way can read and change all")


def check_pools(connections: tuple[Connection, ...], findings: Findings) -> None:
    """Note where addresses of named peers could be those of anybody: firewalls know no better."""
    for one in connections:
        sharing = [
            other.name
            for other in connections
            if other.pool == one.pool and Proof.NULL not in other.peer_auth
        ]
        if Proof.NULL in one.peer_auth and one.pool is not None and sharing:
            findings.error(
                ("connections", one.name, "pool"),
                f"with null a pool of its own: {', '.join(sharing)} has known peers in this one",
            )

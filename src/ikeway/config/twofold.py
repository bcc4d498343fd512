# SPDX-License-Identifier: Apache-2.0
"""Whether two proofs of one peer can work in a connection (RFC 4739)."""

from ikeway.config.findings import Findings
from ikeway.config.positions import KeyPath
from ikeway.policy.connection import Connection, Proof, Role


def check_twofold(path: KeyPath, connection: Connection, findings: Findings) -> None:
    """Note what two proofs lack: they are of who starts, and the other side has one."""
    own, theirs = connection.local_then, connection.peer_twofold
    if own is not None and connection.role is not Role.INITIATOR:
        findings.error(
            (*path, "local_auth"), 'two proofs are of an initiator; set role = "initiator"'
        )
    if theirs and not connection.may_respond:
        findings.error(
            (*path, "peer_auth"), f"a responder has one proof, not {theirs[0]}; which is it?"
        )
    if theirs and connection.local_auth.eap_method:
        findings.error(
            (*path, "local_auth"), f"before {theirs[0]} we prove ourselves by certificate or psk"
        )
    if connection.device_id.text != "*" and not theirs:
        findings.error((*path, "device_id"), "only with two proofs in peer_auth")
    _check_leaks(path, connection, findings)
    _check_ways_around(path, connection, findings)


def _check_leaks(path: KeyPath, connection: Connection, findings: Findings) -> None:
    """Note where somebody with a key of many could play the gateway, and collect passwords."""
    if connection.local_then and Proof.PSK in connection.peer_auth:
        findings.warn(
            (*path, "peer_auth"),
            "whoever has the shared key can play the gateway and ask for our password",
        )
    if connection.peer_twofold and connection.local_auth is Proof.PSK:
        findings.warn(
            (*path, "local_auth"),
            "whoever has the shared key can play us and ask users for their passwords",
        )


def _check_ways_around(path: KeyPath, connection: Connection, findings: Findings) -> None:
    """Note where one of two proofs is enough as well, which makes the other one needless."""
    for both in connection.peer_twofold:
        for alone in (both.first, both.then):
            if alone in connection.peer_auth:
                findings.warn(
                    (*path, "peer_auth"), f"{alone.value} alone is enough: nobody needs {both}"
                )

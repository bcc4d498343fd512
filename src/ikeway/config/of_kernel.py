# SPDX-License-Identifier: Apache-2.0
"""What the kernel's data plane cannot carry, said of a configuration before it is in force."""

from collections.abc import Iterator

from ikeway.config.findings import Findings
from ikeway.config.positions import KeyPath
from ikeway.model.esp import Mode
from ikeway.policy.connection import ChildPolicy, Connection


def check_of_kernel(path: KeyPath, connection: Connection, findings: Findings) -> None:
    """Find what of a connection's Child SAs takes our own engine."""
    for policy in connection.child_policies:
        where: KeyPath = (*path, "children", policy.name) if connection.children else path
        for key, words in _complaints(policy):
            findings.error((*where, key), words)


def _complaints(policy: ChildPolicy) -> Iterator[tuple[str, str]]:
    if policy.mode is Mode.TRANSPORT:
        yield "mode", 'the kernel\'s data plane carries tunnels only; use backend = "engine"'
    networks = (template.network for template in (*policy.local_ts, *policy.peer_ts))
    if policy.ipcomp and len({network.version for network in networks if network}) > 1:
        yield (
            "ipcomp",
            (
                "the kernel compresses only what has the IP version of the tunnel around it; make"
                ' a child for each, or use backend = "engine"'
            ),
        )

# SPDX-License-Identifier: Apache-2.0
"""The host's ways to a peer, outside any tunnel (RFC 4555 §3.5)."""

from typing import Final

from ikeway.ike.questions import FindPaths, Paths
from ikeway.model.address import Address, Path
from ikeway.model.errors import HostError
from ikeway.runtime.network import source_for

PATHS_MOST: Final = 16


def find(question: FindPaths, addresses: tuple[Address, ...]) -> Paths:
    """Return what the routing table says, then every other pair of one family.

    `addresses` are all of this host, as far as they are known.
    """
    preferred: list[Path] = []
    for peer in question.peers:
        try:
            preferred.append(Path(source_for(peer), peer))
        except HostError:
            continue
    reachable = {path.peer for path in preferred}
    others = (
        Path(local, peer)
        for peer in question.peers
        if peer in reachable
        for local in addresses
        if local.version == peer.version
    )
    return Paths(tuple(dict.fromkeys((*preferred, *others)))[:PATHS_MOST])

# SPDX-License-Identifier: Apache-2.0
"""Two ikeways with a cable or a NAT between them, configured to fit each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from support.daemon import Daemon
from support.link import OUTER, Link
from support.traffic import Witness, ping, transfer

Table: TypeAlias = dict[str, Any]


class Two:
    """Two daemons, of which ours starts."""

    def __init__(
        self,
        folder: Path,
        link: Link,
        ours: Table,
        peer: Table,
        peer_faults: Sequence[Table] = (),
        more: tuple[Table, Table] = ({}, {}),
    ) -> None:
        """`ours` and `peer` are of the connection, `more` of both whole configurations."""
        self.link = link
        secret = folder / "psk"
        secret.write_text("0123456789abcdef0123")
        secret.chmod(0o600)
        self.ours = Daemon(
            folder / "ours",
            link.ours.namespace,
            config("ours", link.seen_as["peer"][4], secret, networks(link, "ours") | ours)
            | more[0],
        )
        self.peer = Daemon(
            folder / "peer",
            link.peer.namespace,
            config("peer", "any", secret, networks(link, "peer") | {"role": "responder"} | peer)
            | more[1],
            peer_faults,
        )
        self.witness = Witness(link.ours, OUTER)
        for daemon in (self.peer, self.ours):
            daemon.begin()
        for daemon in (self.peer, self.ours):
            daemon.ready()

    def down(self) -> None:
        for daemon in (self.ours, self.peer):
            daemon.stop()
        self.witness.close()

    def children(self) -> set[str]:
        return {child.name for child in self.ours.children()}

    def carries(self, count: int = 3) -> None:
        """Check that pings and TCP pass between the networks of both."""
        ours, peer = self.link.ours, self.link.peer
        assert ping(ours.namespace, ours.inner[4], peer.inner[4], count) == count
        transfer((ours.namespace, ours.inner[4]), (peer.namespace, peer.inner[4]))


def networks(link: Link, side: str) -> Table:
    """Return the traffic selectors of one of both."""
    here, there = (link.ours, link.peer) if side == "ours" else (link.peer, link.ours)
    return {"local_ts": [here.networks[4]], "peer_ts": [there.networks[4]]}


def config(name: str, peer: str, secret: Path, connection: Table) -> Table:
    """Return the configuration of one of both."""
    other = {"ours": "peer", "peer": "ours"}[name]
    return {
        "host": {"identity": f"{name}.lab", "listen": ["0.0.0.0"]},
        "credentials": {"secrets": [{"id": "*", "psk": f"file:{secret}"}]},
        "connections": {
            "lab": {
                "peer": peer,
                "local_auth": "psk",
                "peer_auth": ["psk"],
                "peer_id": f"{other}.lab",
                **connection,
            }
        },
    }

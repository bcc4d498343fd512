# SPDX-License-Identifier: Apache-2.0
"""strongSwan with its user-space ESP (kernel-libipsec), started by the lab's `peer-strongswan`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from esp_load.tunnels import FAR, NEAR, Tunnel, UnavailableError, cable
from support.netns import Namespace
from support.strongswan import StrongSwan
from support.tunnel import OUTER

PSK = "a key of the benchmark"


@contextmanager
def libipsec(folder: Path) -> Iterator[Tunnel]:
    """Make a tunnel of two charons: AES-256-GCM, ESP in UDP."""
    lab = Path(os.environ.get("IKEWAY_LAB", ""))
    if not (lab / "peer-strongswan").exists():
        raise UnavailableError("no IKEWAY_LAB with peer-strongswan")
    with cable() as (near, far):
        _address(near, NEAR)
        _address(far, FAR)
        peers = StrongSwan(lab, folder, near, "near"), StrongSwan(lab, folder, far, "far")
        try:
            _up(peers[1], 1, "responder")
            _up(peers[0], 0, "initiator")
            failure = peers[0].initiate(patience_ms=10_000)
            if failure is not None:
                raise UnavailableError(f"no Child SA between two charons: {failure}")
            yield Tunnel(near, far, FAR, "ipsec0", (peers[0].pid, peers[1].pid))
        finally:
            for peer in peers:
                peer.down()


def _address(namespace: Namespace, inner: str) -> None:
    namespace.add_address("lo", f"{inner}/32")


def _up(peer: StrongSwan, side: int, role: str) -> None:
    inner = (f"{NEAR}/32", f"{FAR}/32")
    peer.up(
        role=role,
        local=OUTER[side][0],
        remote=OUTER[1 - side][0],
        auth="psk",
        psk=PSK,
        ike="aes256gcm16-prfsha384-x25519",
        esp="aes256gcm16",
        local_ts=inner[side],
        remote_ts=inner[1 - side],
        loglevel="0",
    )

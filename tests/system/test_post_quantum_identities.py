# SPDX-License-Identifier: Apache-2.0
"""ML-DSA in AUTH and in certificates, as `ikeway ca` issues them, between two ikeways."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.daemon import Daemon
from support.link import OUTER, Link, cable
from support.strongswan import wait_until
from support.traffic import Witness, ping
from support.two import Table, networks

pytestmark = pytest.mark.system

IKEWAY = str(Path(sys.executable).with_name("ikeway"))
KIND = "mldsa65"
OCTETS_LEAST = 8_570
"""A signature of 3,309 octets and a certificate with another one, and with a key of 1,952."""


def ikeway(folder: Path, *words: str) -> None:
    subprocess.run([IKEWAY, *words], cwd=folder, check=True, capture_output=True)


def config(folder: Path, link: Link, side: str) -> Table:
    other = "peer" if side == "ours" else "ours"
    role = "initiator" if side == "ours" else "responder"
    return {
        "host": {"identity": f"{side}.lab", "listen": ["0.0.0.0"]},
        "credentials": {
            "certificate": str(folder / f"{side}.lab.crt"),
            "key": str(folder / f"{side}.lab.key"),
            "authorities": [str(folder / "ca" / "ca.crt")],
        },
        "connections": {
            "lab": {
                "role": role,
                "peer": link.seen_as["peer"][4] if side == "ours" else "any",
                "peer_id": f"{other}.lab",
                **networks(link, side),
            }
        },
    }


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Link, Daemon, Daemon, Witness]]:
    """A client and a gateway with certificates of one authority, all with ML-DSA-65."""
    ikeway(tmp_path, "ca", "create", "Lab", "--dir", "ca", "--key", KIND)
    for name, role in (("ours.lab", "client"), ("peer.lab", "server")):
        ikeway(tmp_path, "ca", "issue", name, "--for", role, "--dir", "ca", "--key", KIND)
    with ExitStack() as stack:
        link = stack.enter_context(cable())
        witness = Witness(link.ours, OUTER)
        stack.callback(witness.close)
        daemons = []
        for side, end in (("ours", link.ours), ("peer", link.peer)):
            daemon = Daemon(tmp_path / side, end.namespace, config(tmp_path, link, side))
            stack.callback(daemon.stop)
            daemon.begin()
            daemons.append(daemon)
        for daemon in daemons:
            daemon.ready()
        yield link, *daemons, witness  # type: ignore[misc]


@pytest.mark.conformance("CF-L01")
def test_both_prove_themselves_by_ml_dsa_in_fragments(
    both: tuple[Link, Daemon, Daemon, Witness],
) -> None:
    """RFC 9881 in method 14 (RFC 7427); RFC 7383: IKE_AUTH fits into no datagram."""
    link, ours, _, witness = both
    ours.initiate()
    wait_until(lambda: bool(ours.children()), 20, "the Child SA")
    assert ping(link.ours.namespace, link.ours.inner[4], link.peer.inner[4], 3) == 3
    (sent,) = [line for line in ours.log().splitlines() if "sent IKE_AUTH request" in line]
    assert int(sent.partition('"octets": ')[2].split("}")[0].split(",")[0]) > OCTETS_LEAST
    assert witness.look()["fragment"] == 0
    assert not witness.leaks

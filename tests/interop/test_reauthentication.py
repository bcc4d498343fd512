# SPDX-License-Identifier: Apache-2.0
"""Identities proven anew with strongSwan, by either side, while pings go on (RFC 7296 §2.8.3)."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from support.pair import INITIATOR, RESPONDER, Case, Pair, Tunnel
from support.steady import Pinger
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system]

SECONDS: Final = 12.0
POOL: Final = "10.3.0.0/24"
MINE: Final = {"lifetimes": {"reauth": "3s", "jitter": 0.0}}
THEIRS: Final[dict[str, Any]] = {
    "connections": {"lab": {"reauth_time": "3s", "over_time": "30s", "rand_time": "0s"}}
}


@pytest.mark.conformance("CF-F14")
@pytest.mark.parametrize("role", [INITIATOR])
def test_we_prove_identities_anew_without_a_gap(tunnel: Tunnel) -> None:
    """Make before break: not one ping is lost on our side, and in the end there is one IKE SA."""
    pair = tunnel(Case(ikeway=MINE))
    pair.connect()
    assert len(_ids_during(pair)) >= 3
    wait_until(pair.is_up, 6.0, "one IKE SA with one Child SA at both ends")


@pytest.mark.conformance("CF-F14")
@pytest.mark.parametrize("role", [INITIATOR])
def test_we_keep_the_address_that_strongswan_lends(tunnel: Tunnel) -> None:
    lab = {"pools": "pool4", "children": {"net": {"remote_ts": None}}}
    pools = {"pool4": {"addrs": POOL}}
    mine = {**MINE, "virtual_ips": ["0.0.0.0"], "local_ts": ["dynamic"]}
    pair = tunnel(Case(ikeway=mine, swanctl={"connections": {"lab": lab}, "pools": pools}))
    pair.witness.watch_also(POOL)
    pair.connect()
    (address,) = pair.ikeway.established()[0].virtual_ips
    assert len(_ids_during(pair, address)) >= 3
    wait_until(pair.is_up, 6.0, "one IKE SA with one Child SA at both ends")
    assert pair.ikeway.established()[0].virtual_ips == [address]


@pytest.mark.conformance("CF-F14")
@pytest.mark.parametrize("role", [RESPONDER])
@pytest.mark.parametrize("makes_first", [True, False])
def test_strongswan_proves_identities_anew(
    tunnel: Tunnel, tmp_path: Path, makes_first: bool
) -> None:
    """With make_before_break the old Child SA carries our packets until strongSwan has shown that
    it has installed the new one, which they could overtake. Without it the tunnel comes back at
    once. The virtual address is the same both times."""
    snippet = tmp_path / "charon.conf"
    snippet.write_text(f"make_before_break = {'yes' if makes_first else 'no'}\n")
    case = Case(
        ikeway={"pool": "staff", "peer_ts": ["dynamic"]},
        ikeway_top={"pools": {"staff": {"ranges": [POOL]}}},
        swanctl={
            "connections": {
                "lab": {**THEIRS["connections"]["lab"], "vips": "0.0.0.0", "children": _DYNAMIC}
            }
        },
        strongswan={"charon_conf": str(snippet)},
    )
    pair = tunnel(case)
    pair.witness.watch_also(POOL)
    pair.connect()
    (address,) = pair.ikeway.established()[0].virtual_ips
    ids = _ids_during(pair, peer=address, most=0.002 if makes_first else 0.25)
    assert len(ids) >= 3
    wait_until(pair.is_up, 6.0, "one IKE SA with one Child SA at both ends")
    assert pair.ikeway.established()[0].virtual_ips == [address]


@pytest.mark.parametrize("role", [INITIATOR, RESPONDER])
def test_a_gateway_says_how_long_proofs_count(tunnel: Tunnel, role: str) -> None:
    """RFC 4478: the client has no limit of its own; the gateway's makes it begin in time."""
    if role == INITIATOR:
        lab: dict[str, Any] = {
            "reauth_time": "9s",
            "over_time": "30s",
            "rand_time": "0s",
            "pools": "pool4",
        }
        lab["children"] = {"net": {"remote_ts": None}}
        pools = {"pool4": {"addrs": POOL}}
        case = Case(
            ikeway={"virtual_ips": ["0.0.0.0"], "local_ts": ["dynamic"]},
            swanctl={"connections": {"lab": lab}, "pools": pools},
        )
    else:
        case = Case(
            ikeway={"lifetimes": {"reauth": "9s"}, "pool": "staff", "peer_ts": ["dynamic"]},
            ikeway_top={"pools": {"staff": {"ranges": [POOL]}}},
            swanctl={"connections": {"lab": {"vips": "0.0.0.0", "children": _DYNAMIC}}},
        )
    pair = tunnel(case)
    pair.witness.watch_also(POOL)
    pair.connect()
    first = pair.ikeway.established()[0].id
    wait_until(
        lambda: first not in {sa.id for sa in pair.ikeway.sas()} and pair.is_up(),
        14.0,
        "another IKE SA in place of the first",
    )
    says = "received AUTH_LIFETIME of" if role == RESPONDER else "N(AUTH_LFT)"
    assert says in pair.peer.log()


_DYNAMIC: Final = {"net": {"local_ts": None}}


def _ids_during(
    pair: Pair, ours: str | None = None, peer: str | None = None, *, most: float = 0.0
) -> set[str]:
    """Ping for a while; return the IKE SAs that there were meanwhile.

    Who answers IKE_AUTH may send on the Child SA before its initiator has read the answer: what
    overtakes the installation is unknown to the engine, which says so, and is no loss of ours.
    """
    here, there = ours or pair.link.ours.inner[4], peer or pair.link.peer.inner[4]
    pinger = Pinger(pair.link.ours.namespace, here, there, SECONDS)
    ids: set[str] = set()
    while pinger.is_going():
        ids |= {sa.id for sa in pair.ikeway.established()}
    sent, lost = pinger.lost()
    assert sent > 0.9 * SECONDS / 0.02
    early = _unknown(pair.ikeway.log())
    assert early <= len(ids), f"{early} packets for Child SAs that were not there"
    assert lost - early <= most * sent, f"{lost} of {sent} pings lost, {early} of them too early"
    return ids


def _unknown(log: str) -> int:
    """Return how many packets came for Child SAs that were not installed."""
    lines = [json.loads(line) for line in log.splitlines() if "unknown_spi" in line]
    return sum(line["count"] for line in lines)

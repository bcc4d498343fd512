# SPDX-License-Identifier: Apache-2.0
"""Tunnels to strongSwan that a packet starts, and what rests until then (RFC 7296 §1.3.1, §2.9)."""

import pytest

from support.pair import INITIATOR, RESPONDER, Case, Pair, Tunnel
from support.strongswan import wait_until
from support.traffic import PINGS, ping

pytestmark = [pytest.mark.interop, pytest.mark.system]

DEMAND = {"start": "demand", "idle": "3s"}
OURS = {"net": "10.1.0.0/24", "other": "10.1.9.0/24"}
PEERS = {"net": "10.2.0.0/24", "other": "10.2.16.0/24"}
OTHER_HOSTS = ("10.1.9.9", "10.2.16.16")
MANY = 64
"""How many Child SAs we grant on one IKE SA."""


def pings(pair: Pair, hosts: tuple[str, str] | None = None) -> int:
    """Return how many pings from our end were answered."""
    ours, peer = pair.link.ours, pair.link.peer
    return ping(ours.namespace, *(hosts or (ours.inner[4], peer.inner[4])))


def names(pair: Pair) -> set[str]:
    return {child.name for child in pair.ikeway.children()}


@pytest.mark.parametrize("role", [INITIATOR])
def test_the_first_packet_starts_the_tunnel_and_arrives(tunnel: Tunnel, role: str) -> None:
    """Again and again: what nobody uses is closed, at both ends, and the next packet waits."""
    pair = tunnel(Case(ikeway=DEMAND))
    wait_until(lambda: "10.2.0.0/16" in pair.routes(), 5.0, "the route of the trap")
    for _ in range(2):
        assert not pair.ikeway.sas()
        assert not pair.strongswan.sas()
        assert pings(pair) == PINGS
        wait_until(pair.is_up, 3.0, "the tunnel")
        pair.carry()
        # A peer that knows its traffic by packets counts until the last one: the IKE SA goes too.
        wait_until(lambda: not pair.ikeway.sas() and not pair.strongswan.sas(), 10.0, "its end")


@pytest.mark.parametrize("role", [INITIATOR])
def test_strongswan_ends_the_tunnel_and_a_packet_brings_it_back(tunnel: Tunnel, role: str) -> None:
    pair = tunnel(Case(ikeway={"start": "demand"}))
    wait_until(lambda: "10.2.0.0/16" in pair.routes(), 5.0, "the route of the trap")
    assert pings(pair) == PINGS
    pair.strongswan.terminate()
    wait_until(lambda: not pair.ikeway.sas(), 4.0, "the end")
    assert "10.2.0.0/16" in pair.routes(), "nothing may leave in clear meanwhile"
    assert pings(pair) == PINGS
    pair.carry()


@pytest.mark.parametrize("role", [INITIATOR])
def test_each_child_rests_until_its_own_packet(tunnel: Tunnel, role: str) -> None:
    """One IKE SA: the second child comes by CREATE_CHILD_SA when somebody needs it."""
    ours = {name: {"local_ts": [OURS[name]], "peer_ts": [PEERS[name]]} for name in OURS}
    theirs = {
        name: {"esp_proposals": "aes256gcm16", "local_ts": PEERS[name], "remote_ts": OURS[name]}
        for name in OURS
    }
    pair = tunnel(
        Case(
            ikeway={"start": "demand", "children": ours},
            swanctl={"connections": {"lab": {"children": theirs}}},
        )
    )
    pair.link.ours.namespace.add_address("lo", f"{OTHER_HOSTS[0]}/32")
    pair.link.peer.namespace.add_address("lo", f"{OTHER_HOSTS[1]}/32")
    wait_until(lambda: PEERS["other"] in pair.routes(), 5.0, "the routes of both traps")
    assert pings(pair) == PINGS
    wait_until(lambda: names(pair) == {"net"}, 3.0, "the first child")
    assert pings(pair, OTHER_HOSTS) == PINGS
    wait_until(lambda: names(pair) == set(OURS), 3.0, "both children")
    assert len(pair.ikeway.established()) == len(pair.strongswan.sas()) == 1


@pytest.mark.parametrize("role", [RESPONDER])
def test_strongswan_asks_for_more_children_than_there_are(tunnel: Tunnel, role: str) -> None:
    """RFC 7296 §1.3: NO_ADDITIONAL_SAS; what there is goes on."""
    plain = {"esp_proposals": "aes256gcm16", "remote_ts": "10.1.0.0/16"}
    more = {
        f"c{number}": plain | {"local_ts": f"10.2.0.1/32[udp/{1000 + number}]"}
        for number in range(MANY)
    }
    pair = tunnel(Case(swanctl={"connections": {"lab": {"children": more}}}))
    pair.connect()
    for number in range(MANY - 1):
        assert pair.strongswan.initiate(child=f"c{number}") is None
    assert pair.strongswan.initiate(child=f"c{MANY - 1}") is not None
    pair.strongswan.wait_for_log("NO_ADD_SAS")
    assert len(pair.ikeway.established()) == len(pair.strongswan.sas()) == 1
    assert len(pair.ikeway.children()) == len(pair.peer_children()) == MANY
    assert pings(pair) == PINGS

# SPDX-License-Identifier: Apache-2.0
"""Moves with strongSwan, both ways: addresses that come and go, and NATs that forget (RFC 4555)."""

import re
import subprocess
import time
from itertools import pairwise

import pytest

from support.link import OUTER
from support.pair import INITIATOR, RESPONDER, Case, Pair, Tunnel
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system]

NEW = "10.77.0.101"
COUNT = 250
GAP = 0.02
STALL = 2.0
"""What a change of network may cost (design §8)."""


def pinging(pair: Pair) -> "subprocess.Popen[str]":
    ours, peer = pair.link.ours, pair.link.peer
    command = ("ping", "-n", "-i", str(GAP), "-c", str(COUNT), "-W", "2")
    return ours.namespace.start(
        *command, "-I", ours.inner[4], peer.inner[4], stdout=subprocess.PIPE
    )


def lost(echo: "subprocess.Popen[str]") -> tuple[int, float]:
    """Return how many echoes were lost, and for how long at most there were none."""
    said = echo.communicate(timeout=60)[0]
    seen = [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", said)]
    gaps = [later - sooner for sooner, later in pairwise(seen)]
    return COUNT - len(set(seen)), max(gaps, default=COUNT) * GAP


def moves(pair: Pair, side: str) -> None:
    """Take the outer address from a host and give it another one, while pings go through."""
    host = getattr(pair.link, side).namespace
    old = getattr(pair.link, side).outer[4]
    echo = pinging(pair)
    time.sleep(1)
    host.ip("address", "del", f"{old}/24", "dev", OUTER)
    host.add_address(OUTER, f"{NEW}/24")
    missing, stall = lost(echo)
    assert stall < STALL, (missing, stall)


@pytest.mark.conformance("CF-M04", "CF-M05")
@pytest.mark.parametrize("role", [INITIATOR])
def test_our_client_moves(tunnel: Tunnel, role: str) -> None:
    """strongSwan answers the update; the tunnel goes on with the same IKE SA."""
    pair = tunnel(Case())
    pair.connect()
    before = pair.ikeway.established()[0].id
    moves(pair, "ours")
    wait_until(lambda: pair.peer_sa().remote[0] == NEW, 3.0, "strongSwan to know the new address")
    (sa,) = pair.ikeway.established()
    assert (sa.id, sa.local.address) == (before, NEW)


@pytest.mark.conformance("CF-M05", "CF-M11", "CF-M12")
@pytest.mark.parametrize("role", [RESPONDER])
def test_strongswan_moves(tunnel: Tunnel, role: str) -> None:
    """strongSwan says where it is and shows its cookie; its traffic follows."""
    pair = tunnel(Case(ikeway={"peer": "any"}, strongswan={"local": ""}))
    pair.connect()
    before = pair.ikeway.established()[0].peer.address
    moves(pair, "peer")
    # It takes its other address first, which is of IPv6 here.
    wait_until(lambda: pair.ikeway.established()[0].peer.address != before, 3.0, "the new address")

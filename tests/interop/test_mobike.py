# SPDX-License-Identifier: Apache-2.0
"""Moves with strongSwan: either side changes its address while traffic goes through (RFC 4555)."""

import time
from collections.abc import Callable

import pytest

from support.link import OUTER
from support.pair import INITIATOR, RESPONDER, Case, Pair, Tunnel
from support.steady import Pinger, Stream
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system]

Property = Callable[[str, object], None]

NEW = "10.77.0.101"
SECONDS = 4.0
STALL = 2.0
"""What a change of network may cost (design §8)."""
PROMPT = {"retransmit_timeout": "0.3"}
"""strongSwan cannot move the SAs of its user-space ESP, so it rekeys them after our move. What it
had just asked when we moved it repeats first: after 4 s, unless it is told otherwise."""


def change_address(pair: Pair, side: str) -> None:
    """Take the outer address from a host and give it another one."""
    host = getattr(pair.link, side).namespace
    old = getattr(pair.link, side).outer[4]
    host.ip("address", "del", f"{old}/24", "dev", OUTER)
    host.add_address(OUTER, f"{NEW}/24")


def moves(pair: Pair, side: str, record: Property) -> None:
    """Let a host change its address while pings go through."""
    ours, peer = pair.link.ours, pair.link.peer
    pinger = Pinger(ours.namespace, ours.inner[4], peer.inner[4], SECONDS)
    time.sleep(1)
    change_address(pair, side)
    sent, lost = pinger.lost()
    said = f"{lost} of {sent} pings lost, none for {pinger.gap():.2f} s"
    record("figures", said)
    print(f"{side} moves: {said}")
    assert pinger.gap() < STALL, said


@pytest.mark.conformance("CF-M04")
@pytest.mark.parametrize("role", [INITIATOR])
def test_our_client_moves(tunnel: Tunnel, role: str, record_property: Property) -> None:
    pair = tunnel(Case(strongswan=PROMPT))
    pair.connect()
    before = pair.ikeway.established()[0].id
    moves(pair, "ours", record_property)
    (sa,) = pair.ikeway.established()
    assert (sa.id, sa.local.address) == (before, NEW)
    assert pair.peer_sa().remote[0] == NEW


@pytest.mark.conformance("CF-M04", "CF-M11")
@pytest.mark.parametrize("role", [RESPONDER])
def test_strongswan_moves(tunnel: Tunnel, role: str, record_property: Property) -> None:
    # It takes its first address to begin with, and the one that we know.
    pair = tunnel(Case(strongswan={"local": ""}, ikeway={"peer": "any"}))
    pair.connect()
    before = pair.ikeway.established()[0].peer.address
    moves(pair, "peer", record_property)
    # It takes its other address first, which is of IPv6 here.
    wait_until(lambda: pair.ikeway.established()[0].peer.address != before, 3.0, "the new address")


@pytest.mark.conformance("CF-M04")
@pytest.mark.parametrize("role", [INITIATOR])
def test_tcp_goes_on_while_our_client_moves(
    tunnel: Tunnel, role: str, record_property: Property
) -> None:
    """Both ways at once: every octet arrives, and TCP waits for no longer than a move may cost."""
    pair = tunnel(Case(strongswan=PROMPT))
    pair.connect()
    ours, peer = pair.link.ours, pair.link.peer
    here, there = (ours.namespace, ours.inner[4]), (peer.namespace, peer.inner[4])
    with Stream(here, there) as up, Stream(there, here) as down:
        time.sleep(1)
        change_address(pair, "ours")
        time.sleep(3)
    said = f"TCP stood still for {up.longest:.2f} s up, {down.longest:.2f} s down"
    record_property("figures", said)
    print(said)
    assert (up.received, down.received) == (up.sent, down.sent)
    assert max(up.longest, down.longest) < STALL, said
    assert pair.ikeway.established()[0].local.address == NEW

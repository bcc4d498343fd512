# SPDX-License-Identifier: Apache-2.0
"""Redirects that strongSwan follows, and those that it gives (RFC 5685)."""

import pytest

from support.link import OUTER
from support.pair import INITIATOR, RESPONDER, Case, Pair, Tunnel
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.conformance("CF-W08")]

ELSEWHERE = "10.77.0.9"
PATIENCE = 15.0


def is_there(pair: Pair) -> bool:
    """Whether the tunnel is up with the gateway's other address, and with no other."""
    if not pair.is_up():
        return False
    (sa,) = pair.ikeway.established()
    return (sa.peer if pair.is_initiator else sa.local).address == ELSEWHERE


@pytest.mark.parametrize("role", [RESPONDER])
def test_strongswan_goes_where_we_send_it(tunnel: Tunnel) -> None:
    """RFC 5685 §3: in the answer to IKE_SA_INIT, with the nonce of its request."""
    pair = tunnel(Case(ikeway={"redirect_to": ELSEWHERE}))
    pair.link.ours.namespace.add_address(OUTER, f"{ELSEWHERE}/24")
    pair.attempt()
    wait_until(lambda: is_there(pair), PATIENCE, "the tunnel with the other address")
    assert "REDIR" in pair.strongswan.log()
    pair.carry()


@pytest.mark.parametrize("role", [INITIATOR])
def test_we_go_where_strongswan_sends_us(tunnel: Tunnel) -> None:
    """RFC 5685 §5: on an IKE SA that is up; the tunnel at the new place is up before."""
    pair = tunnel(Case(ikeway={"redirect": "allow"}, strongswan={"local": ""}))
    pair.link.peer.namespace.add_address(OUTER, f"{ELSEWHERE}/24")
    pair.connect()
    pair.strongswan.redirect(ELSEWHERE)
    wait_until(lambda: is_there(pair), PATIENCE, "the tunnel with the other address")
    pair.carry()

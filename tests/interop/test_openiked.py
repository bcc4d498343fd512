# SPDX-License-Identifier: Apache-2.0
"""OpenIKED 7.2 and 7.4, with the ESP of a Linux kernel."""

import pytest

from support.inguest import Meeting, changes
from support.openiked import OpenIked
from support.pair import RESPONDER
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]

PATIENCE = 30.0


@pytest.mark.conformance("CF-A25")
@pytest.mark.parametrize("auth", ["psk", "ecdsa"])
def test_a_tunnel_that_openiked_ends(meet: Meeting, auth: str) -> None:
    """Traffic is counted alike by our engine and by the peer's kernel, then all is gone."""
    pair = meet(OpenIked, auth=auth)
    pair.connect()
    pair.carry()
    pair.peer.terminate()
    wait_until(pair.is_down, PATIENCE, "both ends to be down")
    pair.nothing_is_left()


def test_the_newer_openiked(meet: Meeting) -> None:
    pair = meet(OpenIked, newer=True, auth="rsa")
    pair.connect()
    pair.carry()
    pair.ikeway.disconnect()
    wait_until(pair.is_down, PATIENCE, "both ends to be down")


@pytest.mark.conformance("CF-F02", "CF-F03", "CF-F05")
@pytest.mark.parametrize("what", ["child", "ike"])
def test_openiked_rekeys(meet: Meeting, what: str) -> None:
    """RFC 7296 §1.3.2, §1.3.3: by its lifetime; there is no command for it."""
    pair = meet(OpenIked, peer={f"rekey_{what}": "6"})
    pair.connect()
    changes(pair, what, PATIENCE)
    wait_until(pair.ikeway.established, 5.0, "the successor")


@pytest.mark.conformance("CF-F02", "CF-F05")
def test_we_rekey_with_openiked(meet: Meeting) -> None:
    """RFC 7296 §2.8: as often as our lifetimes ask for."""
    pair = meet(OpenIked, ikeway={"lifetimes": {"child": "4s", "ike": "7s"}})
    pair.connect()
    for what in ("child", "ike"):
        changes(pair, what, PATIENCE)
    assert pair.ikeway.established()
    assert not pair.ikeway.said("no Child SA")


@pytest.mark.parametrize("role", [RESPONDER])
def test_we_demand_a_cookie_of_openiked(meet: Meeting) -> None:
    pair = meet(OpenIked, ikeway_top={"limits": {"cookies_from": 0}})
    pair.connect()
    assert pair.ikeway.said("N(COOKIE)")
    pair.carry()


@pytest.mark.conformance("CF-A04")
def test_openiked_with_another_secret(meet: Meeting) -> None:
    """RFC 7296 §2.15: whoever is first to check the other's proof refuses it."""
    pair = meet(OpenIked, peer={"psk": "not-the-same-secret"})
    if pair.is_initiator:
        pair.attempt()
    pair.ikeway.wait_for_log("AUTHENTICATION_FAILED", PATIENCE)
    assert not pair.ikeway.children()
    assert not pair.routes()

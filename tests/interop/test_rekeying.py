# SPDX-License-Identifier: Apache-2.0
"""Rekeys with strongSwan: new key exchanges, a method that is not wanted, both at one moment."""

import time

import pytest

from support.pair import ESP, INITIATOR, RESPONDER, Case, Pair, Tunnel
from support.steady import Pinger
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system]

PFS = f"{ESP}-x25519"
SECOND_METHOD = f"{ESP}-ecp384"
TWO_METHODS = f"{ESP}-x25519-ecp384"
OFTEN = {"child": "1s", "jitter": 0.0}
SECONDS = 2.0


def methods(pair: Pair) -> set[str]:
    """Return the key exchange methods that strongSwan knows of its Child SAs."""
    return {child.suite.partition("/")[2].rpartition("/")[2] for child in pair.peer_children()}


def pinging(pair: Pair, seconds: float = SECONDS) -> Pinger:
    """Ping from our end for a while."""
    ours, peer = pair.link.ours, pair.link.peer
    return Pinger(ours.namespace, ours.inner[4], peer.inner[4], seconds)


@pytest.mark.conformance("CF-F02")
@pytest.mark.parametrize("role", [INITIATOR])
@pytest.mark.parametrize("by", ["us", "strongSwan"])
def test_a_child_is_rekeyed_with_a_key_exchange_of_its_own(tunnel: Tunnel, by: str) -> None:
    """RFC 7296 §1.3.3: a KE payload in CREATE_CHILD_SA; the first Child SA has none (§1.2)."""
    pair = tunnel(Case(esp=PFS, ikeway={"lifetimes": OFTEN} if by == "us" else {}))
    pair.connect()
    assert "CURVE_25519" not in methods(pair)
    pinger = pinging(pair)
    if by == "strongSwan":
        pair.strongswan.rekey("child")
    wait_until(lambda: methods(pair) == {"CURVE_25519"}, 5.0, lambda: str(methods(pair)))
    assert pinger.lost()[1] == 0
    pair.carry()


@pytest.mark.conformance("CF-A03", "CF-F02")
@pytest.mark.parametrize("by", ["us", "strongSwan"])
def test_a_child_is_rekeyed_with_a_method_that_the_other_side_names(
    tunnel: Tunnel, role: str, by: str
) -> None:
    """RFC 7296 §1.3: INVALID_KE_PAYLOAD, and again with the method in it; known the next time."""
    if by == "us":
        case = Case(esp=SECOND_METHOD, ikeway={"esp": [TWO_METHODS], "lifetimes": OFTEN})
    else:
        case = Case(esp=SECOND_METHOD, strongswan={"esp": TWO_METHODS})
    pair = tunnel(case)
    pair.connect()
    pinger = pinging(pair)
    for _ in range(2):
        before = {child.spi_in for child in pair.peer_children()}
        if by == "strongSwan":
            pair.strongswan.rekey("child")
        wait_until(lambda old=before: is_new(pair, old), 5.0, "the rekey")
        assert methods(pair) == {"ECP_384"}
    assert pinger.lost()[1] == 0
    direction = "received" if by == "us" else "sent"
    refusals = [
        line
        for line in pair.ikeway.log().splitlines()
        if f"{direction} CREATE_CHILD_SA response" in line and "INVALID_KE_PAYLOAD" in line
    ]
    assert len(refusals) == 1
    pair.carry()


def is_new(pair: Pair, old: set[int]) -> bool:
    """Whether both ends have one Child SA, and it is another one."""
    now = {child.spi_in for child in pair.peer_children()}
    return len(now) == 1 and not now & old and len(pair.ikeway.children()) == 1


@pytest.mark.conformance("CF-F08", "CF-F11")
@pytest.mark.parametrize("role", [INITIATOR, RESPONDER])
@pytest.mark.parametrize("what", ["child", "ike"])
def test_both_rekey_at_one_moment(tunnel: Tunnel, role: str, what: str) -> None:
    """RFC 7296 §2.8.1, §2.8.2: our request is on its way when strongSwan sends its own."""
    late = {
        "place": "sent",
        "effect": "delay",
        "exchange": "CREATE_CHILD_SA",
        "kind": "request",
        "seconds": 0.5,
    }
    pair = tunnel(Case(ikeway={"lifetimes": {what: "2s", "jitter": 0.0}}, faults=(late,)))
    pair.connect()
    before = names(pair)
    pinger = pinging(pair, 3.0)
    pair.ikeway.wait_for_log("FAULT sent delay")
    pair.strongswan.rekey(what)
    time.sleep(0.8)
    crossing = [line for line in pair.ikeway.log().splitlines() if "CREATE_CHILD_SA" in line]
    assert "sent CREATE_CHILD_SA request" in crossing[0]
    assert "received CREATE_CHILD_SA request" in crossing[1]
    wait_until(lambda: pair.is_up() and len(pair.strongswan.sas()) == 1, 6.0, "one of each")
    assert names(pair)[what] != before[what]
    assert pinger.lost()[1] == 0
    pair.carry()


def names(pair: Pair) -> dict[str, object]:
    """Return what names the IKE SA and the Child SAs that are there."""
    sas = pair.ikeway.established()
    spis = frozenset(child.spi_in for sa in sas for child in sa.child_sas)
    return {"ike": frozenset(sa.id for sa in sas), "child": spis}

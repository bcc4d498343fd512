# SPDX-License-Identifier: Apache-2.0
"""Faults on demand beside strongSwan: what the RFC says of a message lost happens on both sides."""

import time

import pytest

from support.pair import Case, Pair, Tunnel
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system]

PROMPT = {"retransmission": {"first": "300ms"}}


def fault(place: str, effect: str, **more: object) -> dict[str, object]:
    """Return a rule of the file that `serve --faults` reads."""
    return {"place": place, "effect": effect, **more}


@pytest.mark.conformance("CF-B05")
@pytest.mark.parametrize("exchange", ["IKE_SA_INIT", "IKE_AUTH"])
@pytest.mark.parametrize("kind", ["request", "response"])
def test_a_message_of_the_handshake_is_lost(tunnel: Tunnel, exchange: str, kind: str) -> None:
    """RFC 7296 §2.1: the requester sends it again, the responder the same response again."""
    lost = fault("sent", "drop", exchange=exchange, kind=kind)
    gone = fault("received", "drop", exchange=exchange, kind=kind)
    pair = tunnel(Case(ikeway=PROMPT, faults=(lost, gone)))
    pair.attempt()
    wait_until(pair.is_up, 12.0, "the tunnel, in spite of the loss")
    assert pair.ikeway.said("FAULT")
    pair.carry()


@pytest.mark.parametrize("what", ["child", "ike"])
def test_the_response_to_a_rekey_is_corrupted(tunnel: Tunnel, what: str) -> None:
    """RFC 7296 §2.3: what does not verify is dropped, as if it had been lost."""
    changed = fault("sent", "corrupt", exchange="CREATE_CHILD_SA", kind="response")
    pair = tunnel(Case(faults=(changed,)))
    pair.connect()
    before = _name(pair, what)
    pair.strongswan.rekey(what)
    wait_until(lambda: _name(pair, what) not in {before, ""}, 12.0, "the rekey")
    wait_until(pair.is_up, 8.0, "one Child SA")
    pair.carry()


@pytest.mark.parametrize("what", ["child", "ike"])
def test_strongswans_response_to_a_rekey_is_corrupted(tunnel: Tunnel, what: str) -> None:
    changed = fault("received", "corrupt", exchange="CREATE_CHILD_SA", kind="response")
    pair = tunnel(Case(ikeway={"lifetimes": {what: "3s"}, **PROMPT}, faults=(changed,)))
    pair.connect()
    before = _name(pair, what)
    wait_until(lambda: _name(pair, what) not in {before, ""}, 12.0, "the rekey")
    assert pair.ikeway.said("FAULT received corrupt")


def test_every_message_comes_twice_or_late(tunnel: Tunnel) -> None:
    """RFC 7296 §2.1, §2.3: repeated messages have no second effect."""
    twice = fault("sent", "duplicate", count=0, seconds=0.05)
    late = fault("received", "delay", nth=2, count=1, seconds=1.0)
    pair = tunnel(Case(faults=(twice, late)))
    pair.attempt()
    wait_until(pair.is_up, 12.0, "the tunnel")
    pair.carry()
    pair.strongswan.rekey("child")
    time.sleep(1.0)
    wait_until(pair.is_up, 8.0, "one Child SA")
    pair.carry()


@pytest.mark.conformance("CF-A23")
def test_the_data_plane_refuses_the_first_child(tunnel: Tunnel) -> None:
    """RFC 7296 §1.2, §1.4.1: the IKE SA stays without a Child SA, at both ends."""
    pair = tunnel(Case(faults=(fault("install", "refuse"),)))
    pair.attempt()
    pair.ikeway.wait_for_log("FAULT install refuse", 8.0)
    pair.no_child_is_left()


def test_the_data_plane_refuses_a_successor(tunnel: Tunnel) -> None:
    """RFC 7296 §2.8: the old Child SA goes on carrying what it carried."""
    pair = tunnel(Case(faults=(fault("install", "refuse", nth=2),)))
    pair.connect()
    before = _name(pair, "child")
    pair.strongswan.rekey("child")
    pair.ikeway.wait_for_log("FAULT install refuse", 8.0)
    wait_until(pair.is_up, 8.0, "one Child SA")
    assert _name(pair, "child") == before
    pair.carry()


@pytest.mark.parametrize("purpose", ["sign", "verify"])
def test_the_answer_to_a_question_comes_late_and_twice(tunnel: Tunnel, purpose: str) -> None:
    """The peer repeats its request meanwhile, which starts nothing anew."""
    late = fault("answer", "delay", purpose=purpose, seconds=3.0)
    twice = fault("answer", "duplicate", purpose="install", count=0, seconds=0.2)
    pair = tunnel(Case(auth="ecdsa", faults=(late, twice)))
    pair.attempt()
    wait_until(pair.is_up, 14.0, "the tunnel")
    pair.carry()


def _name(pair: Pair, what: str) -> str:
    """Return what names the newest child, or the newest IKE SA."""
    sas = pair.ikeway.established()
    if not sas or not sas[-1].child_sas:
        return ""
    return sas[-1].id if what == "ike" else sas[-1].child_sas[-1].spi_in

# SPDX-License-Identifier: Apache-2.0
"""RFC 8019 §4.1, §4.2, §4.6, §6: who has to prove more, and who is left alone."""

from dataclasses import replace

import pytest

from ikeway.ike.states import AwaitAuthRequest
from ikeway.wire.message import Message
from ikeway.wire.payloads import Nonce, SecurityAssociation
from ikeway.wire.registry import ExchangeType, NotifyType
from ladders.test_cookies import arrive_from, cookie_in, under_attack, with_cookie
from support.forge import first_message, sealed_octets, session_of
from support.hosts import CBC, GCM, Row
from support.ladder import Ladder

QUIET = {"cookies_from": 1000}


def numbered(message: Message, number: int) -> Message:
    """Return the request of another attempt."""
    nonce = Nonce(number.to_bytes(32))
    changed = tuple(nonce if isinstance(one, Nonce) else one for one in message.payloads)
    return replace(message, payloads=changed)


def demands(ladder: Ladder, message: Message, address: str) -> str:
    """Return what a request from an address has to bring."""
    (answer,) = arrive_from(ladder, message, address)
    if answer.one(SecurityAssociation) is not None:
        return "nothing"
    kinds = [one.type.name for one in answer.payloads]  # type: ignore[attr-defined]
    return "+".join(kinds)


@pytest.mark.conformance("CF-O01")
@pytest.mark.parametrize(
    ("row", "near", "elsewhere"),
    [(GCM, "192.0.2.7", "192.0.2.8"), (CBC, "2001:db8:9:1::%d", "2001:db8:9:2::1")],
)
def test_a_source_with_many_half_open_sas_is_asked_first(
    row: Row, near: str, elsewhere: str
) -> None:
    """§4.2: by address, for IPv6 by /64: that one gets COOKIE first, others are untouched."""
    ladder = row.psk()
    under_attack(ladder, source_cookies_from=3, **QUIET)
    message = first_message(ladder)
    seen = [
        demands(ladder, numbered(message, n), near % n if "%d" in near else near)
        for n in range(1, 6)
    ]
    assert seen == ["nothing"] * 3 + ["COOKIE"] * 2
    assert demands(ladder, message, elsewhere) == "nothing"


@pytest.mark.conformance("CF-O01")
def test_a_network_with_many_half_open_sas_is_asked_for_more() -> None:
    """§4.2: a /24 whose addresses all come is a source, too."""
    ladder = GCM.psk()
    under_attack(ladder, network_half_open=3, **QUIET)
    message = first_message(ladder)
    seen = [demands(ladder, numbered(message, n), f"192.0.2.{n}") for n in range(1, 6)]
    assert seen == ["nothing"] * 3 + ["COOKIE"] * 2
    assert demands(ladder, message, "192.0.3.1") == "nothing"


@pytest.mark.conformance("CF-O01")
def test_a_source_that_is_too_quick_is_asked_for_a_cookie() -> None:
    """§4.2: also where each of its IKE SAs is soon done with."""
    ladder = GCM.psk()
    under_attack(ladder, source_rate=2, source_cookies_from=1000, **QUIET)
    message = first_message(ladder)
    seen = [demands(ladder, numbered(message, n), "192.0.2.1") for n in range(8)]
    assert seen.count("COOKIE") >= 2
    assert demands(ladder, message, "198.51.100.1") == "nothing"
    ladder.now += 10
    assert demands(ladder, numbered(message, 99), "192.0.2.1") == "nothing"


@pytest.mark.conformance("CF-O02")
def test_half_open_sas_are_dropped_sooner_under_attack() -> None:
    """§4.1: "makes sense to reduce this lifetime", but not below a round trip."""
    ladder = GCM.psk()
    under_attack(ladder, cookies_from=1)
    message = first_message(ladder)
    assert demands(ladder, message, "192.0.2.1") == "nothing"
    second = numbered(message, 2)
    cookie = cookie_in(arrive_from(ladder, second, "192.0.2.2"))
    assert arrive_from(ladder, with_cookie(second, cookie), "192.0.2.2")
    calm, pressed = [sa.state for sa in ladder.right.endpoint.sas]
    assert isinstance(calm, AwaitAuthRequest)
    assert isinstance(pressed, AwaitAuthRequest)
    assert calm.expires - ladder.now == 30
    assert pressed.expires - ladder.now == 10


@pytest.mark.conformance("CF-O03")
def test_a_forged_ike_auth_costs_no_new_key_exchange(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§4.6: "the Responder SHOULD still keep the computed SK_* keys"."""
    ladder = row.psk()
    ladder.initiate()
    ladder.deliver(*ladder.wire.popleft())
    ladder.deliver(*ladder.wire.popleft())
    host, genuine = ladder.wire.popleft()
    assert host is ladder.right
    before = session_of(host).keyring
    monkeypatch.setattr(type(before), "derive", lambda *_a, **_k: pytest.fail("derived again"))
    for number in range(20):
        octets = bytearray(genuine.octets)
        octets[-1 - number] ^= 0xFF
        ladder.deliver(host, replace(genuine, octets=bytes(octets)))
        assert session_of(host).keyring is before
    ladder.deliver(host, genuine)
    ladder.settle()
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


def test_a_source_whose_attempts_fail_has_to_prove_more() -> None:
    """§4.2: "it is also worthwhile to measure the number of failed IKE_AUTH exchanges"."""
    ladder = GCM.psk()
    under_attack(ladder, source_rate=20, source_cookies_from=1000, **QUIET)
    message = first_message(ladder)
    for number in range(3):
        assert demands(ladder, numbered(message, number), "192.0.2.1") == "nothing"
    ladder.wait(31)
    seen = [demands(ladder, numbered(message, n), "192.0.2.1") for n in range(100, 130)]
    assert "COOKIE" in seen
    assert demands(ladder, message, "198.51.100.1") == "nothing"


def test_an_initiator_that_fails_to_prove_itself_counts_as_failed() -> None:
    ladder = GCM.psk()
    under_attack(ladder, source_rate=20, **QUIET)
    ladder.initiate()
    ladder.deliver(*ladder.wire.popleft())
    ladder.deliver(*ladder.wire.popleft())
    session = session_of(ladder.left)
    ladder.wire.clear()
    octets = sealed_octets(session, 0, b"", 1, ExchangeType.IKE_AUTH)
    (answer,) = ladder.arrive(ladder.right, octets)
    assert answer
    assert ladder.right.refusals
    gate = ladder.right.endpoint._gate
    source = str(ladder.addresses[0])
    message = first_message(ladder)
    for number in range(25):
        arrive_from(ladder, numbered(message, number), source)
    assert demands(ladder, numbered(message, 77), source) == NotifyType.COOKIE.name
    assert gate is not None


def test_a_flood_from_everywhere_is_asked_for_cookies() -> None:
    """§6: also one of requests that never come to an IKE SA, and so leave none half open."""
    ladder = GCM.psk()
    under_attack(ladder, total_rate=5, **QUIET)
    message = first_message(ladder)
    seen = [demands(ladder, numbered(message, n), f"10.{n}.0.1") for n in range(8)]
    assert seen == ["nothing"] * 5 + ["COOKIE"] * 3
    ladder.now += 1
    assert demands(ladder, numbered(message, 99), "10.99.0.1") == "nothing"

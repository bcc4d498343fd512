# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §3, RFC 5282: what SK protects, and what becomes of all other messages."""

import pytest

from ikeway.ike import messages
from ikeway.wire.message import Flags, Message
from ikeway.wire.payloads import Delete, Nonce, Notify, VendorId
from ikeway.wire.registry import ExchangeType, NotifyType, ProtocolId
from support.forge import opened, request, sealed, sealed_octets, session_of
from support.hosts import CBC, GCM, Row
from support.ladder import Ladder

GONE = Delete(ProtocolId.IKE)


def up(row: Row) -> Ladder:
    ladder = row.psk()
    ladder.connect()
    return ladder


@pytest.mark.conformance("CF-K14", "CF-J15")
def test_an_integrity_failure_is_dropped_in_silence(row: Row) -> None:
    """§3.14: nothing changes: not a state, not a timer, not a window."""
    ladder = up(row)
    octets = request(ladder, ladder.left, (GONE,)).octets
    before, timers = ladder.right.states, dict(ladder.right.timers)
    for at in (*range(20, 28), *range(28, len(octets), 7), len(octets) - 1):
        flipped = bytearray(octets)
        flipped[at] ^= 0x01
        assert ladder.arrive(ladder.right, bytes(flipped)) == []
        assert ladder.right.states == before
    assert ladder.right.timers == timers
    ladder.arrive(ladder.right, octets)
    assert ladder.right.installed == {}


@pytest.mark.conformance("CF-K05")
@pytest.mark.parametrize("side", ["left", "right"])
def test_an_unprotected_message_has_no_effect_on_an_sa(row: Row, side: str) -> None:
    """§3.14: only what SK protects counts."""
    ladder = up(row)
    host = getattr(ladder, side)
    session = session_of(ladder.other(host))
    before = host.states
    for number in range(3):
        for is_response in (True, False):
            for exchange in (ExchangeType.INFORMATIONAL, ExchangeType.IKE_AUTH):
                head = messages.header(session.link, exchange, number, is_response=is_response)
                for payloads in ((GONE,), (), (Notify(NotifyType.AUTHENTICATION_FAILED),)):
                    assert ladder.arrive(host, Message(head, payloads).encode()) == []
    assert host.states == before


@pytest.mark.conformance("CF-K04")
def test_something_before_or_after_sk_is_dropped(row: Row) -> None:
    """§3.14: SK "MUST be the last payload"; ours takes it as the only one."""
    ladder = up(row)
    before = ladder.right.states
    octets = request(ladder, ladder.left, (GONE,)).octets
    for changed in (
        octets + b"\0\0\0\4",
        octets[:16] + b"\x2b" + octets[17:28] + b"\x2e\0\0\4" + octets[28:],
    ):
        sized = changed[:24] + len(changed).to_bytes(4) + changed[28:]
        assert ladder.arrive(ladder.right, sized) == []
        assert ladder.right.states == before


@pytest.mark.conformance("CF-K02")
@pytest.mark.parametrize("flag", [Flags.INITIATOR, Flags.RESPONSE])
def test_wrong_flags_match_no_sa(row: Row, flag: Flags) -> None:
    """§3.1: R says request or response, I says who began the SA."""
    ladder = up(row)
    before = ladder.right.states
    octets = bytearray(sealed(session_of(ladder.left), (GONE,), 2))
    octets[19] ^= flag
    ladder.arrive(ladder.right, bytes(octets))
    assert ladder.right.states == before


@pytest.mark.conformance("CF-K02")
def test_a_message_of_ours_does_not_come_back_to_us(row: Row) -> None:
    """§3.1: a reflected message has our own I flag."""
    ladder = up(row)
    before = ladder.left.states
    for host, datagram in list(ladder.sent):
        if host is ladder.left:
            ladder.arrive(ladder.left, datagram.octets)
    assert ladder.left.states == before


@pytest.mark.conformance("CF-K13")
def test_cbc_ivs_are_fresh() -> None:
    """§3.14: "the IV ... MUST be unpredictable"; the same request twice looks like two."""
    ladder = up(CBC)
    session = session_of(ladder.left)
    ivs = {sealed(session, (), number)[32:48] for number in range(50)}
    assert len(ivs) == 50


@pytest.mark.conformance("CF-K16")
def test_aead_ivs_never_repeat_under_a_key() -> None:
    """RFC 5282 §3.1: 8 octets, unique per key."""
    ladder = up(GCM)
    for _ in range(20):
        ladder.check_liveness(ladder.left)
        ladder.settle()
    mine = [one.octets for host, one in ladder.sent if host is ladder.left][1:]
    ivs = [octets[32:40] for octets in mine]
    assert len(set(ivs)) == len(ivs) == 21


@pytest.mark.conformance("CF-K16")
def test_the_header_is_protected_too() -> None:
    """RFC 5282 §5.1: the additional data is all that stands before the IV."""
    ladder = up(GCM)
    before = ladder.right.states
    octets = request(ladder, ladder.left, (GONE,)).octets
    for at in range(28, 32):
        flipped = octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]
        assert ladder.arrive(ladder.right, flipped) == []
    assert ladder.right.states == before


@pytest.mark.conformance("CF-K15")
def test_an_empty_sk_payload_is_a_liveness_check(row: Row) -> None:
    """§3.14, §1.4: no payload inside is fine."""
    ladder = up(row)
    (answer,) = ladder.arrive(ladder.right, sealed_octets(session_of(ladder.left), 0, b"", 2))
    assert opened(ladder.left, answer).payloads == ()


@pytest.mark.conformance("CF-K12")
def test_vendor_ids_of_any_kind_and_number_are_ignored(row: Row) -> None:
    """§3.12."""
    ladder = up(row)
    vendors = tuple(VendorId(bytes(size)) for size in range(40))
    (answer,) = ladder.arrive(ladder.right, request(ladder, ladder.left, vendors).octets)
    assert opened(ladder.left, answer).payloads == ()


@pytest.mark.conformance("CF-B01", "CF-K06")
def test_more_payloads_than_any_message_needs_are_malformed(row: Row) -> None:
    """I5: a bound on the work that one message can cause."""
    ladder = up(row)
    many = tuple(Nonce(bytes(16)) for _ in range(300))
    (answer,) = ladder.arrive(ladder.right, request(ladder, ladder.left, many).octets)
    assert opened(ladder.left, answer).payloads == (Notify(NotifyType.INVALID_SYNTAX),)

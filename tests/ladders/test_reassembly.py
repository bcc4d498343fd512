# SPDX-License-Identifier: Apache-2.0
"""RFC 7383 §2.6, §5: fragments as nobody should send them, and attacks with them."""

from dataclasses import replace

import pytest

from ikeway.ike.reassembly import OCTETS_MOST, PIECES_MOST, Fragmentation
from ikeway.ike.states import AwaitAuthRequest
from ikeway.wire.message import Header, Message
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType
from support.agreement import agree
from support.forge import opened, session_in, session_of
from support.fragmenting import Cutter, is_fragment, long, sent_by
from support.hosts import GCM, Row
from support.ladder import Ladder
from support.shell import Host


def up(row: Row) -> tuple[Ladder, Cutter]:
    ladder = row.psk()
    ladder.connect()
    return ladder, Cutter(session_of(ladder.left), 2)


def stored(host: Host) -> Fragmentation:
    return session_of(host).fragmentation


def arrive(ladder: Ladder, *fragments: bytes) -> list[bytes]:
    """Give the right host fragments; return what it says."""
    return [said for octets in fragments for said in ladder.arrive(ladder.right, octets)]


# Numbers ------------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-L03")
@pytest.mark.parametrize(("number", "total"), [(0, 2), (0, 0), (1, 0), (3, 2), (65535, 2)])
def test_numbers_that_cannot_be_are_dropped(row: Row, number: int, total: int) -> None:
    """§2.6: "non-zero", and "less than or equal to"; "the message MUST be silently discarded"."""
    ladder, cutter = up(row)
    assert arrive(ladder, cutter.piece(number, total, b"chunk")) == []
    assert ladder.right.drops == [f"fragment {number} of {total}"]
    assert stored(ladder.right) == Fragmentation()


@pytest.mark.conformance("CF-L12")
@pytest.mark.parametrize("total", [257, 65535])
def test_nobody_sends_so_many_fragments(row: Row, total: int) -> None:
    """§5: memory is bounded."""
    ladder, cutter = up(row)
    assert arrive(ladder, cutter.piece(1, total, b"chunk")) == []
    assert stored(ladder.right) == Fragmentation()


@pytest.mark.conformance("CF-L04")
def test_a_smaller_total_is_dropped_and_a_larger_one_starts_anew(row: Row) -> None:
    """§2.6: "the receiver MUST discard all received fragments and start ... over"."""
    ladder, cutter = up(row)
    payloads = (long(900),)
    three, five = cutter.cut(payloads, 3), cutter.cut(payloads, 5)
    arrive(ladder, three[0], three[1], five[3])
    (incomplete,) = stored(ladder.right).incomplete
    assert (incomplete.total, [number for number, _ in incomplete.chunks]) == (5, [4])
    assert arrive(ladder, three[2]) == []
    assert ladder.right.drops == ["fragment 3 of 3, where there are 5 now"]
    (answer,) = arrive(ladder, five[0], five[4], five[1], five[2])
    assert Header.decode(answer).is_response
    assert stored(ladder.right).incomplete == ()


@pytest.mark.conformance("CF-L04", "CF-L06")
def test_a_forged_larger_total_does_not_start_anew(row: Row) -> None:
    """§2.6: the ICV is checked before: an attacker must not empty the queue."""
    ladder, cutter = up(row)
    three, five = cutter.cut((long(900),), 3), cutter.cut((long(900),), 5)
    arrive(ladder, three[0], three[1])
    before = stored(ladder.right)
    forged = bytearray(five[0])
    forged[-1] ^= 1
    assert arrive(ladder, bytes(forged)) == []
    assert stored(ladder.right) == before
    assert len(arrive(ladder, three[2])) == 1


@pytest.mark.conformance("CF-L05")
def test_a_fragment_twice_is_one_fragment(row: Row) -> None:
    """§2.6: "considered a replay and MUST be silently discarded"."""
    ladder, cutter = up(row)
    one, two = cutter.cut((long(900),), 2)
    other = cutter.piece(1, 2, b"other octets under the same numbers")
    arrive(ladder, one, one, other)
    assert ladder.right.drops == ["fragment 1 of 2 is there already"] * 2
    assert len(arrive(ladder, two)) == 1
    assert session_of(ladder.right).window.expected == 3


@pytest.mark.conformance("CF-L06")
def test_whatever_is_changed_in_a_fragment_nothing_is_stored(row: Row) -> None:
    """§2.6: "If the ICV check fails, the message MUST be silently discarded"."""
    ladder, cutter = up(row)
    (octets, _) = cutter.cut((long(60),), 2)
    arrive(ladder, cutter.piece(1, 3, b"x", PayloadType.NOTIFY))
    before = stored(ladder.right)
    for at in range(20, len(octets)):
        changed = bytearray(octets)
        changed[at] ^= 0x41
        assert arrive(ladder, bytes(changed)) == []
    assert stored(ladder.right) == before


@pytest.mark.conformance("CF-L06")
def test_fragments_cannot_be_mixed_between_messages(row: Row) -> None:
    """§2.6: message ID, direction and exchange are part of what the ICV covers and what is told
    apart."""
    ladder, cutter = up(row)
    other = replace(cutter, exchange=ExchangeType.CREATE_CHILD_SA, sealed=7000)
    one, two = cutter.cut((long(900),), 2)
    alien = other.cut((long(900),), 2)
    assert arrive(ladder, one, alien[1]) == []
    assert len(stored(ladder.right).incomplete) == 2
    assert len(arrive(ladder, two)) == 1
    assert stored(ladder.right).incomplete == ()


# Whole messages -----------------------------------------------------------------------------------


@pytest.mark.conformance("CF-L07", "CF-B01")
@pytest.mark.parametrize("octets", [1280, 3000, 60000])
def test_the_whole_is_as_if_it_had_come_in_one(row: Row, octets: int) -> None:
    """§2.6: "processed as if it was received, verified, and decrypted as a regular IKE message"."""
    ladder, cutter = up(row)
    pieces = cutter.cut((long(octets),), 90)
    (answer,) = arrive(ladder, *reversed(pieces))
    assert opened(ladder.left, answer).payloads == ()
    assert session_of(ladder.right).window.expected == 3


def test_one_fragment_of_one_is_a_message(row: Row) -> None:
    """§2.5: 1 <= Fragment Number <= Total Fragments."""
    ladder, cutter = up(row)
    assert len(arrive(ladder, *cutter.cut((), 1))) == 1


@pytest.mark.parametrize("total", [2, 7])
def test_a_whole_that_cannot_be_read_is_answered_once(row: Row, total: int) -> None:
    """RFC 7296 §2.21.3: authentic and malformed: INVALID_SYNTAX, and the IKE SA is over."""
    ladder, cutter = up(row)
    chunks = [cutter.piece(n, total, b"\xff" * 9, PayloadType.SA) for n in range(1, total + 1)]
    keyring = session_of(ladder.left).keyring
    (answer,) = arrive(ladder, *chunks)
    message = keyring.open(Message.decode(answer).header, answer)
    assert message.notify(NotifyType.INVALID_SYNTAX)


def test_an_sk_payload_inside_fragments_is_refused(row: Row) -> None:
    """§2.5: an Encrypted payload is never inside another."""
    ladder, cutter = up(row)
    keyring = session_of(ladder.left).keyring
    inner = [cutter.piece(1, 2, b"\0" * 9, PayloadType.SK), cutter.piece(2, 2, b"\0")]
    (answer,) = arrive(ladder, *inner)
    assert keyring.open(Message.decode(answer).header, answer).notify(NotifyType.INVALID_SYNTAX)


# Time and memory ----------------------------------------------------------------------------------


@pytest.mark.conformance("CF-L08")
def test_an_incomplete_request_is_forgotten_and_the_sa_is_none_the_worse(row: Row) -> None:
    """§2.6: "acts as if no request message was received ... not treat it as an ... failure"."""
    ladder, cutter = up(row)
    one, two = cutter.cut((long(900),), 2)
    arrive(ladder, one)
    ladder.wait(29)
    assert stored(ladder.right).incomplete
    ladder.wait(2)
    assert stored(ladder.right).incomplete == ()
    assert "a message of which fragments are missing" in ladder.right.drops
    assert arrive(ladder, two) == []
    ladder.wait(60)
    agree(ladder)


@pytest.mark.conformance("CF-L08")
def test_an_incomplete_response_is_asked_for_again(row: Row) -> None:
    """§2.6: the initiator "retransmits the fragmented request message"."""
    size = {"fragment_size": 576}
    ladder = row.certificates(size, size)
    lost = []

    def fate(host: Host, datagram):  # type: ignore[no-untyped-def]
        if host is ladder.right and is_fragment(datagram.octets) and not lost:
            lost.append(datagram)
            return []
        return [datagram]

    ladder.fate = fate
    ladder.connect()
    assert not ladder.left.established
    ladder.wait(1)
    agree(ladder)


@pytest.mark.conformance("CF-L12")
def test_an_authentic_peer_cannot_fill_the_memory(row: Row) -> None:
    """§5: "limiting the total size"; the SA goes on, with nothing stored."""
    ladder, cutter = up(row)
    most = 0
    for number in range(1, 120):
        arrive(ladder, cutter.piece(number, 200, bytes(1200)))
        most = max(most, stored(ladder.right).octets)
    assert most <= OCTETS_MOST
    assert f"incomplete messages of more than {OCTETS_MOST} octets" in ladder.right.drops
    assert len(arrive(ladder, *replace(cutter, sealed=9000).cut((long(900),), 250))) == 1


@pytest.mark.conformance("CF-L12")
def test_empty_fragments_do_not_fill_it_either() -> None:
    """§5: what counts is what it costs, also over many exchange types and message IDs."""
    size = {"window": 64}
    ladder = GCM.psk(size, size)
    ladder.connect()
    session, most = session_of(ladder.left), 0
    for message_id in range(2, 66):
        cutter = Cutter(session, message_id, sealed=message_id * 1000)
        for number in range(2, 20):
            arrive(ladder, cutter.piece(number, 256, b""))
            most = max(most, stored(ladder.right).pieces)
    assert most <= PIECES_MOST
    assert stored(ladder.right).pieces <= PIECES_MOST


@pytest.mark.conformance("CF-L12", "CF-L06")
def test_without_keys_nothing_is_stored_before_authentication(row: Row) -> None:
    """§5: fragments of whoever saw IKE_SA_INIT, but made no keys, cost no memory."""
    ladder = row.certificates({"fragment_size": 576}, {"fragment_size": 576})
    ladder.initiate()
    ladder.deliver(*ladder.wire.popleft())
    ladder.deliver(*ladder.wire.popleft())
    genuine = [datagram for _, datagram in ladder.wire]
    ladder.wire.clear()
    for datagram in genuine:
        forged = bytearray(datagram.octets)
        forged[-3] ^= 0xFF
        ladder.deliver(ladder.right, replace(datagram, octets=bytes(forged)))
    (state,) = ladder.right.states
    assert isinstance(state, AwaitAuthRequest)
    assert session_in(state).fragmentation == Fragmentation()
    for datagram in genuine:
        ladder.deliver(ladder.right, datagram)
    ladder.settle()
    agree(ladder)


@pytest.mark.conformance("CF-L12")
def test_half_open_sas_forget_their_fragments_with_their_time(row: Row) -> None:
    """RFC 7296 §2.6: what an initiator stored before its proof goes when its time is over."""
    ladder = row.certificates({"fragment_size": 576}, {"fragment_size": 576})
    ladder.initiate()
    ladder.deliver(*ladder.wire.popleft())
    ladder.deliver(*ladder.wire.popleft())
    ladder.deliver(*ladder.wire.popleft())
    ladder.wire.clear()
    ladder.fate = lambda _host, _datagram: []
    (state,) = ladder.right.states
    assert session_in(state).fragmentation.pieces == 1
    ladder.wait(31)
    assert ladder.right.endpoint.sas == ()


def test_a_fragment_beyond_the_window_is_told_of_once(row: Row) -> None:
    """RFC 7296 §2.3: INVALID_MESSAGE_ID, by its first fragment alone."""
    ladder, cutter = up(row)
    beyond = replace(cutter, message_id=40)
    said = arrive(ladder, *beyond.cut((long(900),), 3))
    assert len(said) == 1
    assert Header.decode(said[0]).is_request
    assert stored(ladder.right) == Fragmentation()
    ladder.settle()
    agree(ladder)


def test_a_response_that_nobody_waits_for_is_not_stored(row: Row) -> None:
    """RFC 7296 §2.2."""
    ladder, _ = up(row)
    cutter = Cutter(session_of(ladder.left), 0, is_response=True)
    arrive(ladder, *cutter.cut((long(900),), 3))
    assert stored(ladder.right) == Fragmentation()
    assert sent_by(ladder, ladder.right)[-1][18] == ExchangeType.IKE_AUTH

# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.2, §2.3: message IDs, and windows of size 1."""

from dataclasses import replace

import pytest

from ikeway.ike.states import Deleting, Established
from ikeway.ike.window import MESSAGE_ID_LAST, Window
from ikeway.model.errors import MalformedError
from ikeway.wire.message import Message
from ikeway.wire.payloads import Delete, Notify
from ikeway.wire.registry import ExchangeType, NotifyType, ProtocolId
from support.forge import edited, request, sealed, sealed_octets, session_of
from support.hosts import Row
from support.ladder import Ladder
from support.shell import Host


@pytest.mark.conformance("CF-C02")
def test_the_next_request_waits_for_the_response(row: Row) -> None:
    """§2.3: "an IKE endpoint MUST NOT exceed the peer's stated window size"."""
    ladder = row.psk()
    ladder.connect()
    ladder.check_liveness(ladder.left)
    ladder.check_liveness(ladder.left)
    ladder.disconnect(ladder.left)
    assert len(ladder.sent) == 5
    ladder.settle()
    assert ladder.left.said[2:] == [
        "INFORMATIONAL request 2 []",
        "INFORMATIONAL request 3 [D(IKE)]",
    ]
    assert ladder.left.states == []


@pytest.mark.conformance("CF-C03")
@pytest.mark.parametrize("starter", ["left", "right"])
def test_a_request_is_answered_while_ours_waits(row: Row, starter: str) -> None:
    """§2.3: "to avoid a deadlock ... MUST be prepared to accept and process a request"."""
    ladder = row.psk()
    ladder.connect()
    ladder.check_liveness(ladder.left)
    ladder.check_liveness(ladder.right)
    if starter == "right":
        ladder.wire.rotate()
    ladder.settle()
    for host in (ladder.left, ladder.right):
        (state,) = host.established
        assert not state.session.window.outstanding
    assert "INFORMATIONAL response 0 []" in ladder.left.said
    assert "INFORMATIONAL response 2 []" in ladder.right.said


@pytest.mark.conformance("CF-C05")
@pytest.mark.parametrize("ahead", [1, 2, 1000])
def test_a_request_outside_the_window_is_dropped(row: Row, ahead: int) -> None:
    """§2.3: "the invalid request MUST NOT be acknowledged"."""
    ladder = row.psk()
    ladder.connect()
    (before,) = ladder.right.established
    beyond = sealed(session_of(ladder.left), (Delete(ProtocolId.IKE),), 2 + ahead)
    said = [Message.decode(octets).header for octets in ladder.arrive(ladder.right, beyond)]
    assert all(header.is_request for header in said)
    (after,) = ladder.right.established
    assert after.session.window.expected == before.session.window.expected
    assert after.children == before.children


@pytest.mark.conformance("CF-C04")
def test_the_last_request_gets_its_response_again(row: Row) -> None:
    """§2.3: the responder keeps the responses of its window, here of one."""
    ladder = row.psk()
    ladder.connect()
    asked = request(ladder, ladder.left, ()).octets
    (answer,) = ladder.arrive(ladder.right, asked)
    assert [ladder.arrive(ladder.right, asked) for _ in range(3)] == [[answer]] * 3


@pytest.mark.conformance("CF-C01", "CF-C07")
@pytest.mark.parametrize("data", [b"", b"\0\0\0\5", b"\5", b"\0\0\0\5\0"])
def test_a_window_size_changes_nothing_as_long_as_ours_is_one(row: Row, data: bytes) -> None:
    """§2.3: a larger window allows and obliges to nothing; one of an odd length is ignored."""
    ladder = row.psk()
    size = Notify(NotifyType.SET_WINDOW_SIZE, data)
    edited(ladder, lambda payloads: (*payloads, size), ExchangeType.IKE_AUTH, ladder.right)
    ladder.connect()
    assert ladder.left.established
    assert ladder.right.established
    ladder.check_liveness(ladder.left)
    ladder.check_liveness(ladder.left)
    assert len(ladder.sent) == 5


def near_the_end(ladder: Ladder, next_request: int, expected: int) -> None:
    """Move both sides to the end of the left one's message IDs."""

    def move(host: Host, **ids: int) -> None:
        (sa,) = host.endpoint.sas
        state = sa.state
        assert isinstance(state, Established)
        window = replace(state.session.window, answered=(), **ids)
        sa._state = replace(state, session=replace(state.session, window=window))

    move(ladder.left, next_request=next_request, expected=expected)
    move(ladder.right, next_request=expected, expected=next_request)


@pytest.mark.conformance("CF-B15")
def test_the_last_message_id_of_ours_is_for_the_delete(row: Row) -> None:
    """§2.2: Message IDs do not wrap: the IKE SA is closed before."""
    ladder = row.psk()
    ladder.connect()
    near_the_end(ladder, MESSAGE_ID_LAST - 1, 0)
    ladder.check_liveness(ladder.left)
    ladder.settle()
    assert isinstance(ladder.left.states, list)
    assert ladder.left.said[-1] == f"INFORMATIONAL request {MESSAGE_ID_LAST} [D(IKE)]"
    ladder.wait(16)
    assert ladder.left.states == ladder.right.states == []
    assert ladder.left.ends[0].reason == "its message IDs are used up"


@pytest.mark.conformance("CF-B15")
def test_the_last_message_id_of_the_peer_ends_the_sa(row: Row) -> None:
    """§2.2: the peer could not ask anything any more."""
    ladder = row.psk()
    ladder.connect()
    near_the_end(ladder, 5, MESSAGE_ID_LAST)
    octets = sealed(session_of(ladder.right), (), MESSAGE_ID_LAST)
    ladder.arrive(ladder.left, octets)
    assert ladder.left.said[-1] == "INFORMATIONAL request 5 [D(IKE)]"
    assert isinstance(ladder.left.states[0], Deleting)


def test_a_window_is_spent_when_one_message_id_is_left() -> None:
    """§2.2."""
    assert not Window(next_request=MESSAGE_ID_LAST - 1).is_spent
    assert Window(next_request=MESSAGE_ID_LAST).is_spent
    assert Window(next_request=MESSAGE_ID_LAST).may_request
    assert not Window(next_request=MESSAGE_ID_LAST + 1).may_request


@pytest.mark.conformance("CF-B16")
def test_a_response_of_another_exchange_is_dropped(row: Row) -> None:
    """§2.2: a response is of the exchange of its request."""
    ladder = row.psk()
    ladder.connect()
    ladder.check_liveness(ladder.left)
    ladder.wire.clear()
    (before,) = ladder.left.states
    wrong = sealed(session_of(ladder.right), (), 2, ExchangeType.CREATE_CHILD_SA, is_response=True)
    ladder.arrive(ladder.left, wrong)
    assert ladder.left.states == [before]


@pytest.mark.conformance("CF-B01")
@pytest.mark.parametrize("octets", [1280, 3000, 60000])
def test_long_messages_are_processed(row: Row, octets: int) -> None:
    """§2: messages of 1280 octets have to be processed, those of 3000 should be."""
    ladder = row.psk()
    ladder.connect()
    long = Notify(NotifyType(40000), bytes(octets - 28 - 4 - 8 - 16 - 4 - 8))
    (answer,) = ladder.arrive(ladder.right, sealed(session_of(ladder.left), (long,), 2))
    assert Message.decode(answer).header.is_response


def test_what_cannot_be_read_after_it_was_answered_is_a_repetition(row: Row) -> None:
    """§2.1: the octets inside a repetition do not matter."""
    ladder = row.psk()
    ladder.connect()
    (answer,) = ladder.arrive(ladder.right, request(ladder, ladder.left, ()).octets)
    broken = sealed_octets(session_of(ladder.left), 41, b"\0\0\0\1", 2)
    with pytest.raises(MalformedError):
        session_of(ladder.right).keyring.open(Message.decode(broken).header, broken)
    assert ladder.arrive(ladder.right, broken) == [answer]
    assert ladder.right.established

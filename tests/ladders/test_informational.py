# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §1.3-1.5, §2.25: requests on an established IKE SA, and its end."""

import pytest

from ikeway.ike import messages, reports
from ikeway.ike.io import InstallChild
from ikeway.ike.questions import Refused
from ikeway.ike.states import Deleting, Lingering
from ikeway.wire.codec import Body
from ikeway.wire.message import Flags, Message
from ikeway.wire.payloads import Delete, Notify, VendorId
from ikeway.wire.registry import ExchangeType, NotifyType, ProtocolId
from support.forge import opened, request, sealed, sealed_octets, session_of
from support.hosts import Row
from support.ladder import Ladder
from support.shell import Host

DELETE_IKE = Delete(ProtocolId.IKE)


def esp(*spis: int) -> Delete:
    return Delete(ProtocolId.ESP, 4, tuple(spi.to_bytes(4) for spi in spis))


def asked(ladder: Ladder, *payloads: Body, by: str = "left") -> Message:
    """Let one side ask on an established SA, and return the answer, opened."""
    host: Host = getattr(ladder, by)
    (answer,) = ladder.arrive(ladder.other(host), request(ladder, host, payloads).octets)
    return opened(host, answer)


def up(row: Row) -> Ladder:
    ladder = row.psk()
    ladder.connect()
    return ladder


@pytest.mark.conformance("CF-A20", "CF-K15", "CF-J14", "CF-K12")
@pytest.mark.parametrize(
    "payloads",
    [
        (),
        (Notify(NotifyType(40000), b"whatever"),),
        (Notify(NotifyType(12000), b"an unknown error"),),
        (Notify(NotifyType.INVALID_SPI, b"spi!"), VendorId(b""), VendorId(b"who knows")),
    ],
)
@pytest.mark.parametrize("by", ["left", "right"])
def test_a_request_gets_exactly_one_response(row: Row, payloads: tuple[Body, ...], by: str) -> None:
    """§1.4: "The recipient of an INFORMATIONAL exchange request MUST send some response"."""
    ladder = up(row)
    assert asked(ladder, *payloads, by=by).payloads == ()
    assert ladder.left.established
    assert ladder.right.established


@pytest.mark.conformance("CF-A23", "CF-K11")
@pytest.mark.parametrize("by", ["left", "right"])
def test_deleting_a_child_closes_both_directions(row: Row, by: str) -> None:
    """§1.4.1: the answer deletes "the paired SAs going in the other direction"."""
    ladder = up(row)
    other = ladder.other(getattr(ladder, by))
    child = other.child
    answer = asked(ladder, esp(child.spi_out), by=by)
    assert answer.payloads == (esp(child.spi_in),)
    assert other.installed == {}
    assert other.established[0].children == ()
    assert other.seen(reports.ChildClosed)


@pytest.mark.conformance("CF-F22")
@pytest.mark.parametrize("spis", [(0xDEADBEEF,), (1, 2, 3), ()])
def test_deleting_what_is_not_there_is_answered_without_a_delete(
    row: Row, spis: tuple[int, ...]
) -> None:
    """§2.25.1: an unknown SPI is no error."""
    ladder = up(row)
    assert asked(ladder, esp(*spis)).payloads == ()
    assert ladder.right.installed


@pytest.mark.conformance("CF-A23")
def test_our_own_spi_is_not_the_peers_to_delete(row: Row) -> None:
    """§1.4.1: the SPIs are those that the sender would expect in its inbound packets."""
    ladder = up(row)
    assert asked(ladder, esp(ladder.right.child.spi_in)).payloads == ()
    assert ladder.right.installed


@pytest.mark.conformance("CF-K11")
def test_deletes_of_several_protocols_may_stand_in_one_message(row: Row) -> None:
    """§3.11: one payload for each protocol."""
    ladder = up(row)
    child = ladder.right.child
    ah = Delete(ProtocolId.AH, 4, (b"ah01",))
    assert asked(ladder, ah, esp(child.spi_out)).payloads == (esp(child.spi_in),)


@pytest.mark.conformance("CF-A25")
@pytest.mark.parametrize("by", ["left", "right"])
def test_deleting_the_ike_sa_takes_its_children_along(row: Row, by: str) -> None:
    """§1.4.1: "Deleting an IKE SA implicitly closes any remaining Child SAs"."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    ladder.disconnect(host)
    assert isinstance(host.states[0], Deleting)
    ladder.settle()
    other = ladder.other(host)
    assert other.said[-1].endswith("[]")
    assert ladder.left.installed == ladder.right.installed == {}
    assert host.states == []
    assert isinstance(other.states[0], Lingering)
    ladder.wait(16)
    assert other.states == []
    assert [end.is_failure for end in ladder.left.ends + ladder.right.ends] == [False, False]


@pytest.mark.conformance("CF-A25")
def test_a_deleted_sa_gives_no_protected_answer(row: Row) -> None:
    """§1.4.1: there is nothing left to talk about."""
    ladder = up(row)
    session = session_of(ladder.left)
    asked(ladder, DELETE_IKE)
    assert ladder.arrive(ladder.right, sealed(session, (), 3)) == []
    ladder.wait(16)
    for octets in ladder.arrive(ladder.right, sealed(session, (), 3)):
        assert Message.decode(octets).payloads == (Notify(NotifyType.INVALID_IKE_SPI),)


@pytest.mark.conformance("CF-F25", "CF-A24")
def test_both_sides_delete_at_once(row: Row) -> None:
    """§2.25.2: both answer, and both are rid of the SA."""
    ladder = up(row)
    ladder.disconnect(ladder.left)
    ladder.disconnect(ladder.right)
    ladder.settle()
    assert ladder.left.said[-1] == "INFORMATIONAL response 0 []"
    assert ladder.right.said[-1] == "INFORMATIONAL response 2 []"
    ladder.wait(16)
    assert ladder.left.states == ladder.right.states == []
    assert len(ladder.left.ends) == len(ladder.right.ends) == 1


@pytest.mark.conformance("CF-F25")
@pytest.mark.parametrize("exchange", [ExchangeType.CREATE_CHILD_SA, ExchangeType.IKE_AUTH])
def test_other_requests_that_cross_our_delete_are_put_off(row: Row, exchange: ExchangeType) -> None:
    """§2.25.2: "TEMPORARY_FAILURE"."""
    ladder = up(row)
    ladder.disconnect(ladder.right)
    ladder.wire.clear()
    (answer,) = ladder.arrive(ladder.right, request(ladder, ladder.left, (), exchange).octets)
    assert opened(ladder.left, answer).payloads == (Notify(NotifyType.TEMPORARY_FAILURE),)
    assert isinstance(ladder.right.states[0], Deleting)


@pytest.mark.conformance("CF-A20")
def test_a_liveness_check_that_crosses_our_delete_is_answered(row: Row) -> None:
    """§2.25.2: the SA is there until the Delete is answered."""
    ladder = up(row)
    ladder.disconnect(ladder.right)
    ladder.wire.clear()
    (answer,) = ladder.arrive(ladder.right, request(ladder, ladder.left, ()).octets)
    assert opened(ladder.left, answer).payloads == ()


def test_disconnecting_twice_is_disconnecting_once(row: Row) -> None:
    """§1.4.1: an SA that is at its end has no other."""
    ladder = up(row)
    ladder.disconnect(ladder.left)
    ladder.disconnect(ladder.left)
    ladder.settle()
    ladder.disconnect(ladder.right)
    assert len(ladder.sent) == 6
    assert len(ladder.left.ends) == len(ladder.right.ends) == 1


def test_a_delete_that_is_never_answered_is_given_up(row: Row) -> None:
    """§2.1: there is nothing more to lose."""
    ladder = up(row)
    ladder.fate = lambda _host, _datagram: []
    ladder.disconnect(ladder.left)
    ladder.wait(31)
    assert ladder.left.states == []
    assert len(ladder.left.ends) == 1


def test_a_delete_waits_for_the_answer_to_what_was_asked_before(row: Row) -> None:
    """§2.3: the window is one request wide."""
    ladder = up(row)
    ladder.check_liveness(ladder.left)
    ladder.disconnect(ladder.left)
    assert ladder.left.installed == {}, "the Child SAs go at once"
    assert ladder.left.said[-1] == "INFORMATIONAL request 2 []"
    ladder.settle()
    assert ladder.left.said[-1] == "INFORMATIONAL request 3 [D(IKE)]"
    assert isinstance(ladder.right.states[0], Lingering)


@pytest.mark.conformance("CF-A26", "CF-C11")
@pytest.mark.parametrize(
    "kind",
    [NotifyType.INVALID_SPI, NotifyType.INVALID_IKE_SPI, NotifyType.INVALID_MAJOR_VERSION],
)
@pytest.mark.parametrize("is_response", [True, False])
def test_unprotected_notifies_change_nothing(row: Row, kind: NotifyType, is_response: bool) -> None:
    """§2.21.4: "MUST NOT respond and MUST NOT change the state of any existing SAs"."""
    ladder = up(row)
    before = ladder.left.states
    session = session_of(ladder.right)
    head = messages.header(session.link, ExchangeType.INFORMATIONAL, 0, is_response=is_response)
    octets = Message(head, (Notify(kind, b"spi!"),)).encode()
    assert ladder.arrive(ladder.left, octets) == []
    assert ladder.left.states == before


@pytest.mark.conformance("CF-A26", "CF-D02")
def test_an_unprotected_notify_about_esp_is_dropped(row: Row) -> None:
    """§1.5: its SPIs are zero, its I flag is set."""
    ladder = up(row)
    before = ladder.left.states
    octets = Message.build(
        bytes(8),
        bytes(8),
        ExchangeType.INFORMATIONAL,
        Flags.INITIATOR,
        0,
        (Notify(NotifyType.INVALID_SPI, b"spi!"),),
    ).encode()
    assert ladder.arrive(ladder.left, octets) == []
    assert ladder.left.states == before


@pytest.mark.conformance("CF-J10", "CF-K01")
@pytest.mark.parametrize("exchange", [ExchangeType.IKE_AUTH, ExchangeType(38), ExchangeType(240)])
def test_an_exchange_that_has_no_place_is_a_malformed_request(
    row: Row, exchange: ExchangeType
) -> None:
    """§2.21.3: INVALID_SYNTAX "is considered fatal in both peers"."""
    ladder = up(row)
    (answer,) = ladder.arrive(ladder.right, request(ladder, ladder.left, (), exchange).octets)
    assert opened(ladder.left, answer).payloads == (Notify(NotifyType.INVALID_SYNTAX),)
    assert ladder.right.installed == {}
    assert isinstance(ladder.right.states[0], Lingering)


@pytest.mark.conformance("CF-J10", "CF-J15", "CF-K04", "CF-K06", "CF-K11")
@pytest.mark.parametrize(
    ("first", "plaintext"),
    [
        (41, b"\0\0\0\3"),
        (41, b"\0\0\0\xff"),
        (41, b"\0\0\0\4"),
        (42, b"\0\0\0\x08\1\4\0\1"),
        (42, b"\0\0\0\x0c\3\3\0\1abcd"),
        (42, b"\0\0\0\x0c\3\4\0\2abcd"),
        (46, b"\0\0\0\4"),
        (53, b"\0\0\0\4"),
        (40, b"\0\0\0\x08abcd"),
        (0, b"octets too many"),
        (43, b"\x2e\0\0\4" + b"\0\0\0\4"),
    ],
)
def test_a_malformed_request_is_answered_and_ends_the_sa(
    row: Row, first: int, plaintext: bytes
) -> None:
    """§3.10.1: INVALID_SYNTAX only inside SK, after the integrity check and the Message ID."""
    ladder = up(row)
    octets = sealed_octets(session_of(ladder.left), first, plaintext, 2)
    (answer,) = ladder.arrive(ladder.right, octets)
    assert opened(ladder.left, answer).payloads == (Notify(NotifyType.INVALID_SYNTAX),)
    assert ladder.right.installed == {}
    ladder.wait(40)
    assert ladder.right.states == []
    assert [end.is_failure for end in ladder.right.ends] == [True]


@pytest.mark.conformance("CF-J11")
def test_a_malformed_response_ends_the_sa_without_an_error(row: Row) -> None:
    """§2.21.3: errors in responses are not sent back; the SA is deleted to start over."""
    ladder = up(row)
    ladder.check_liveness(ladder.left)
    ladder.wire.clear()
    octets = sealed_octets(session_of(ladder.right), 41, b"\0\0\0\3", 2, is_response=True)
    (word,) = ladder.arrive(ladder.left, octets)
    assert opened(ladder.right, word).payloads == (DELETE_IKE,)
    assert isinstance(ladder.left.states[0], Deleting)


def test_a_malformed_answer_to_our_delete_is_good_enough(row: Row) -> None:
    """§2.21.3: the SA is at its end anyway."""
    ladder = up(row)
    ladder.disconnect(ladder.left)
    ladder.wire.clear()
    octets = sealed_octets(session_of(ladder.right), 41, b"\0\0\0\3", 2, is_response=True)
    assert ladder.arrive(ladder.left, octets) == []
    assert ladder.left.states == []


def test_a_malformed_request_while_deleting_ends_the_waiting(row: Row) -> None:
    """§2.21.3."""
    ladder = up(row)
    ladder.disconnect(ladder.right)
    ladder.wire.clear()
    octets = sealed_octets(session_of(ladder.left), 41, b"\0\0\0\3", 2)
    (answer,) = ladder.arrive(ladder.right, octets)
    assert opened(ladder.left, answer).payloads == (Notify(NotifyType.INVALID_SYNTAX),)
    assert isinstance(ladder.right.states[0], Lingering)
    assert len(ladder.right.ends) == 1


@pytest.mark.conformance("CF-J11", "CF-J14")
@pytest.mark.parametrize(
    ("kind", "ends"),
    [(NotifyType.INVALID_SYNTAX, True), (NotifyType(9999), False), (NotifyType(40001), False)],
)
def test_an_error_in_a_response(row: Row, kind: NotifyType, ends: bool) -> None:
    """§2.21.3: INVALID_SYNTAX is fatal; §3.10.1: other errors fail the request alone."""
    ladder = up(row)
    ladder.check_liveness(ladder.left)
    ladder.wire.clear()
    octets = sealed(session_of(ladder.right), (Notify(kind),), 2, is_response=True)
    assert ladder.arrive(ladder.left, octets) == []
    assert (ladder.left.states == []) == ends
    assert (ladder.left.installed == {}) == ends


@pytest.mark.parametrize("by", ["left", "right"])
def test_a_request_with_authentication_failed_ends_the_sa(row: Row, by: str) -> None:
    """§2.21.2: the initiator tells so in an INFORMATIONAL exchange of its own."""
    ladder = up(row)
    answer = asked(ladder, Notify(NotifyType.AUTHENTICATION_FAILED), by=by)
    assert answer.payloads == ()
    other = ladder.other(getattr(ladder, by))
    assert other.installed == {}
    assert other.ends[0].is_failure


@pytest.mark.conformance("CF-A24")
def test_a_refused_child_is_deleted_once_the_window_is_free(row: Row) -> None:
    """§1.4.1: the peer has to hear that the Child SA is gone, however busy we are."""
    ladder = row.psk()
    ladder.left.holds = (InstallChild,)
    ladder.connect()
    ladder.check_liveness(ladder.left)
    ladder.answer(ladder.left, Refused("no room"))
    assert ladder.left.said[-1] == "INFORMATIONAL request 2 []"
    ladder.settle()
    assert ladder.left.said[-1] == "INFORMATIONAL request 3 [D(ESP)]"
    assert ladder.right.installed == {}
    assert ladder.right.established
    assert ladder.left.established

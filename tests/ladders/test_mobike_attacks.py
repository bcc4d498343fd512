# SPDX-License-Identifier: Apache-2.0
"""RFC 4555 §5: who tries to turn traffic elsewhere, and gets nothing (I4, I5)."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikeway.ike import messages
from ikeway.ike.io import Datagram
from ikeway.ike.reports import Moved
from ikeway.ike.states import AwaitAuthRequest
from ikeway.model.address import Endpoint
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType
from support.forge import INFORMATIONAL, edited, request, sealed, session_of
from support.hosts import CBC, GCM, Row
from support.roads import HERE, Roads, link_of, mobike, roaming, same_place

N = NotifyType
ROWS = pytest.mark.parametrize("row", [GCM, CBC], ids=str)
UPDATE = (Notify(N.UPDATE_SA_ADDRESSES),)


def elsewhere(row: Row, port: int = 4500) -> Endpoint:
    return Endpoint(ip_address("203.0.113.66" if row.version == 4 else "2001:db8:66::6"), port)


@ROWS
def test_an_update_without_protection_moves_nobody(row: Row) -> None:
    """§5.1: "MOBIKE payloads relating to updating addresses are encrypted, integrity protected"."""
    ladder = roaming(row)
    before = link_of(ladder.right)
    session = session_of(ladder.left)
    number = session.window.next_request
    head = messages.header(session.link, INFORMATIONAL, number, is_response=False)
    octets = Message(head, UPDATE).encode()
    ladder.deliver(ladder.right, Datagram(before.local, elsewhere(row), octets))
    assert link_of(ladder.right) == before
    assert not ladder.right.seen(Moved)


@ROWS
def test_an_update_that_is_replayed_from_elsewhere_moves_nobody(row: Row) -> None:
    """§5.1: they are "replay protected using the IKE_SA"."""
    ladder = roaming(row)
    at = len(ladder.sent)
    ladder.has(ladder.left, HERE[row.version][1])
    ladder.settle()
    before = link_of(ladder.right)
    for host, datagram in ladder.sent[at:]:
        if host is ladder.left:
            ladder.deliver(ladder.right, replace(datagram, peer=elsewhere(row)))
    assert link_of(ladder.right) == before
    same_place(ladder)


@ROWS
def test_an_update_before_authentication_moves_nobody(row: Row) -> None:
    """§3.5: it updates an IKE SA that is there; half-open ones belong to nobody yet."""
    ladder = mobike(row)
    ladder.initiate()
    ladder.deliver(*ladder.wire.popleft())
    ladder.deliver(*ladder.wire.popleft())
    ladder.wire.clear()
    octets = sealed(session_of(ladder.left), UPDATE, 1)
    before = link_of(ladder.right)
    ladder.deliver(ladder.right, Datagram(before.local, elsewhere(row), octets))
    (state,) = ladder.right.states
    assert isinstance(state, AwaitAuthRequest)
    assert link_of(ladder.right) == before


@pytest.mark.conformance("CF-M12")
@ROWS
@pytest.mark.parametrize("wrong", [bytes(16), bytes(8), None])
def test_a_cookie_that_is_not_ours_ends_the_ike_sa(row: Row, wrong: bytes | None) -> None:
    """§3.7: "If the values do not match, the IKE_SA MUST be closed"."""
    ladder = roaming(row)

    def forging(bodies: tuple[Body, ...]) -> tuple[Body, ...]:
        kept = tuple(b for b in bodies if not (isinstance(b, Notify) and b.type is N.COOKIE2))
        return kept if wrong is None else (*kept, Notify(N.COOKIE2, wrong))

    edited(ladder, forging, ExchangeType.INFORMATIONAL, ladder.right)
    ladder.has(ladder.left, HERE[row.version][1])
    ladder.settle()
    assert [end.reason for end in ladder.left.ends] == ["the peer's COOKIE2 is not ours"]
    assert not ladder.left.installed


@pytest.mark.conformance("CF-M12")
@ROWS
def test_a_responder_checks_its_cookies_too(row: Row) -> None:
    ladder = roaming(row)
    ladder.has(ladder.left, HERE[row.version][1])
    ladder.deliver(*ladder.wire.popleft())

    def forging(bodies: tuple[Body, ...]) -> tuple[Body, ...]:
        return (Notify(N.COOKIE2, bytes(16)),) if bodies else bodies

    edited(ladder, forging, ExchangeType.INFORMATIONAL, ladder.left)
    ladder.settle()
    assert [end.reason for end in ladder.right.ends] == ["the peer's COOKIE2 is not ours"]
    assert not ladder.right.installed


@ROWS
@pytest.mark.parametrize("octets", [0, 7, 65])
def test_a_cookie_of_a_length_that_cannot_be_is_refused(row: Row, octets: int) -> None:
    """§4.2.5: the data "MUST be between 8 and 64 octets"."""
    ladder = roaming(row)
    asked = request(ladder, ladder.left, (Notify(N.COOKIE2, bytes(octets)),))
    ladder.deliver(ladder.right, asked)
    assert ladder.right.refusals == ["INVALID_SYNTAX"]


@pytest.mark.conformance("CF-M11")
@ROWS
def test_a_third_party_gets_no_traffic_and_few_messages(row: Row) -> None:
    """§5.3: "return routability tests to limit the duration of any third party bombing"."""
    ladder = roaming(row)
    before, victim = ladder.right.child.peer, elsewhere(row)
    ladder.deliver(ladder.right, replace(request(ladder, ladder.left, UPDATE), peer=victim))
    Roads(ladder, {victim.address})
    ladder.wire.clear()
    ladder.wait(60)
    assert ladder.right.child.peer == before if ladder.right.installed else True
    got = [datagram for _, datagram in ladder.sent if datagram.local == victim]
    assert sum(len(datagram.octets) for datagram in got) < 1500
    assert len(got) <= 10
    assert [end.is_failure for end in ladder.right.ends] == [True]


@pytest.mark.conformance("CF-M11")
@ROWS
def test_an_answer_from_where_nobody_was_asked_proves_nothing(row: Row) -> None:
    """§3.7: the check is about the address that the request went to."""
    ladder = roaming(replace(row, behind_nat=True))
    before, victim = link_of(ladder.right), elsewhere(row)
    ladder.esp_from(ladder.right, victim)
    asked = ladder.wire.pop()[1]
    assert asked.local == victim
    # A dishonest peer that is not there, but guesses what it was asked, answers from its own place.
    ladder.deliver(ladder.left, replace(asked, local=link_of(ladder.left).local))
    ladder.settle()
    assert ladder.right.child.peer == before.peer
    assert link_of(ladder.right) == before


@pytest.mark.conformance("CF-M11")
@ROWS
def test_one_redirected_packet_neither_turns_the_traffic_nor_ends_the_ike_sa(row: Row) -> None:
    """§5.1: an attacker on the path changes the source of an ESP packet once."""
    ladder = roaming(replace(row, behind_nat=True))
    before, attacker = link_of(ladder.right), elsewhere(row, 777)
    Roads(ladder, {attacker.address})
    ladder.esp_from(ladder.right, attacker)
    ladder.wait(60)
    assert link_of(ladder.right) == before
    assert ladder.right.child.peer == before.peer
    assert not ladder.right.ends
    got = [datagram for _, datagram in ladder.sent if datagram.local == attacker]
    assert len(got) <= 3


@ROWS
def test_a_peer_that_flaps_gets_one_check_at_a_time(row: Row) -> None:
    """I5: updates are answered, but what they cause is bounded."""
    ladder = roaming(row)
    at = len(ladder.sent)
    for number in range(200):
        place = Endpoint(elsewhere(row).address, 1000 + number)
        session = session_of(ladder.left)
        message_id = session_of(ladder.right).window.expected
        octets = sealed(session, UPDATE, message_id)
        ladder.deliver(ladder.right, Datagram(link_of(ladder.right).local, place, octets))
        ladder.wire.clear()
        assert len(session_of(ladder.right).window.outstanding) <= 1
        (state,) = ladder.right.established
        assert len(state.queued) <= 1
    said = [datagram for host, datagram in ladder.sent[at:] if host is ladder.right]
    assert len(said) <= 2 * 200 + 1


@ROWS
def test_a_responder_cannot_move_its_initiator(row: Row) -> None:
    """§3.5: the initiator decides; an update is not for the responder to send."""
    ladder = roaming(row)
    before = link_of(ladder.left)
    asked = request(ladder, ladder.right, UPDATE)
    ladder.deliver(ladder.left, replace(asked, peer=elsewhere(row)))
    assert link_of(ladder.left) == before
    assert ladder.left.child.peer == before.peer


@ROWS
def test_without_mobike_an_update_is_a_notify_like_any_other(row: Row) -> None:
    """RFC 7296 §3.10.1: an unknown status notify is ignored."""
    ladder = row.psk()
    ladder.connect()
    payloads = (*UPDATE, Notify(N.COOKIE2, bytes(16)))
    ladder.deliver(ladder.right, request(ladder, ladder.left, payloads))
    assert not ladder.right.seen(Moved)
    assert ladder.right.said[-1].count("COOKIE2") == 0


def test_a_long_list_is_cut() -> None:
    """I5: 16 addresses are kept, whatever the peer sends."""
    ladder = roaming(GCM)
    many = tuple(Notify(N.ADDITIONAL_IP4_ADDRESS, (0x0A000000 + n).to_bytes(4)) for n in range(60))
    ladder.deliver(ladder.right, request(ladder, ladder.left, many))
    (state,) = ladder.right.established
    assert len(state.mobility.peer_addresses) <= 17

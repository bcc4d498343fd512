# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.23, RFC 3948: a peer whose NAT changes its mapping is followed, others are not."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from ikeway.ike import child_terms
from ikeway.ike.reports import ChildFailed, Moved
from ikeway.model.address import Endpoint
from ikeway.model.errors import SelectorsError
from ikeway.policy.connection import PeerAddress
from support.agreement import agree
from support.forge import INFORMATIONAL, request, sealed, session_of
from support.hosts import CBC, GCM, Row
from support.ladder import Ladder, Nat

BEHIND = [replace(GCM, behind_nat=True), replace(CBC, behind_nat=True, version=6)]
ROWS = pytest.mark.parametrize("row", BEHIND, ids=str)
ELSEWHERE = Endpoint(ip_address("203.0.113.66"), 666)


def rebound(ladder: Ladder, offset: int = 30000) -> Endpoint:
    """Let the NAT before the left host forget everything; return where that is seen now."""
    assert ladder.nat
    ladder.nat = replace(ladder.nat, offset=offset)
    return Endpoint(ladder.nat.public, offset + 4500)


def up(row: Row) -> Ladder:
    ladder = row.psk()
    ladder.connect()
    ladder.wait(2)
    return ladder


@pytest.mark.conformance("CF-J22")
@ROWS
def test_a_fresh_message_from_elsewhere_is_where_all_packets_go(row: Row) -> None:
    """§2.23: "SHOULD send all packets ... to the IP address and port in the validated packet"."""
    ladder = up(row)
    place = rebound(ladder)
    ladder.check_liveness(ladder.left)
    ladder.settle()
    assert session_of(ladder.right).link.peer == place
    assert ladder.right.child.peer == place
    (moved,) = ladder.right.seen(Moved)
    assert isinstance(moved, Moved)
    assert moved.peer == place
    ladder.check_liveness(ladder.right)
    ladder.settle()
    agree(ladder)


@pytest.mark.conformance("CF-J22", "CF-V09")
@ROWS
def test_a_fresh_esp_packet_from_elsewhere_moves_the_traffic_at_once(row: Row) -> None:
    """§2.23: a packet "whose integrity protection validates" is enough; nothing is asked."""
    ladder = up(row)
    place, sent = rebound(ladder), len(ladder.sent)
    ladder.esp_from(ladder.right, place)
    assert ladder.right.child.peer == session_of(ladder.right).link.peer == place
    assert len(ladder.sent) == sent


@pytest.mark.conformance("CF-J22")
@ROWS
def test_what_is_asked_meanwhile_is_sent_again_to_the_new_place(row: Row) -> None:
    """§2.23: "all packets (including retransmission packets)"."""
    ladder = up(row)
    place = rebound(ladder)
    ladder.fate = lambda _host, datagram: [] if datagram.local == place else [datagram]
    ladder.check_liveness(ladder.right)
    ladder.wire.clear()
    before = len(ladder.sent)
    ladder.fate = lambda _host, datagram: [datagram]
    ladder.esp_from(ladder.right, place)
    (repeated,) = ladder.sent[before:]
    assert repeated[1].octets == ladder.sent[before - 1][1].octets
    ladder.settle()
    assert not session_of(ladder.right).window.outstanding


@pytest.mark.conformance("CF-J22")
@ROWS
def test_a_replayed_message_moves_nobody(row: Row) -> None:
    """§2.23: "only ... in response to a new packet; otherwise, an attacker can revert"."""
    ladder = up(row)
    ladder.check_liveness(ladder.left)
    ladder.settle()
    before = session_of(ladder.right).link
    for _, datagram in ladder.sent[2:]:
        if datagram.local.address == row.addresses[1]:
            ladder.deliver(ladder.right, replace(datagram, peer=ELSEWHERE))
    assert session_of(ladder.right).link == before
    assert ladder.right.child.peer == before.peer
    assert not ladder.right.seen(Moved)


@pytest.mark.conformance("CF-J22")
@ROWS
def test_a_message_that_is_not_authentic_moves_nobody(row: Row) -> None:
    """§2.23: only "a validated packet" says where the peer is."""
    ladder = up(row)
    before = session_of(ladder.right).link
    whole = request(ladder, ladder.left, ())
    broken = whole.octets[:-1] + bytes([whole.octets[-1] ^ 1])
    ladder.deliver(ladder.right, replace(whole, peer=ELSEWHERE, octets=broken))
    assert session_of(ladder.right).link == before


@pytest.mark.conformance("CF-J22")
@ROWS
def test_an_older_message_that_comes_later_moves_nobody(row: Row) -> None:
    """§2.23: with a window of several, only the newest message counts."""
    ladder = row.psk(left={"window": 4}, right={"window": 4})
    ladder.connect()
    ladder.wait(2)
    session = session_of(ladder.left)
    number, link = session.window.next_request, session_of(ladder.right).link
    for message_id, peer in ((number + 1, link.peer), (number, ELSEWHERE)):
        octets = sealed(session, (), message_id, INFORMATIONAL)
        datagram = ladder.carried(ladder.left, session.link.local, session.link.peer, octets)
        ladder.deliver(ladder.right, replace(datagram, peer=peer))
    assert session_of(ladder.right).window.expected == number + 2
    assert session_of(ladder.right).link == link


@pytest.mark.conformance("CF-J22")
@ROWS
def test_a_host_behind_a_nat_follows_nobody(row: Row) -> None:
    """§2.23: "A host behind a NAT SHOULD NOT do this": one packet would break the connection."""
    ladder = up(row)
    link = session_of(ladder.left).link
    ladder.esp_from(ladder.left, ELSEWHERE)
    asked = request(ladder, ladder.right, ())
    ladder.deliver(ladder.left, replace(asked, peer=ELSEWHERE))
    assert session_of(ladder.left).link == link
    assert ladder.left.child.peer == link.peer


@ROWS
def test_without_the_replay_service_esp_moves_nobody(row: Row) -> None:
    """§2.23: "dynamic updates can only be done safely if replay protection is enabled"."""
    ladder = row.psk(right={"replay_window": 0})
    ladder.connect()
    before = session_of(ladder.right).link
    ladder.esp_from(ladder.right, ELSEWHERE)
    assert session_of(ladder.right).link == before
    assert ladder.right.child.peer == before.peer


@ROWS
def test_a_peer_that_moves_all_the_time_is_followed_once_a_second(row: Row) -> None:
    """I5: each move costs work for every Child SA, whatever the peer does."""
    ladder = up(row)
    for port in range(7000, 7100):
        ladder.esp_from(ladder.right, Endpoint(ELSEWHERE.address, port))
        asked = request(ladder, ladder.left, ())
        ladder.deliver(ladder.right, replace(asked, peer=Endpoint(ELSEWHERE.address, port)))
        ladder.wire.clear()
        ladder.now += 0.02
    assert len(ladder.right.seen(Moved)) <= 3


def test_without_a_nat_the_initiator_follows_its_responder_too() -> None:
    """§2.23: whoever is behind no NAT follows; this responder's address was translated."""
    ladder = GCM.psk()
    ladder.connect()
    asked = request(ladder, ladder.right, ())
    place = Endpoint(ip_address("198.51.100.77"), asked.peer.port)
    ladder.deliver(ladder.left, replace(asked, peer=place))
    assert session_of(ladder.left).link.peer == place


def test_a_packet_of_a_child_sa_that_is_gone_is_nobodys() -> None:
    ladder = GCM.psk()
    ladder.connect()
    spi = ladder.right.child.spi_in
    ladder.esp_from(ladder.right, ladder.right.child.peer)
    assert not ladder.right.seen(Moved)
    ladder.right.installed[spi + 1] = replace(ladder.right.installed.pop(spi), spi_in=spi + 1)
    ladder.esp_from(ladder.right, ELSEWHERE)
    assert not ladder.right.seen(Moved)


def test_without_mobike_a_host_with_another_address_goes_on_from_there() -> None:
    """§2.23: its next message, a liveness check, shows the peer where it is."""
    ladder = GCM.psk()
    ladder.connect()
    new = ip_address("192.0.2.99")
    ladder.has(ladder.left, new)
    ladder.settle()
    assert session_of(ladder.right).link.peer.address == new
    assert ladder.right.child.peer.address == ladder.left.child.local.address == new
    agree(ladder)


def test_without_mobike_a_client_with_another_address_begins_anew_from_there() -> None:
    """A peer may answer it there, and yet send its traffic to where it was (§2.23 is a SHOULD)."""
    ladder = GCM.psk({"peer": PeerAddress.parse(str(GCM.addresses[1]))})
    ladder.connect()
    old = ladder.left.child
    new = ip_address("192.0.2.99")
    ladder.has(ladder.left, new)
    ladder.settle()
    ladder.wait(5)
    (state,) = ladder.left.established
    assert state.session.link.local.address == new
    assert ladder.left.child.spi_in != old.spi_in
    assert ladder.right.child.peer.address == ladder.left.child.local.address == new
    agree(ladder)


def test_who_is_stranded_makes_room_for_its_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Libreswan lets one IKE SA have the traffic: TS_UNACCEPTABLE while the old one is there."""
    ladder = GCM.psk({"peer": PeerAddress.parse(str(GCM.addresses[1]))})
    ladder.connect()
    old, grant = ladder.left.child, child_terms.grant

    def one_only(*asked: Any) -> child_terms.Grant:
        if ladder.right.installed:
            raise SelectorsError("the route is in use")
        return grant(*asked)

    monkeypatch.setattr(child_terms, "grant", one_only)
    ladder.has(ladder.left, ip_address("192.0.2.99"))
    ladder.wait(10)
    (state,) = ladder.left.established
    assert state.session.link.local.address == ip_address("192.0.2.99")
    assert len(ladder.left.seen(ChildFailed)) == 1
    assert ladder.left.child.spi_in != old.spi_in
    agree(ladder)


def test_who_is_stranded_keeps_what_it_has_where_there_is_no_more() -> None:
    """NO_ADDITIONAL_SAS: an IKE SA that will get no Child SA is no successor."""
    ladder = GCM.psk({"peer": PeerAddress.parse(str(GCM.addresses[1]))})
    ladder.connect()
    old = ladder.left.child
    ladder.right.refuse_install = "no room"
    ladder.has(ladder.left, ip_address("192.0.2.99"))
    ladder.wait(10)
    assert ladder.left.child.spi_in == old.spi_in
    agree(ladder)


def test_an_ike_sa_that_begins_gives_up_where_its_address_is_gone() -> None:
    """Nothing that is asked from there can be answered; another try starts from what is left."""
    ladder = GCM.psk()
    ladder.initiate()
    ladder.wire.clear()
    ladder.has(ladder.left, ladder.addresses[0])
    assert not ladder.left.ends
    ladder.has(ladder.left, ip_address("192.0.2.99"))
    assert [end.is_failure for end in ladder.left.ends] == [True]


def test_the_nat_of_a_ladder_can_be_moved() -> None:
    nat = Nat(ip_address("192.0.2.1"), ip_address("203.0.113.9"), 30000)
    assert nat.inward(nat.outward(Endpoint(nat.private, 500))) == Endpoint(nat.private, 500)

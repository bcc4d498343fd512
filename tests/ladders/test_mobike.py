# SPDX-License-Identifier: Apache-2.0
"""RFC 4555: both sides agree on MOBIKE, tell their addresses, and move."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikeway.ike.features import nat_traversal
from ikeway.ike.features.nat_traversal import endpoint_hash
from ikeway.ike.io import Datagram
from ikeway.ike.reports import Moved
from ikeway.model.address import Endpoint
from ikeway.model.esp import Encapsulation, Mode
from ikeway.policy.connection import Encapsulate, PeerAddress
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType
from support.agreement import agree
from support.forge import edited, opened, request, session_of
from support.hosts import CBC, CLIENT, GATEWAY, GCM, POOL, Row, template
from support.ladder import Ladder, Nat
from support.roads import (
    HERE,
    ON,
    THERE,
    Roads,
    link_of,
    mobike,
    mobility_of,
    notifies,
    roaming,
    same_place,
)

N = NotifyType
ROWS = pytest.mark.parametrize("row", [GCM, CBC], ids=str)


# §3.2-3.4: the beginning --------------------------------------------------------------------------


@pytest.mark.conformance("CF-M01")
@ROWS
@pytest.mark.parametrize(("here", "there"), [(True, True), (True, False), (False, True)])
def test_mobike_is_used_if_both_support_it(row: Row, here: bool, there: bool) -> None:
    """§3.2: MOBIKE_SUPPORTED goes in the IKE_AUTH message that has the SA payload."""
    ladder = row.psk(left={"mobike": here}, right={"mobike": there})
    ladder.connect()
    said = [N.MOBIKE_SUPPORTED in found for found in _auth(ladder)]
    assert said == [here, here and there]
    for host in (ladder.left, ladder.right):
        assert session_of(host).agreed.mobike == (here and there)


def _auth(ladder: Ladder) -> list[list[NotifyType]]:
    found = []
    for sender, datagram in ladder.sent:
        if Message.decode(datagram.octets).header.exchange is ExchangeType.IKE_AUTH:
            message = opened(ladder.other(sender), datagram.octets)
            found.append([body.type for body in message.payloads if isinstance(body, Notify)])
    return found


@pytest.mark.conformance("CF-M01")
@ROWS
def test_what_mobike_supported_has_inside_is_ignored(row: Row) -> None:
    """§4.2.1: "its contents (if any) MUST be ignored when this notification is received"."""
    ladder = mobike(row)

    def with_data(bodies: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(
            replace(body, data=b"later version")
            if isinstance(body, Notify) and body.type is N.MOBIKE_SUPPORTED
            else body
            for body in bodies
        )

    edited(ladder, with_data, ExchangeType.IKE_AUTH, ladder.left)
    ladder.connect()
    assert session_of(ladder.right).agreed.mobike


@pytest.mark.conformance("CF-M02")
@ROWS
def test_with_mobike_all_goes_to_port_4500_without_a_nat_too(row: Row) -> None:
    """§3.3: who supports both "MUST change to port 4500 ... even if no NAT was detected"."""
    ladder = mobike(row)
    ladder.connect()
    ports = [(datagram.peer.port, datagram.local.port) for _, datagram in ladder.sent]
    assert ports == [(500, 500), (500, 500), (4500, 4500), (4500, 4500)]
    assert ladder.left.child.encapsulation is Encapsulation.NONE
    assert ladder.left.child.local.port == 4500


@pytest.mark.conformance("CF-M03")
@ROWS
def test_additional_addresses_are_told_and_kept_and_nothing_else_happens(row: Row) -> None:
    """§3.4: "The recipient stores this information, but no other action is taken"."""
    ladder = mobike(row)
    ladder.has(ladder.left, *HERE[row.version])
    ladder.has(ladder.right, *THERE[row.version])
    ladder.connect()
    assert mobility_of(ladder.right).peer_addresses == HERE[row.version]
    assert mobility_of(ladder.left).peer_addresses == THERE[row.version]
    assert len(ladder.sent) == 4
    same_place(ladder)


@pytest.mark.conformance("CF-M03")
@ROWS
def test_each_list_replaces_the_one_before(row: Row) -> None:
    """§3.6: "there are no separate add/delete operations": the complete list is sent."""
    ladder = roaming(row)
    first, second, third = HERE[row.version]
    for addresses in ((first, second), (first, third), (first,)):
        ladder.has(ladder.left, *addresses)
        ladder.settle()
        assert mobility_of(ladder.right).peer_addresses == addresses
    last = notifies(ladder, len(ladder.sent) - 2)
    assert N.NO_ADDITIONAL_ADDRESSES in last[0]
    same_place(ladder)


def test_addresses_behind_the_tunnel_are_not_told() -> None:
    """An address of a protected network is reached through the tunnel, not outside."""
    ladder = mobike(GCM)
    ladder.has(ladder.left, ladder.addresses[0], ip_address("10.1.0.1"))
    ladder.connect()
    assert mobility_of(ladder.right).peer_addresses == (ladder.addresses[0],)


def test_a_connection_with_an_address_of_its_own_tells_of_no_other() -> None:
    ladder = mobike(GCM, left={"local_address": GCM.addresses[0]})
    ladder.has(ladder.left, *HERE[4])
    ladder.connect()
    assert mobility_of(ladder.right).peer_addresses == HERE[4][:1]


def test_an_address_of_a_wrong_length_is_none() -> None:
    """§4.2.2: "either a four-octet IPv4 address or a 16-octet IPv6 address"."""
    ladder = mobike(GCM)
    odd = (Notify(N.ADDITIONAL_IP4_ADDRESS, bytes(5)), Notify(N.ADDITIONAL_IP6_ADDRESS, bytes(4)))
    edited(ladder, lambda bodies: (*bodies, *odd), ExchangeType.IKE_AUTH, ladder.left)
    ladder.connect()
    assert mobility_of(ladder.right).peer_addresses == ladder.addresses[:1]


# §3.5: the initiator moves ------------------------------------------------------------------------


@pytest.mark.conformance("CF-M04", "CF-M05", "CF-M11", "CF-M12")
@ROWS
def test_another_address_moves_the_ike_sa_and_after_a_check_its_children(row: Row) -> None:
    """§3.5: the addresses are those of the IP header; the children wait for the check (§3.7)."""
    ladder = roaming(row)
    old, new = HERE[row.version][:2]
    before, at = ladder.right.child.peer, len(ladder.sent)
    ladder.has(ladder.left, new)
    assert ladder.left.child.local.address == new
    ladder.deliver(*ladder.wire.popleft())
    assert link_of(ladder.right).peer.address == new
    assert ladder.right.child.peer == before
    ladder.settle()
    assert ladder.right.child.peer.address == new
    same_place(ladder)
    agree(ladder)
    update, answer, check, shown = notifies(ladder, at)
    assert update[0] is N.UPDATE_SA_ADDRESSES
    detection = [N.NAT_DETECTION_SOURCE_IP, N.NAT_DETECTION_DESTINATION_IP]
    assert answer == [*detection, N.COOKIE2]
    assert check == shown == [N.COOKIE2]
    assert all(datagram.local.address != old for _, datagram in ladder.sent[at:])
    assert [type(event) for event in ladder.left.seen(Moved)] == [Moved]


@pytest.mark.conformance("CF-M11", "CF-M12")
@ROWS
def test_children_follow_however_slow_the_answer_to_the_check_is(row: Row) -> None:
    """§3.7: a check that only ever went to one place proves that the peer is there.

    A simulated world (seed 2001302) had a path of 3 s: the check counted as void after its second
    repetition, nobody asked again, and the Child SAs sent to the old place for ever.
    """
    ladder = roaming(row)
    new = HERE[row.version][1]
    ladder.has(ladder.left, new)
    ladder.deliver(*ladder.wire.popleft())
    ladder.wire.clear()
    arrives = ladder.fate
    ladder.fate = lambda host, one: [] if host is ladder.right else arrives(host, one)
    ladder.wait(5.0)
    assert ladder.right.child.peer.address != new
    ladder.fate = arrives
    ladder.wait(10.0)
    assert ladder.right.child.peer.address == new
    same_place(ladder)
    agree(ladder)


@pytest.mark.conformance("CF-M11")
@ROWS
def test_where_policy_says_so_the_children_follow_without_a_check(row: Row) -> None:
    """§3.7: "the return routability check MAY be omitted" where peers behave."""
    ladder = roaming(row, right={"return_routability": False})
    ladder.has(ladder.left, HERE[row.version][1])
    at = len(ladder.sent)
    ladder.settle()
    same_place(ladder)
    assert len(ladder.sent) == at + 1


@pytest.mark.conformance("CF-M11")
def test_a_cookie_is_of_16_octets_that_nobody_can_guess() -> None:
    """§4.2.5: 8 to 64 octets, "unpredictable to the exchange responder"."""
    ladder = roaming(GCM)
    cookies = set()
    for address in HERE[4][1:]:
        at = len(ladder.sent)
        ladder.has(ladder.left, address)
        ladder.settle()
        for sender, datagram in ladder.sent[at:]:
            found = opened(ladder.other(sender), datagram.octets).notify(N.COOKIE2)
            assert found
            cookies.add(found.data)
    assert len(cookies) == 4
    assert all(len(cookie) == 16 for cookie in cookies)


@pytest.mark.conformance("CF-M04")
@ROWS
def test_outstanding_requests_are_sent_again_from_the_new_address_first(row: Row) -> None:
    """§3.5: "continues retransmitting them using the addresses in the IKE_SA (the new ones)"."""
    ladder = roaming(row)
    new = HERE[row.version][1]
    roads = Roads(ladder, {ladder.addresses[0]})
    ladder.check_liveness(ladder.left)
    at = len(ladder.sent)
    ladder.has(ladder.left, new)
    (repeated,) = ladder.sent[at:]
    assert repeated[1].octets == ladder.sent[at - 1][1].octets
    assert repeated[1].peer.address == new
    ladder.settle()
    assert roads.closed
    same_place(ladder)
    said = [what for what in notifies(ladder, at) if N.UPDATE_SA_ADDRESSES in what]
    assert len(said) == 1


@pytest.mark.conformance("CF-M05")
@ROWS
def test_a_lost_update_is_sent_again_unchanged(row: Row) -> None:
    """§3.5: it is a request like any other."""
    ladder = roaming(row)
    at = len(ladder.sent)
    ladder.has(ladder.left, HERE[row.version][1])
    ladder.wire.clear()
    ladder.wait(2)
    assert ladder.sent[at][1] == ladder.sent[at + 1][1]
    same_place(ladder)


@pytest.mark.conformance("CF-M08")
@ROWS
def test_the_answer_to_an_older_update_does_not_count(row: Row) -> None:
    """§3.5: "no MOBIKE processing is done ... because a new UPDATE_SA_ADDRESSES is going to be
    sent"."""
    ladder = roaming(row)
    _, second, third = HERE[row.version]
    at = len(ladder.sent)
    ladder.has(ladder.left, second)
    ladder.has(ladder.left, third)
    ladder.settle()
    same_place(ladder)
    assert link_of(ladder.right).peer.address == third
    said = [what for what in notifies(ladder, at) if N.UPDATE_SA_ADDRESSES in what]
    assert len(said) >= 2
    agree(ladder)


@pytest.mark.conformance("CF-M07")
@ROWS
def test_an_older_update_that_comes_later_changes_nothing(row: Row) -> None:
    """§3.5: "a normal response message ... is sent, but no other action is taken"."""
    ladder = roaming(row, left={"window": 4}, right={"window": 4})
    number = session_of(ladder.left).window.next_request
    update = (Notify(N.UPDATE_SA_ADDRESSES), Notify(N.COOKIE2, bytes(16)))
    _, second, third = HERE[row.version]
    for message_id, address in ((number + 1, third), (number, second)):
        asked = request(ladder, ladder.left, update, message_id=message_id)
        at = len(ladder.sent)
        ladder.deliver(ladder.right, replace(asked, peer=Endpoint(address, 4500)))
        assert [N.COOKIE2] in notifies(ladder, at)
        assert ladder.sent[at][1].local.address == address
    assert link_of(ladder.right).peer.address == third


@pytest.mark.conformance("CF-M06")
@ROWS
def test_an_address_that_policy_does_not_allow_is_refused(row: Row) -> None:
    """§3.5: UNACCEPTABLE_ADDRESSES, and the SAs stay where they are."""
    only = PeerAddress.parse(str(row.addresses[0]))
    ladder = roaming(row, right={"peer": only})
    before, at = link_of(ladder.right), len(ladder.sent)
    ladder.has(ladder.left, HERE[row.version][1], row.addresses[0])
    ladder.settle()
    assert N.UNACCEPTABLE_ADDRESSES in notifies(ladder, at)[1]
    assert ladder.right.refusals == ["UNACCEPTABLE_ADDRESSES"]
    # The initiator takes the next of its addresses: that is the one from before.
    assert link_of(ladder.right) == before
    same_place(ladder)
    agree(ladder)


@pytest.mark.conformance("CF-M06")
def test_a_host_whose_only_address_is_refused_ends_the_ike_sa() -> None:
    """§3.5: the initiator may "select another addresses ..., keep on using the previously used
    addresses, or disconnect"."""
    ladder = roaming(GCM, right={"peer": PeerAddress.parse(str(GCM.addresses[0]))})
    ladder.has(ladder.left, HERE[4][1])
    ladder.settle()
    assert len(ladder.left.ends) == len(ladder.right.ends) == 1
    assert not ladder.left.installed
    assert not ladder.right.installed


@ROWS
def test_a_host_without_any_network_waits_and_goes_on(row: Row) -> None:
    """§3.5: a new address is a new way; what is asked gets new patience."""
    ladder = roaming(row)
    ladder.has(ladder.left)
    ladder.check_liveness(ladder.left)
    ladder.wire.clear()
    ladder.has(ladder.left, HERE[row.version][2])
    ladder.settle()
    same_place(ladder)
    agree(ladder)


@ROWS
def test_the_same_address_back_sends_at_once_what_waits(row: Row) -> None:
    ladder = roaming(row)
    ladder.has(ladder.left)
    ladder.check_liveness(ladder.left)
    ladder.wire.clear()
    ladder.wait(3)
    ladder.wire.clear()
    ladder.check_liveness(ladder.left)
    ladder.has(ladder.left, ladder.addresses[0])
    ladder.settle()
    assert not session_of(ladder.left).window.outstanding
    assert not ladder.left.seen(Moved)


def test_a_move_from_one_ip_version_to_the_other() -> None:
    """§3.5: a pair of addresses may be of another family than the one before."""
    ladder = roaming(GCM)
    ladder.has(ladder.right, *THERE[4][:1], *THERE[6][:1])
    ladder.settle()
    ladder.has(ladder.left, HERE[6][0])
    ladder.settle()
    same_place(ladder)
    assert link_of(ladder.left).peer.address == THERE[6][0]
    agree(ladder)


def test_a_virtual_address_stays_when_the_outer_one_changes() -> None:
    ladder = mobike(GCM, left=CLIENT, right=GATEWAY)
    ladder = GCM.psk(left=ON | CLIENT, right=ON | GATEWAY, pools={"staff": POOL})
    ladder.has(ladder.left, *HERE[4][:1])
    ladder.connect()
    before = ladder.left.established[0].virtual_ips
    ladder.has(ladder.left, HERE[4][1])
    ladder.settle()
    assert ladder.left.established[0].virtual_ips == before
    same_place(ladder)


# §3.6: the responder's addresses ------------------------------------------------------------------


@pytest.mark.conformance("CF-M09")
@ROWS
def test_a_responder_whose_address_vanishes_goes_on_from_another(row: Row) -> None:
    """§3.5: the one exception: "the responder is allowed to update the IPsec SAs"."""
    ladder = roaming(row)
    new = THERE[row.version][1]
    ladder.has(ladder.right, new)
    assert ladder.right.child.local.address == new
    ladder.settle()
    assert link_of(ladder.left).peer.address == new
    same_place(ladder)
    agree(ladder)


@pytest.mark.conformance("CF-M03", "CF-M10")
@ROWS
def test_an_initiator_leaves_an_address_that_is_not_listed_any_more(row: Row) -> None:
    """§3.5: "particularly important if the announced set ... no longer contains the currently
    used address"."""
    ladder = roaming(row)
    first, second = THERE[row.version]
    ladder.has(ladder.right, first, second)
    ladder.settle()
    assert mobility_of(ladder.left).peer_addresses == (first, second)
    same_place(ladder)
    asked = request(ladder, ladder.right, (Notify(N.NO_ADDITIONAL_ADDRESSES),))
    ladder.deliver(ladder.left, replace(asked, peer=Endpoint(second, 4500)))
    ladder.wire.popleft()
    ladder.settle()
    assert link_of(ladder.left).peer.address == second
    same_place(ladder)


@pytest.mark.conformance("CF-M10")
@ROWS
def test_a_list_that_left_from_several_addresses_is_said_anew(row: Row) -> None:
    """§3.6: then "a new INFORMATIONAL request MUST be sent"."""
    ladder = roaming(row)
    first, second = THERE[row.version]
    third = ip_address("198.51.100.203" if row.version == 4 else "2001:db8:1::203")
    roads = Roads(ladder, {second})
    ladder.has(ladder.right, second)
    ladder.wire.clear()
    at = len(ladder.sent)
    ladder.has(ladder.right, third)
    ladder.settle()
    lists = [datagram for host, datagram in ladder.sent[at:] if host is ladder.right]
    assert lists[0].octets != lists[1].octets
    assert [N.NO_ADDITIONAL_ADDRESSES in what for what in notifies(ladder, at)].count(True) >= 2
    assert roads.closed
    assert first not in mobility_of(ladder.left).peer_addresses
    same_place(ladder)


# §3.8: NATs ---------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-M13")
@ROWS
def test_nat_detection_in_a_request_is_answered_and_changes_nothing(row: Row) -> None:
    """§3.8: "the responder MUST also include them in the response (but no other action)"."""
    ladder = roaming(row)
    before, at = link_of(ladder.right), len(ladder.sent)
    payloads = (
        Notify(N.NAT_DETECTION_SOURCE_IP, bytes(20)),
        Notify(N.NAT_DETECTION_DESTINATION_IP, bytes(20)),
    )
    elsewhere = Endpoint(HERE[row.version][2], 777)
    asked = request(ladder, ladder.left, payloads)
    ladder.deliver(ladder.right, replace(asked, peer=elsewhere))
    answer = opened(ladder.left, ladder.sent[at][1].octets)
    spis = before.spi_i, before.spi_r
    found = answer.notify(N.NAT_DETECTION_DESTINATION_IP)
    assert found
    assert found.data == endpoint_hash(*spis, elsewhere)
    assert ladder.sent[at][1].local == elsewhere
    assert link_of(ladder.right) == before
    assert session_of(ladder.right).agreed.nat.peer is False


@pytest.mark.conformance("CF-M15", "CF-M09")
@ROWS
def test_with_mobike_an_ike_message_from_elsewhere_moves_nobody(row: Row) -> None:
    """§3.8: the host not behind a NAT "MUST NOT use these dynamic updates for IKEv2 packets"."""
    ladder = roaming(replace(row, behind_nat=True))
    before = link_of(ladder.right)
    elsewhere = Endpoint(ip_address("203.0.113.66"), 777)
    asked = request(ladder, ladder.left, ())
    at = len(ladder.sent)
    ladder.deliver(ladder.right, replace(asked, peer=elsewhere))
    assert ladder.sent[at][1].local == elsewhere or ladder.nat
    assert link_of(ladder.right) == before
    assert ladder.right.child.peer == before.peer


@pytest.mark.conformance("CF-M14")
@ROWS
def test_a_liveness_check_finds_out_that_a_nat_has_changed(row: Row) -> None:
    """§3.8: behind a NAT it includes NAT detection; another answer calls for an update."""
    ladder = roaming(replace(row, behind_nat=True))
    ladder.check_liveness(ladder.left)
    ladder.settle()
    at = len(ladder.sent)
    ladder.check_liveness(ladder.left)
    ladder.settle()
    assert len(ladder.sent) == at + 2, "the NAT sees us where it did before"
    assert ladder.nat
    ladder.nat = replace(ladder.nat, offset=30000)
    ladder.check_liveness(ladder.left)
    ladder.settle()
    assert N.UPDATE_SA_ADDRESSES in notifies(ladder, at)[4]
    assert link_of(ladder.right).peer == ladder.right.child.peer
    assert ladder.right.child.peer == Endpoint(ladder.nat.public, 34500)
    agree(ladder)


@pytest.mark.conformance("CF-M15", "CF-V09")
@ROWS
def test_esp_from_elsewhere_moves_the_sas_once_the_peer_is_seen_there(row: Row) -> None:
    """§3.8: the host "MAY use them for ESP packets"; a check comes first (§3.7)."""
    ladder = roaming(replace(row, behind_nat=True))
    assert ladder.nat
    before = link_of(ladder.right)
    ladder.nat = replace(ladder.nat, offset=30000)
    place = Endpoint(ladder.nat.public, 34500)
    ladder.esp_from(ladder.right, place)
    assert link_of(ladder.right) == before
    assert ladder.right.child.peer == before.peer
    ladder.settle()
    assert link_of(ladder.right).peer == ladder.right.child.peer == place


@pytest.mark.conformance("CF-M05")
@ROWS
def test_a_move_behind_a_nat_and_out_of_it_switches_encapsulation(row: Row) -> None:
    """§3.5: "enables or disables NAT Traversal", keepalives included."""
    ladder = roaming(row)
    outside, inside = HERE[row.version][:2]
    public = ip_address("203.0.113.9" if row.version == 4 else "2001:db8:2::9")
    assert ladder.left.child.encapsulation is Encapsulation.NONE
    ladder.nat = Nat(inside, public)
    ladder.has(ladder.left, inside)
    ladder.settle()
    for host in (ladder.left, ladder.right):
        assert host.child.encapsulation is Encapsulation.UDP
    assert ladder.right.child.peer == Endpoint(public, 24500)
    ladder.wait(30)
    assert [host for host, _ in ladder.keepalives] == [ladder.left]
    ladder.nat = None
    ladder.has(ladder.left, outside)
    ladder.settle()
    for host in (ladder.left, ladder.right):
        assert host.child.encapsulation is Encapsulation.NONE
    ladder.wait(60)
    assert len(ladder.keepalives) == 1
    same_place(ladder)


def test_encapsulation_that_is_forced_stays() -> None:
    """§3.5: what policy wants does not depend on the path."""
    ladder = roaming(GCM, left={"encapsulate": Encapsulate.ALWAYS})
    ladder.has(ladder.left, HERE[4][1])
    ladder.settle()
    for host in (ladder.left, ladder.right):
        assert host.child.encapsulation is Encapsulation.UDP


# §3.9: NAT prohibition ----------------------------------------------------------------------------


@pytest.fixture
def deaf(row: Row, monkeypatch: pytest.MonkeyPatch) -> Ladder:
    """Hosts that do MOBIKE without NAT traversal, as an implementation may that has none."""
    monkeypatch.setattr(nat_traversal, "announce", lambda _: ())
    ladder = mobike(row)
    for host, address in zip((ladder.left, ladder.right), ladder.addresses, strict=True):
        ladder.has(host, address)
    return ladder


@pytest.fixture
def silent(deaf: Ladder) -> Ladder:
    """The same, connected."""
    deaf.connect()
    return deaf


@pytest.mark.conformance("CF-M16")
@ROWS
def test_without_nat_traversal_addresses_are_protected(row: Row, silent: Ladder) -> None:
    """§3.9: what updates addresses "MUST also include a NO_NATS_ALLOWED notification"."""
    ladder = silent
    at = len(ladder.sent)
    ladder.has(ladder.left, HERE[row.version][1])
    ladder.settle()
    assert N.NO_NATS_ALLOWED in notifies(ladder, at)[0]
    same_place(ladder)


@pytest.mark.conformance("CF-M16")
@ROWS
def test_a_nat_where_none_may_be_is_told_and_nothing_changes(row: Row, silent: Ladder) -> None:
    """§3.9: UNEXPECTED_NAT_DETECTED goes "to the address and port that the ... request came
    from"; the content is not used."""
    ladder = silent
    before = link_of(ladder.right)
    new, public = HERE[row.version][1:]
    ladder.nat = Nat(new, public)
    at = len(ladder.sent)
    ladder.has(ladder.left, new)
    ladder.deliver(*ladder.wire.popleft())
    host, refusal = ladder.sent[at + 1]
    assert host is ladder.right
    assert N.UNEXPECTED_NAT_DETECTED in notifies(ladder, at)[1]
    assert refusal.local == Endpoint(new, ladder.sent[at][1].peer.port - 20000)
    assert link_of(ladder.right) == before
    assert ladder.right.child.peer == before.peer
    assert ladder.right.refusals == ["UNEXPECTED_NAT_DETECTED"]
    ladder.settle()
    assert ladder.right.refusals == ["UNEXPECTED_NAT_DETECTED"] * 6, "said anew, but not for ever"


@pytest.mark.conformance("CF-M16")
@ROWS
def test_an_update_that_was_changed_on_the_way_is_said_anew(row: Row, silent: Ladder) -> None:
    """§3.9: it "SHOULD retry the operation several times using new INFORMATIONAL requests"."""
    ladder = silent
    left = 2

    def changing(_host: object, datagram: Datagram) -> list[Datagram]:
        nonlocal left
        if datagram.peer.address == HERE[row.version][1] and left:
            left -= 1
            return [replace(datagram, peer=Endpoint(HERE[row.version][2], 4500))]
        return [datagram]

    ladder.fate = changing
    ladder.has(ladder.left, HERE[row.version][1])
    ladder.settle()
    assert left == 0
    same_place(ladder)


@pytest.mark.conformance("CF-M16")
@ROWS
def test_ike_auth_through_a_nat_where_none_may_be_fails(row: Row, deaf: Ladder) -> None:
    """§3.9: the first IKE_AUTH request is one of "all messages that can update the addresses"."""
    ladder = deaf
    ladder.nat = Nat(row.addresses[0], HERE[row.version][2])
    ladder.connect()
    ladder.wait(3)
    assert ladder.right.refusals == ["UNEXPECTED_NAT_DETECTED"]
    assert not ladder.right.established
    assert [end.reason for end in ladder.left.ends] == ["the peer says UNEXPECTED_NAT_DETECTED"]


# §3.10: path probing ------------------------------------------------------------------------------


@ROWS
def test_an_initiator_without_an_answer_tries_its_other_paths(row: Row) -> None:
    """§3.5: a request "has been re-transmitted several times, but no valid reply": re-evaluate."""
    ladder = mobike(row)
    ladder.has(ladder.left, *HERE[row.version][:2])
    ladder.has(ladder.right, *THERE[row.version])
    ladder.connect()
    Roads(ladder, {(row.addresses[0], THERE[row.version][0])})
    ladder.check_liveness(ladder.left)
    ladder.wait(2.5)
    assert link_of(ladder.left).peer.address == THERE[row.version][0]
    assert link_of(ladder.left).local.address == HERE[row.version][1]
    same_place(ladder)
    agree(ladder)


@ROWS
def test_a_gateway_whose_address_is_dead_is_found_at_its_other_one(row: Row) -> None:
    """§2.2: the second example: the other address of the responder is tried, and taken."""
    ladder = mobike(row)
    ladder.has(ladder.left, row.addresses[0])
    ladder.has(ladder.right, *THERE[row.version])
    ladder.connect()
    roads = Roads(ladder, {THERE[row.version][0]})
    ladder.check_liveness(ladder.left)
    ladder.wait(2.5)
    assert link_of(ladder.left).peer.address == THERE[row.version][1]
    same_place(ladder)
    roads.closed = {THERE[row.version][1]}
    ladder.check_liveness(ladder.left)
    ladder.wait(2.5)
    same_place(ladder)
    agree(ladder)


@ROWS
def test_the_children_wait_for_the_new_address_of_the_responder(row: Row) -> None:
    """§3.5: "unless the initiator's policy requires a return routability check"."""
    ladder = mobike(row)
    ladder.has(ladder.left, row.addresses[0])
    ladder.has(ladder.right, *THERE[row.version])
    ladder.connect()
    asked = request(ladder, ladder.right, (Notify(N.NO_ADDITIONAL_ADDRESSES),))
    second = THERE[row.version][1]
    ladder.deliver(ladder.left, replace(asked, peer=Endpoint(second, 4500)))
    assert link_of(ladder.left).peer.address == second
    assert ladder.left.child.peer.address == row.addresses[1]
    ladder.settle()
    assert ladder.left.child.peer.address == second


@ROWS
def test_a_path_that_answers_late_is_kept(row: Row) -> None:
    ladder = mobike(row)
    ladder.has(ladder.left, *HERE[row.version][:2])
    ladder.connect()
    roads = Roads(ladder, {row.addresses[0], HERE[row.version][1]})
    ladder.check_liveness(ladder.left)
    ladder.wait(2)
    roads.closed = {HERE[row.version][1]}
    ladder.wait(4)
    assert not ladder.left.seen(Moved)
    assert mobility_of(ladder.left).probes == ()
    same_place(ladder)


@ROWS
def test_a_responder_tries_no_other_path(row: Row) -> None:
    """§3.5: "the initiator decides what addresses are used"."""
    ladder = mobike(row)
    ladder.has(ladder.left, *HERE[row.version])
    ladder.has(ladder.right, *THERE[row.version])
    ladder.connect()
    at = len(ladder.sent)
    Roads(ladder, {row.addresses[0]})
    ladder.check_liveness(ladder.right)
    ladder.wait(10)
    targets = {datagram.local for host, datagram in ladder.sent[at:] if host is ladder.right}
    assert targets == {link_of(ladder.left).local}


def test_a_connection_in_transport_mode_does_no_mobike() -> None:
    """RFC 4555 §1.2: "only the tunnel mode"; its selectors are the addresses themselves."""
    host = ("dynamic",)
    changes = {
        "mobike": True,
        "mode": Mode.TRANSPORT,
        "local_ts": tuple(map(template, host)),
        "peer_ts": tuple(map(template, host)),
    }
    ladder = GCM.psk(left=changes, right=changes)
    ladder.connect()
    assert not session_of(ladder.left).agreed.mobike

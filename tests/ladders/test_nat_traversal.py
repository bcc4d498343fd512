# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.23, RFC 3948: NATs, port 4500 and encapsulation."""

import hashlib
from dataclasses import replace

import pytest

from ikeway.ike.features.nat_traversal import endpoint_hash
from ikeway.ike.io import Datagram
from ikeway.model.address import Endpoint
from ikeway.model.esp import Encapsulation
from ikeway.policy.connection import Encapsulate
from ikeway.wire.message import NAT_KEEPALIVE, Message, with_marker, without_marker
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType
from support.forge import first_message, session_of
from support.hosts import CBC, GCM, Row
from support.ladder import Ladder

SOURCE, DESTINATION = NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP
BEHIND = [replace(GCM, behind_nat=True), replace(CBC, behind_nat=True)]


def ports(ladder: Ladder) -> list[tuple[int, int]]:
    """Return source and destination port of each datagram, as the receiver sees them."""
    return [(datagram.peer.port, datagram.local.port) for _, datagram in ladder.sent]


@pytest.mark.conformance("CF-J17")
def test_both_messages_have_both_hashes(row: Row) -> None:
    """§2.23: SHA-1 over SPIs, address and port; SPIr is zero in the request."""
    ladder = replace(row, behind_nat=False).psk()
    ladder.connect()
    for _, datagram in ladder.sent[:2]:
        message = Message.decode(datagram.octets)
        for kind, end in ((SOURCE, datagram.peer), (DESTINATION, datagram.local)):
            text = message.header.spi_i + message.header.spi_r + end.address.packed
            text += end.port.to_bytes(2)
            notify = message.notify(kind)
            assert notify
            assert notify.data == hashlib.sha1(text, usedforsecurity=False).digest()


@pytest.mark.conformance("CF-J18", "CF-J20")
@pytest.mark.parametrize("row", BEHIND, ids=str)
def test_behind_a_nat_everything_after_ike_sa_init_goes_to_port_4500(row: Row) -> None:
    """§2.23: "the initiator MUST ... switch to port 4500" for IKE and ESP."""
    ladder = row.psk()
    ladder.connect()
    ladder.check_liveness(ladder.right)
    ladder.settle()
    there, back = (24500, 4500), (4500, 4500)
    assert ports(ladder) == [(20500, 500), (500, 500), there, back, back, there]
    for host in (ladder.left, ladder.right):
        child = host.child
        assert child.encapsulation is Encapsulation.UDP
        assert child.local.port == 4500
    nat = row.nat
    assert nat
    assert ladder.right.child.peer == Endpoint(nat.public, 24500)
    assert ladder.left.child.peer == Endpoint(row.addresses[1], 4500)


@pytest.mark.conformance("CF-J18")
@pytest.mark.parametrize("row", BEHIND, ids=str)
def test_both_sides_know_who_is_behind_the_nat(row: Row) -> None:
    """§2.23: the two notifies tell both what the NAT did."""
    ladder = row.psk()
    ladder.connect()
    left, right = (session_of(host).agreed.nat for host in (ladder.left, ladder.right))
    assert (left.local, left.peer, right.local, right.peer) == (True, False, False, True)


@pytest.mark.conformance("CF-J20")
@pytest.mark.parametrize("row", [GCM, CBC], ids=str)
def test_without_a_nat_all_stays_on_port_500_and_esp_is_plain(row: Row) -> None:
    """§2.23: encapsulation is for those who need it."""
    ladder = row.psk()
    ladder.connect()
    assert set(ports(ladder)) == {(500, 500)}
    assert ladder.left.child.encapsulation is ladder.right.child.encapsulation is Encapsulation.NONE


@pytest.mark.conformance("CF-J20")
@pytest.mark.parametrize("row", [GCM, CBC], ids=str)
@pytest.mark.parametrize("side", ["left", "right"])
def test_either_side_can_have_encapsulation_without_a_nat(row: Row, side: str) -> None:
    """§2.23: a source hash that fits nobody looks like a NAT to both."""
    always = {"encapsulate": Encapsulate.ALWAYS}
    ladder = row.psk(left=always) if side == "left" else row.psk(right=always)
    ladder.connect()
    assert ports(ladder)[2:] == [(4500, 4500), (4500, 4500)]
    assert ladder.left.child.encapsulation is ladder.right.child.encapsulation is Encapsulation.UDP


@pytest.mark.conformance("CF-J23")
@pytest.mark.parametrize("behind_nat", [True, False])
def test_an_ike_sa_may_start_on_port_4500(behind_nat: bool) -> None:
    """§2.23: "An initiator can ... use port 4500 for both IKE and ESP" from the start."""
    ladder = replace(GCM, behind_nat=behind_nat).psk()
    ladder.connect(port=4500)
    source = 24500 if behind_nat else 4500
    assert ports(ladder) == [(source, 4500), (4500, 4500)] * 2
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


@pytest.mark.conformance("CF-J17")
def test_one_matching_source_of_several_is_enough(row: Row) -> None:
    """§2.23: a host of several addresses "MAY include ... multiple" of them."""
    ladder = replace(row, behind_nat=False).psk()
    message = first_message(ladder)
    more = tuple(Notify(SOURCE, bytes([number]) * 20) for number in range(3))
    octets = replace(message, payloads=(*more, *message.payloads)).encode()
    ladder.arrive(ladder.right, octets)
    assert not session_of(ladder.right).agreed.nat.is_present


@pytest.mark.parametrize("missing", [SOURCE, DESTINATION])
def test_a_peer_that_does_no_nat_traversal_gets_plain_esp(row: Row, missing: NotifyType) -> None:
    """§2.23: both notifies say that the sender does it."""
    ladder = row.psk()
    message = first_message(ladder)
    kept = tuple(
        one for one in message.payloads if not (isinstance(one, Notify) and one.type is missing)
    )
    ladder.arrive(ladder.right, replace(message, payloads=kept).encode())
    nat = session_of(ladder.right).agreed.nat
    assert (nat.is_spoken, nat.is_present) == (False, False)
    assert str(nat) == "not supported by the peer"


@pytest.mark.conformance("CF-D01")
@pytest.mark.parametrize("row", BEHIND, ids=str)
def test_the_address_of_the_ike_auth_request_is_the_one_that_counts(row: Row) -> None:
    """§2.23: the NAT has another mapping for port 4500 than for port 500."""
    ladder = row.psk()
    ladder.connect()
    assert ladder.right.established[0].session.link.peer.port == 24500
    assert ladder.right.established[0].session.link.local.port == 4500


def test_an_unusual_port_is_left_alone() -> None:
    """§2.23: the move is from port 500 only; other ports are somebody's mapping."""
    ladder = replace(GCM, behind_nat=True).psk()
    ladder.connect(port=1500)
    assert ports(ladder) == [(21500, 1500), (1500, 1500)] * 2


@pytest.mark.conformance("CF-B02", "CF-V02")
def test_the_marker_tells_ike_from_esp_on_port_4500() -> None:
    """RFC 3948 §2.2: four zero octets, where ESP has its SPI."""
    octets = first_message(GCM.psk()).encode()
    assert with_marker(octets) == bytes(4) + octets
    assert without_marker(with_marker(octets)) == octets
    assert without_marker(b"\0\0\1\0" + octets) is None
    assert without_marker(b"\xff") is None


def test_the_core_never_sees_the_marker(row: Row) -> None:
    """RFC 3948 §2.2: adding and taking it away is the transport's, so AUTH cannot cover it."""
    ladder = row.psk()
    ladder.connect()
    assert all(not datagram.octets.startswith(bytes(4)) for _, datagram in ladder.sent)
    (first, *_) = ladder.sent
    marked = Datagram(first[1].local, first[1].peer, with_marker(first[1].octets))
    assert ladder.deliver(ladder.right, marked)
    assert len(ladder.right.endpoint.sas) == 1


def test_the_hash_is_over_addresses_of_both_families() -> None:
    """§2.23: 4 or 16 octets of address, 2 of port."""
    for row in (GCM, CBC):
        one, two = (Endpoint(address, 500) for address in row.addresses)
        assert len(endpoint_hash(bytes(8), bytes(8), one)) == 20
        assert endpoint_hash(bytes(8), bytes(8), one) != endpoint_hash(bytes(8), bytes(8), two)


@pytest.mark.conformance("CF-J19", "CF-V03")
@pytest.mark.parametrize("row", BEHIND, ids=str)
def test_a_host_behind_a_nat_sends_keepalives(row: Row) -> None:
    """RFC 3948 §4: every 20 seconds by default."""
    ladder = row.psk()
    begin = ladder.now
    ladder.connect()
    ladder.wait(101)
    assert ladder.keepalives == [(ladder.left, begin + 20 * number) for number in range(1, 6)]
    ladder.disconnect(ladder.left)
    ladder.settle()
    ladder.wait(60)
    assert len(ladder.keepalives) == 5


@pytest.mark.conformance("CF-V03")
def test_keepalives_come_as_often_as_the_connection_says() -> None:
    """RFC 3948 §4: "no other packet ... in M seconds", where M is the sender's."""
    ladder = BEHIND[0].psk(left={"keepalive": 50.0})
    begin = ladder.now
    ladder.connect()
    ladder.wait(101)
    assert ladder.keepalives == [(ladder.left, begin + 50), (ladder.left, begin + 100)]


@pytest.mark.conformance("CF-J19")
@pytest.mark.parametrize("encapsulate", list(Encapsulate))
def test_a_host_that_is_behind_no_nat_sends_none(encapsulate: Encapsulate) -> None:
    """RFC 3948 §4: they are for the NAT before their sender."""
    ladder = GCM.psk(left={"encapsulate": encapsulate}, right={"encapsulate": encapsulate})
    ladder.connect()
    ladder.wait(100)
    assert ladder.keepalives == []


@pytest.mark.conformance("CF-V04")
@pytest.mark.parametrize("row", BEHIND, ids=str)
def test_a_keepalive_that_gets_through_is_no_sign_of_life(row: Row) -> None:
    """RFC 3948 §2.3: it is no message: nothing changes."""
    ladder = row.psk()
    ladder.connect()
    before = ladder.right.states
    assert ladder.arrive(ladder.right, NAT_KEEPALIVE) == []
    assert ladder.right.states == before

# SPDX-License-Identifier: Apache-2.0
"""Moves with peers whose kernel does ESP: strongSwan, Libreswan and OpenIKED (RFC 4555)."""

import time
from collections.abc import Callable, Iterator

import pytest

from support.guest import OUTER, Guest, GuestPair
from support.inguest import Meeting, changes
from support.libreswan import Libreswan
from support.link import FIRST, SECOND
from support.openiked import OpenIked
from support.pair import INITIATOR, Case, Pair
from support.steady import Pinger
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]

Property = Callable[[str, object], None]

OURS_NEW, PEER_NEW = "10.77.0.101", "10.77.0.102"
SECONDS = 5.0
STALL = 2.0
"""What a change of network may cost (design §8)."""


@pytest.fixture(autouse=True)
def _home(guest: Guest) -> Iterator[None]:
    """Puts both addresses back, as the guest stays for the next test."""
    yield
    for address in (OURS_NEW, FIRST[4]):
        guest.namespace.run("sh", "-c", f"ip address del {address}/24 dev {OUTER}; true")
    guest.namespace.add_address(OUTER, f"{FIRST[4]}/24")
    guest.run("sh", "-c", f"ip address del {PEER_NEW}/24 dev eth0; true")
    guest.run("sh", "-c", f"ip address replace {SECOND[4]}/24 dev eth0")


@pytest.mark.conformance("CF-M04")
@pytest.mark.parametrize("role", [INITIATOR])
@pytest.mark.parametrize("mobike", ["yes", "no"])
def test_our_client_moves_beside_libreswan(
    meet: Meeting, role: str, mobike: str, record_property: Property
) -> None:
    """It does MOBIKE with those only whose address it is not told. Without MOBIKE it goes on
    sending to the old address, so that another IKE SA has to take over."""
    pair = meet(Libreswan, peer={"peer": "%any", "mobike": mobike})
    pair.connect()
    before = pair.ikeway.established()[0].id
    moves(pair, lambda: change_ours(pair), record_property)
    (sa,) = pair.ikeway.established()
    assert sa.local.address == OURS_NEW
    assert (sa.id == before) == (mobike == "yes")


@pytest.mark.conformance("CF-M04")
@pytest.mark.parametrize("role", [INITIATOR])
def test_our_client_moves_beside_openiked(meet: Meeting, role: str) -> None:
    """Its IKE SA follows. Its kernel's SAs do not: PF_KEY of Linux moves none, so that the next
    rekey of the Child SA has to bring the traffic back."""
    pair = meet(OpenIked, peer={"peer": "any"}, ikeway={"lifetimes": {"child": "12s"}})
    pair.connect()
    before = pair.ikeway.established()[0].id
    change_ours(pair)
    pair.ikeway.wait_for_log("IKE SA moved", STALL)
    changes(pair, "child", 20.0)
    (sa,) = pair.ikeway.established()
    assert (sa.id, sa.local.address) == (before, OURS_NEW)
    pair.carry()


@pytest.mark.conformance("CF-M04")
def test_either_end_moves_beside_strongswan(
    guest: Guest, tmp_path_factory: pytest.TempPathFactory, role: str, record_property: Property
) -> None:
    """The kernel moves its SAs as they are, where strongSwan's user-space ESP has to rekey them."""
    ours = role == INITIATOR
    case = Case() if ours else Case(strongswan={"local": ""}, ikeway={"peer": "any"})
    pair = GuestPair(guest, tmp_path_factory.mktemp("t"), role, case)
    try:
        pair.up()
        pair.connect()
        spis = {child.spi_in for child in pair.ikeway.children()}
        moves(pair, (lambda: change_ours(pair)) if ours else change_peer(guest), record_property)
        assert {child.spi_in for child in pair.ikeway.children()} == spis
        if not ours:
            # It takes its other address first, which is of IPv6 here.
            wait_until(lambda: pair.ikeway.established()[0].peer.address != SECOND[4], 3.0)
    finally:
        pair.down()


def moves(pair: Pair, move: Callable[[], None], record: Property) -> None:
    """Let something move while we ping; afterwards nothing is lost."""
    ours, peer = pair.link.ours, pair.link.peer
    pinger = Pinger(ours.namespace, ours.inner[4], peer.inner[4], SECONDS)
    time.sleep(1)
    move()
    sent, lost = pinger.lost()
    said = f"{lost} of {sent} pings lost, none for {pinger.gap():.2f} s"
    record("figures", said)
    print(said)
    assert pinger.gap() < STALL, said
    assert Pinger(ours.namespace, ours.inner[4], peer.inner[4], 0.5).lost()[1] == 0


def change_ours(pair: Pair) -> None:
    """Take the address on the cable from our host and give it another one."""
    host = pair.link.ours.namespace
    host.ip("address", "del", f"{FIRST[4]}/24", "dev", OUTER)
    host.add_address(OUTER, f"{OURS_NEW}/24")


def change_peer(guest: Guest) -> Callable[[], None]:
    """Return what does the same in the guest."""
    old, new = f"{SECOND[4]}/24", f"{PEER_NEW}/24"
    script = f"ip address del {old} dev eth0; ip address add {new} dev eth0"
    return lambda: print(guest.run("sh", "-c", script))

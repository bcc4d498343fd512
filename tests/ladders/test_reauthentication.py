# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.8.3: a new IKE SA from scratch beside the old one, which goes once it is up."""

from dataclasses import replace

import pytest

from ikeway.ike import reports
from ikeway.ike.io import Datagram, Disconnect, InstallChild, Rekey, Spent, TimerFired
from ikeway.ike.states import Established
from ikeway.ike.tasks import DeleteChild
from ikeway.policy.connection import PeerAddress, Role
from ikeway.policy.lifetimes import Lifetimes
from ikeway.wire.registry import ExchangeType
from support.agreement import agree
from support.hosts import CLIENT, GATEWAY, GCM, POOL, Changes, Row
from support.ladder import Ladder
from support.shell import Host

LIFETIMES = Lifetimes(reauth=1000.0, ike=1e6, child=1e6, jitter=0.0)
DUE = 1000.0
IKE_SA_INIT = ExchangeType.IKE_SA_INIT
OFTEN: Changes = {"lifetimes": LIFETIMES, "liveness": 1e6}


def up(row: Row, left: Changes | None = None, right: Changes | None = None) -> Ladder:
    plain: Changes = {"liveness": 1e6, "lifetimes": replace(LIFETIMES, reauth=0.0)}
    ladder = row.psk({**OFTEN, **at(row, 1), **(left or {})}, {**plain, **(right or {})})
    ladder.connect()
    return ladder


def at(row: Row, side: int) -> Changes:
    """Return the change that lets a connection be started towards a side."""
    return {"peer": PeerAddress.parse(str(row.addresses[side]))}


def road(row: Row = GCM) -> Ladder:
    ladder = row.psk({**OFTEN, **at(row, 1), **CLIENT}, GATEWAY, {"staff": POOL})
    ladder.connect()
    return ladder


@pytest.mark.conformance("CF-F14")
def test_identities_are_proven_anew_and_traffic_has_an_sa_at_every_moment(row: Row) -> None:
    """§2.8.3: "Reauthentication is done by creating a new IKE SA from scratch (using
    IKE_SA_INIT/IKE_AUTH exchanges, without any REKEY_SA Notify payloads), creating new Child SAs
    within the new IKE SA (without REKEY_SA Notify payloads), and finally deleting the old IKE SA
    (which deletes the old Child SAs as well)."
    """
    ladder = up(row)
    old, child = ladder.left.endpoint.sas[0].spi, ladder.left.child
    watch(ladder)
    ladder.wait(DUE + 1)
    agree(ladder)
    assert ladder.left.endpoint.find(old) is None or not ladder.left.established[0].queued
    assert ladder.left.child.spi_in != child.spi_in
    said = [what.split()[0] for what in ladder.left.said]
    assert said == ["IKE_SA_INIT", "IKE_AUTH"] * 2 + ["INFORMATIONAL"] * 2
    assert ladder.left.established[0].since >= DUE


def watch(ladder: Ladder) -> None:
    """Check at every datagram that each side has a child that the other one has too."""

    def fate(_host: Host, datagram: Datagram) -> list[Datagram]:
        left, right = ladder.left.installed, ladder.right.installed
        assert any(child.spi_out in right for child in left.values())
        assert any(child.spi_out in left for child in right.values())
        return [datagram]

    ladder.fate = fate


def test_it_goes_on_for_ever(row: Row) -> None:
    """§2.8.3: each proof counts for as long as the first."""
    ladder = up(row)
    ladder.wait(10 * DUE + 100)
    agree(ladder)
    assert len(ladder.left.seen(reports.Reauthenticating)) == 10
    assert len(ladder.left.endpoint.sas) == len(ladder.right.endpoint.sas) == 1


def test_without_a_lifetime_of_proofs_nothing_happens() -> None:
    """Off by default: a rekey is enough where identities do not end."""
    ladder = GCM.psk()
    ladder.connect()
    ladder.wait(40_000)
    assert not ladder.left.seen(reports.Reauthenticating)
    agree(ladder)


def test_a_virtual_address_is_kept(row: Row) -> None:
    """The responder lends the same address to the new IKE SA while the old one has it."""
    ladder = road(row)
    before = ladder.left.established[0].virtual_ips
    watch(ladder)
    ladder.wait(DUE + 1)
    agree(ladder)
    assert ladder.left.established[0].virtual_ips == before
    assert len(ladder.right.leases._held) == len(before)
    ladder.fate = lambda _host, datagram: [datagram]
    ladder.disconnect(ladder.left, ladder.left.endpoint.sas[-1].spi)
    ladder.wait(60)
    assert not ladder.right.leases._held


@pytest.mark.conformance("CF-F14")
def test_a_rekey_does_not_renew_a_proof(row: Row) -> None:
    """§2.8.3: "Rekeying the IKE SA ... reauthenticates nobody"."""
    ladder = up(row, {"lifetimes": replace(LIFETIMES, ike=300.0)})
    ladder.wait(DUE - 1)
    assert ladder.left.seen(reports.Rekeyed)
    assert not ladder.left.seen(reports.Reauthenticating)
    ladder.wait(2)
    assert ladder.left.seen(reports.Reauthenticating)
    agree(ladder)


def test_an_attempt_that_fails_costs_nothing_and_is_made_again() -> None:
    """The old IKE SA stays until the hard limit."""
    ladder = up(GCM)
    child = ladder.left.child
    ladder.fate = lambda _host, _datagram: []
    ladder.wait(DUE + 35)
    assert ladder.left.child == child
    assert ladder.left.ends
    ladder.fate = lambda _host, datagram: [datagram]
    ladder.wait(60)
    assert ladder.left.child != child
    agree(ladder)


def test_a_refused_child_is_no_successor() -> None:
    """An IKE SA without a Child SA does not take over; the old one carries on."""
    ladder = up(GCM)
    child = ladder.left.child
    ladder.right.refuse_install = "no room"
    ladder.wait(DUE + 40)
    assert ladder.left.child == child
    assert len(ladder.left.established) == 1
    ladder.right.refuse_install = None
    ladder.wait(60)
    agree(ladder)
    assert ladder.left.child != child


def test_proofs_that_are_not_renewed_end() -> None:
    """Who cannot start the connection holds the peer to the lifetime of its proof."""
    lifetimes = replace(LIFETIMES, reauth=0.0)
    ladder = up(GCM, {"lifetimes": lifetimes}, {**OFTEN, "role": Role.RESPONDER})
    ladder.fate = lambda host, datagram: (
        [] if host is ladder.left and datagram.octets[18] == IKE_SA_INIT else [datagram]
    )
    ladder.wait(DUE * 1.1 + 29)
    assert ladder.right.installed
    assert not ladder.right.seen(reports.Reauthenticating)
    ladder.wait(2)
    assert not ladder.right.installed
    assert not ladder.left.installed
    assert "not proven anew" in ladder.right.ends[-1].reason


@pytest.mark.parametrize("late", [0.0, 0.2, 5.0])
def test_both_sides_at_once_leave_one_ike_sa(row: Row, late: float) -> None:
    """RFC 7296 has no rule; of two the one of the higher SPIi stays, and its initiator ends the
    other: both sides know both."""
    if row.behind_nat:
        pytest.skip("nobody can start a connection to who is behind a NAT")
    theirs: Changes = {"lifetimes": replace(LIFETIMES, reauth=DUE + late), "liveness": 1e6}
    ladder = row.psk({**OFTEN, **at(row, 1)}, {**theirs, **at(row, 0)})
    ladder.connect()
    watch(ladder)
    ladder.wait(DUE + 30)
    agree(ladder)
    assert len(ladder.left.endpoint.sas) == len(ladder.right.endpoint.sas)


@pytest.mark.parametrize("what", ["child", "ike", "delete child", "delete ike"])
@pytest.mark.parametrize("by", ["left", "right"])
@pytest.mark.parametrize("step", range(8))
def test_it_crosses_whatever_else_happens(what: str, by: str, step: int) -> None:
    """Something happens to the old IKE SA after each datagram of a reauthentication."""
    ladder = up(GCM)
    host: Host = getattr(ladder, by)
    old = _old(host)
    ladder.wait(DUE - 0.01)
    ladder.now += 0.02
    _wake(ladder)
    for _ in range(step):
        if ladder.wire:
            ladder.deliver(*ladder.wire.popleft())
    happen(ladder, host, old, what)
    ladder.wait(200)
    if what == "delete ike" and not ladder.left.established:
        assert not ladder.right.established
        assert not ladder.left.installed
        return
    agree(ladder, len(ladder.left.installed))
    assert len(ladder.left.installed) == 1 or what.startswith("delete")


def _old(host: Host) -> bytes:
    return host.endpoint.sas[0].spi


def _wake(ladder: Ladder) -> None:
    (spi,) = ladder.left.timers
    ladder.left.timers.pop(spi)
    ladder.perform(ladder.left, ladder.left.endpoint.handle(spi, TimerFired(), ladder.now))


def happen(ladder: Ladder, host: Host, old: bytes, what: str) -> None:
    sa = host.endpoint.find(old)
    if sa is None or not isinstance(sa.state, Established) or not sa.state.children:
        return
    spi = sa.state.children[0].sa.spi_in
    match what:
        case "child":
            actions = host.endpoint.handle(old, Rekey(spi), ladder.now)
        case "ike":
            actions = host.endpoint.handle(old, Rekey(), ladder.now)
        case "delete ike":
            actions = host.endpoint.handle(old, Disconnect("asked to"), ladder.now)
        case _:
            sa._state = replace(sa.state, queued=(*sa.state.queued, DeleteChild(spi)))
            actions = host.endpoint.handle(old, Spent(0, is_over=False), ladder.now)
    ladder.perform(host, actions)


@pytest.mark.parametrize("lost", range(10))
def test_it_survives_any_lost_message(lost: int) -> None:
    """§2.1: whatever is lost is sent again, and no moment is without an SA that both know."""
    ladder = up(GCM)
    watch(ladder)
    check, count = ladder.fate, [0]

    def fate(host: Host, datagram: Datagram) -> list[Datagram]:
        check(host, datagram)
        count[0] += 1
        return [] if count[0] == lost + 1 else [datagram]

    ladder.fate = fate
    ladder.wait(DUE + 60)
    agree(ladder)


def test_a_peer_that_breaks_before_it_makes_gets_its_address_again() -> None:
    """strongSwan without make_before_break: the old IKE SA is deleted first."""
    ladder = road()
    before = ladder.left.established[0].virtual_ips
    ladder.disconnect(ladder.left)
    ladder.connect()
    assert ladder.left.established[0].virtual_ips == before


def test_who_shares_an_identity_and_asks_for_any_address_gets_another() -> None:
    """Two devices of one user are not one device that proves itself anew."""
    ladder = road()
    ladder.connect()
    one, two = (state.virtual_ips for state in ladder.left.established)
    assert not set(one) & set(two)


def test_an_install_that_takes_long_keeps_the_old_one() -> None:
    """The old IKE SA goes once the data plane has the new child."""
    ladder = up(GCM)
    ladder.left.holds = (InstallChild,)
    ladder.wait(DUE + 1)
    assert len(ladder.left.established) == 2
    assert not ladder.left.established[0].queued
    ladder.left.holds = ()
    ladder.answer(ladder.left)
    ladder.wait(1)
    agree(ladder)

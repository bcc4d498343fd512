# SPDX-License-Identifier: Apache-2.0
"""RFC 4555 §3.5 with RFC 7296 §2.8: moving while SAs are replaced, and the other way round."""

import pytest

from ikeway.ike.io import InstallChild, Rekey
from support.agreement import agree
from support.forge import session_of
from support.hosts import CBC, GCM, Row
from support.ladder import Ladder
from support.roads import HERE, THERE, Roads, link_of, mobility_of, roaming, same_place
from support.shell import Host

ROWS = pytest.mark.parametrize("row", [GCM, CBC], ids=str)
SIDES = pytest.mark.parametrize("side", ["left", "right"])


def rekey(ladder: Ladder, host: Host, spi_in: int = 0) -> None:
    """Let a host rekey its IKE SA, or a Child SA; nothing is delivered."""
    (state,) = host.established
    actions = host.endpoint.handle(state.session.sa, Rekey(spi_in), ladder.now)
    ladder.perform(host, actions)


def deliver(ladder: Ladder, count: int) -> None:
    """Deliver so many datagrams, if there are as many."""
    for _ in range(count):
        if ladder.wire:
            ladder.deliver(*ladder.wire.popleft())


def move(ladder: Ladder, row: Row) -> None:
    """Take the left host's address away; it has the other one from now on."""
    Roads(ladder, {row.addresses[0]})
    ladder.has(ladder.left, HERE[row.version][1])


def both(ladder: Ladder, row: Row) -> None:
    """Check that all is where the left host is, and works both ways, once old SAs are forgotten."""
    ladder.wait(130)
    same_place(ladder)
    agree(ladder)
    assert link_of(ladder.right).peer.address == HERE[row.version][1]
    for host in (ladder.left, ladder.right):
        ladder.check_liveness(host)
        ladder.settle()
    agree(ladder)


@ROWS
@SIDES
def test_the_successor_of_an_ike_sa_moves_as_it_did(row: Row, side: str) -> None:
    """Whoever rekeyed: the mobile side stays the one that decides (RFC 4555 §2.1)."""
    ladder = roaming(row)
    rekey(ladder, getattr(ladder, side))
    ladder.wait(20)
    assert mobility_of(ladder.left).chooses
    assert not mobility_of(ladder.right).chooses
    ladder.has(ladder.left, HERE[row.version][1])
    ladder.settle()
    both(ladder, row)


@ROWS
@SIDES
@pytest.mark.parametrize("delivered", range(6))
def test_a_move_at_any_moment_of_an_ike_rekey(row: Row, side: str, delivered: int) -> None:
    """The peer hears of the new address on whichever IKE SA is left."""
    ladder = roaming(row)
    rekey(ladder, getattr(ladder, side))
    deliver(ladder, delivered)
    move(ladder, row)
    both(ladder, row)


@ROWS
@SIDES
@pytest.mark.parametrize("delivered", range(6))
def test_an_ike_rekey_at_any_moment_of_a_move(row: Row, side: str, delivered: int) -> None:
    ladder = roaming(row)
    move(ladder, row)
    deliver(ladder, delivered)
    rekey(ladder, getattr(ladder, side))
    both(ladder, row)


@ROWS
@pytest.mark.parametrize("delivered", range(8))
def test_a_move_at_any_moment_of_crossing_ike_rekeys(row: Row, delivered: int) -> None:
    """RFC 7296 §2.8.2: the SA that stays is where its predecessor went meanwhile."""
    ladder = roaming(row)
    rekey(ladder, ladder.left)
    rekey(ladder, ladder.right)
    deliver(ladder, delivered)
    move(ladder, row)
    both(ladder, row)


@ROWS
@SIDES
@pytest.mark.parametrize("delivered", range(6))
def test_a_move_at_any_moment_of_a_child_rekey(row: Row, side: str, delivered: int) -> None:
    """§3.3: a Child SA's addresses are those of its IKE SA, not of the message that asks for it."""
    ladder = roaming(row)
    host = getattr(ladder, side)
    rekey(ladder, host, host.child.spi_in)
    deliver(ladder, delivered)
    move(ladder, row)
    both(ladder, row)


@ROWS
@SIDES
def test_a_child_that_is_being_installed_moves_too(row: Row, side: str) -> None:
    """The data plane is slow, and the host moves meanwhile."""
    ladder = roaming(row)
    host = getattr(ladder, side)
    host.holds = (InstallChild,)
    rekey(ladder, ladder.left, ladder.left.child.spi_in)
    ladder.settle()
    ladder.has(ladder.left, HERE[row.version][1])
    ladder.settle()
    host.holds = ()
    while host.held:
        ladder.answer(host)
    both(ladder, row)


@ROWS
def test_all_children_move(row: Row) -> None:
    """§3.5: "the IPsec SAs associated with this IKE_SA", whatever their number."""
    ladder = roaming(row)
    old = ladder.left.child.spi_in
    rekey(ladder, ladder.left, old)
    ladder.deliver(*ladder.wire.popleft())
    ladder.deliver(*ladder.wire.popleft())
    assert len(ladder.left.installed) == 2
    ladder.wire.clear()
    ladder.has(ladder.left, HERE[row.version][1])
    assert {child.local.address for child in ladder.left.installed.values()} == {
        HERE[row.version][1]
    }
    both(ladder, row)


@ROWS
@SIDES
def test_both_sides_move_at_once(row: Row, side: str) -> None:
    """Each finds the other by what it was told before: here the responder's other address."""
    ladder = roaming(row)
    ladder.has(ladder.right, *THERE[row.version])
    ladder.settle()
    Roads(ladder, {row.addresses[0], row.addresses[1]})
    first, second = (ladder.left, ladder.right)
    if side == "right":
        first, second = second, first
    for host in (first, second):
        new = HERE[row.version][1] if host is ladder.left else THERE[row.version][1]
        ladder.has(host, new)
    both(ladder, row)
    assert not session_of(ladder.left).window.outstanding

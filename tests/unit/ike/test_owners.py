# SPDX-License-Identifier: Apache-2.0
"""Whose a Child SA is: the index is right, whatever happens, and never looks at all IKE SAs."""

import random

import pytest

from ikeway.ike.endpoint import Endpoint
from ikeway.ike.io import Disconnect, Rekey, Spent
from ikeway.ike.owners import Owners
from ikeway.ike.sa import IkeSa
from ikeway.ike.states import Established
from support.asking import add_children
from support.crossing import delete_child, rekey_child, rekey_ike
from support.hosts import GCM
from support.ladder import Ladder
from support.shell import Host


def scanned(endpoint: Endpoint) -> dict[int, bytes]:
    """Return whose each Child SA is, by looking at all of them."""
    return {
        child.sa.spi_in: sa.spi
        for sa in endpoint.sas
        if isinstance(sa.state, Established)
        for child in sa.state.children
    }


def check(ladder: Ladder) -> None:
    for host in (ladder.left, ladder.right):
        assert host.endpoint._owners._owner == scanned(host.endpoint)
        assert set(host.endpoint._owners._children) == set(scanned(host.endpoint).values())


def up() -> Ladder:
    ladder = GCM.psk()
    ladder.connect()
    return ladder


def test_it_follows_a_child_through_rekeys_of_both_kinds_to_its_end() -> None:
    ladder = up()
    check(ladder)
    add_children(ladder, 2)
    for begin in (rekey_child, rekey_ike, rekey_child, delete_child, rekey_ike):
        for host in (ladder.left, ladder.right):
            begin(ladder, host)
            check(ladder)
            while ladder.wire:
                ladder.deliver(*ladder.wire.popleft())
                check(ladder)
    (left,) = ladder.left.established
    ladder.disconnect(ladder.left, left.session.sa)
    ladder.wait(60)
    check(ladder)
    assert not ladder.left.endpoint._owners._children


@pytest.mark.parametrize("seed", range(10))
def test_it_is_right_whatever_is_lost_and_crosses(seed: int) -> None:
    prng = random.Random(seed)
    ladder = up()
    ladder.fate = lambda _host, datagram: [datagram] * prng.choice([0, 1, 1, 2])
    for _ in range(30):
        host: Host = prng.choice([ladder.left, ladder.right])
        for sa in host.endpoint.sas:
            if isinstance(sa.state, Established) and sa.state.children:
                spi = prng.choice([0, sa.state.children[0].sa.spi_in])
                ladder.perform(host, host.endpoint.handle(sa.spi, Rekey(spi), ladder.now))
        ladder.wait(prng.choice([0.1, 1.0, 5.0]))
        check(ladder)


def test_what_is_said_of_a_child_reaches_its_ike_sa_only() -> None:
    ladder = up()
    ladder.connect()
    assert len(ladder.left.established) == 2
    for sa in ladder.left.endpoint.sas:
        assert isinstance(sa.state, Established)
        spi = sa.state.children[0].sa.spi_in
        ladder.perform(
            ladder.left, ladder.left.endpoint.of_child(Spent(spi, is_over=True), ladder.now)
        )
        assert not isinstance(sa.state, Established)


def test_an_unknown_child_costs_no_look_at_any_ike_sa(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine may tell each second of a pair that is gone, with ten thousand others there."""
    ladder = up()
    looked: list[bytes] = []
    state = IkeSa.state.fget
    assert state is not None

    def look(sa: IkeSa) -> object:
        looked.append(sa.spi)
        return state(sa)

    monkeypatch.setattr(IkeSa, "state", property(look))
    assert ladder.left.endpoint.of_child(Spent(4711, is_over=True), ladder.now) == ()
    assert looked == []


def test_children_that_are_the_same_are_not_looked_at_again() -> None:
    ladder = up()
    (sa,) = ladder.left.endpoint.sas
    assert isinstance(sa.state, Established)
    owners = Owners()
    owners.note(sa)
    spi = sa.state.children[0].sa.spi_in
    owners._owner.clear()
    owners.note(sa)
    assert owners.find(spi) is None
    ladder.perform(ladder.left, ladder.left.endpoint.handle(sa.spi, Disconnect(""), ladder.now))
    owners.note(sa)
    assert not owners._children

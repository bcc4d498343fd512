# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.25: every pair of things that both sides may begin at once, in every order.

Each pair is played over all interleavings of its first datagrams, without a loss and with each one
of them lost. In the end both sides must know the same; meanwhile each side sends on what the other
one has, unless somebody deleted it. CROSSINGS=all plays more of both.
"""

import os
from functools import cache
from itertools import product

import pytest

from ikeway.policy.lifetimes import Lifetimes
from support.crossing import BEGINNINGS, ENDING, QUIET, Crossing, fork, orders
from support.hosts import GCM, Changes
from support.ladder import Ladder

EVERYTHING = os.environ.get("CROSSINGS") == "all"
CHOICES = 6 if EVERYTHING else 3
LOSSES: tuple[int | None, ...] = (None, *range(12 if EVERYTHING else 6))
PAIRS = tuple(product(BEGINNINGS, repeat=2))

UNWATCHED = ENDING | {"reauthenticate"}
"""Who deletes a child wants no traffic on it. Who answers IKE_AUTH sends on the new child at once:
its peer may have restarted, and the old one may lead nowhere."""


@cache
def ready() -> Ladder:
    """Two hosts with one Child SA, that nothing happens to by itself."""
    calm: Changes = {"lifetimes": Lifetimes(ike=1e6, child=1e6, jitter=0.0), "liveness": 1e6}
    ladder = GCM.psk(calm, calm)
    ladder.connect()
    ladder.wait(10)
    return ladder


@pytest.mark.conformance("CF-F27")
@pytest.mark.parametrize("is_slow", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize(("left", "right"), PAIRS, ids=[f"{one}-{two}" for one, two in PAIRS])
def test_whatever_crosses_both_sides_agree(left: str, right: str, is_slow: bool) -> None:
    """§2.25: "Even where the two sides do not act at once, requests may cross"."""
    for order in orders(CHOICES):
        for lost in LOSSES:
            crossing = fork(ready())
            crossing.is_slow = is_slow
            crossing.is_watched = not {left, right} & UNWATCHED
            try:
                play(crossing, (left, right), order, lost)
            except AssertionError as error:
                raise AssertionError(f"order {order}, lost {lost}: {error}") from error


def play(
    crossing: Crossing, names: tuple[str, str], order: tuple[int, ...], lost: int | None
) -> None:
    hosts = crossing.left, crossing.right
    for name, host in zip(names, hosts, strict=True):
        BEGINNINGS[name](crossing, host)
        crossing.look()
    crossing.play(order, lost)
    crossing.wait(QUIET)
    crossing.look()
    check(crossing, names)


def check(crossing: Crossing, names: tuple[str, str]) -> None:
    """Check that both sides know the same IKE SA and children, and that nothing is under way."""
    left, right = crossing.left, crossing.right
    assert len(left.endpoint.sas) == len(right.endpoint.sas), (left.states, right.states)
    assert {sa.spi for sa in left.endpoint.sas} == set(left.timers)
    if not left.endpoint.sas:
        assert "delete_ike" in names
        assert not left.installed
        assert not right.installed
        return
    (one,), (two,) = left.established, right.established
    assert one.session.keyring.keys == two.session.keyring.keys
    assert {c.spi_in: c.spi_out for c in left.installed.values()} == {
        c.spi_out: c.spi_in for c in right.installed.values()
    }
    for host, state in ((left, one), (right, two)):
        assert {child.sa.spi_in for child in state.children} == set(host.installed)
        assert not state.queued
        assert not state.session.window.outstanding
        assert not state.answering
        assert not state.crossed
        assert state.rival is None
        assert not state.is_provisional
    count(crossing, names)


def count(crossing: Crossing, names: tuple[str, str]) -> None:
    """Check that nothing is there twice: each creation is one child more, each Delete one less."""
    most = 1 + names.count("create_child")
    assert len(crossing.left.installed) <= most, names
    if "delete_child" not in names:
        assert len(crossing.left.installed) >= 1, names

# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.25: every pair of things that both sides may begin at once, in every order.

So too with additional key exchanges, where an SA takes several exchanges (RFC 9370 §2.2.4).

Each pair is played over all interleavings of its first datagrams, without a loss and with each one
of them lost. In the end both sides must know the same; meanwhile each side sends on what the other
one has, unless somebody deleted it. CROSSINGS=all plays more of both.
"""

import os
from functools import cache
from itertools import product

import pytest

from ikeway.ike.series import Series
from ikeway.policy.lifetimes import Lifetimes
from ikeway.policy.proposals import parse_esp, parse_ike
from support.crossing import BEGINNINGS, ENDING, QUIET, Crossing, fork, orders
from support.hosts import GCM, Changes
from support.ladder import Ladder

pytestmark = pytest.mark.thorough

EVERYTHING = os.environ.get("CROSSINGS") == "all"
CHOICES = 6 if EVERYTHING else 3
LOSSES: tuple[int | None, ...] = (None, *range(12 if EVERYTHING else 6))
PAIRS = tuple(product(BEGINNINGS, repeat=2))

UNWATCHED = ENDING | {"reauthenticate"}
"""Who deletes a child wants no traffic on it. Who answers IKE_AUTH sends on the new child at once:
its peer may have restarted, and the old one may lead nowhere."""


PLAIN = parse_ike(GCM.ike), parse_esp(f"{GCM.esp}-x25519")
MORE = "ke1_ecp256-ke3_ecp384"
HYBRID = parse_ike(f"{GCM.ike}-{MORE}"), parse_esp(f"{GCM.esp}-x25519-{MORE}")
"""Two more exchanges. Which methods they are of makes no difference here, so quick ones serve."""

KINDS = {
    "hybrid": ((HYBRID,), (HYBRID,)),
    "hybrid by right": ((HYBRID, PLAIN), (PLAIN, HYBRID)),
    "hybrid by left": ((PLAIN, HYBRID), (HYBRID, PLAIN)),
}
"""The proposals of both sides, best first. Who answers chooses, so that rekeys may be unlike."""
CHANGES = ("rekey_child", "rekey_ike", "create_child")
FOLLOWED = tuple(
    (kind, is_slow, *pair)
    for kind in KINDS
    for is_slow in (False, True)
    for pair in PAIRS
    if set(pair) <= set(CHANGES) or (set(pair) & set(CHANGES) and EVERYTHING)
    if kind == "hybrid" or not is_slow or EVERYTHING
)


@cache
def ready(kind: str = "") -> Ladder:
    """Two hosts with one Child SA, that nothing happens to by itself."""
    calm: Changes = {"lifetimes": Lifetimes(ike=1e6, child=1e6, jitter=0.0), "liveness": 1e6}
    left, right = calm, calm
    if kind:
        left, right = (
            calm | {"ike": tuple(i for i, _ in side), "esp": tuple(e for _, e in side)}
            for side in KINDS[kind]
        )
    ladder = GCM.psk(left, right)
    ladder.connect()
    ladder.wait(10)
    return ladder


@pytest.mark.conformance("CF-F27")
@pytest.mark.parametrize("is_slow", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize(("left", "right"), PAIRS, ids=[f"{one}-{two}" for one, two in PAIRS])
def test_whatever_crosses_both_sides_agree(left: str, right: str, is_slow: bool) -> None:
    """§2.25: "Even where the two sides do not act at once, requests may cross"."""
    play_all(ready(), left, right, is_slow=is_slow)


@pytest.mark.conformance("CF-F27", "CF-Q12", "CF-Q13")
@pytest.mark.parametrize(("kind", "is_slow", "left", "right"), FOLLOWED)
def test_whatever_crosses_a_series_both_sides_agree(
    kind: str, is_slow: bool, left: str, right: str
) -> None:
    """RFC 9370 §2.2.4: the lowest nonce decides before there is anything to delete."""
    play_all(ready(kind), left, right, is_slow=is_slow)


def play_all(begun: Ladder, left: str, right: str, *, is_slow: bool) -> None:
    for order in orders(CHOICES):
        for lost in LOSSES:
            crossing = fork(begun)
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
        assert state.series == Series()
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

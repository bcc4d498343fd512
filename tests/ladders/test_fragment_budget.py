# SPDX-License-Identifier: Apache-2.0
"""RFC 7383 §5: all who prove nothing together cannot fill the memory."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikeway.ike.fragment_budget import PIECE_OCTETS, FragmentBudget
from ikeway.ike.reassembly import OCTETS_MOST
from ikeway.ike.sa import IkeSa
from ikeway.ike.states import AwaitAuthRequest, Candidates
from ikeway.model.address import Address
from ikeway.model.secret import Secret
from ikeway.policy.credentials import Credentials, IdPattern, PreSharedKey
from ikeway.policy.limits import Limits
from ikeway.wire.registry import ExchangeType
from support.agreement import agree
from support.forge import session_in
from support.fragmenting import Cutter, is_fragment
from support.hosts import GCM, LEFT, RIGHT, Row, host
from support.ladder import Ladder
from support.shell import Host

BUDGET = 4 * OCTETS_MOST
SMALL = {"fragment_size": 576}
ATTACKERS = 40
GUESS = Credentials(secrets=(PreSharedKey(IdPattern("*"), Secret(b"a guess")),))
CHUNK = bytes(4000)


def gateway(row: Row, budget: int = BUDGET) -> Ladder:
    """Return a ladder whose right host has that budget, and asks nobody for a cookie."""
    ladder = row.certificates(SMALL, SMALL)
    limits = Limits(
        fragment_octets=budget, cookies_from=9999, source_cookies_from=9999, source_half_open=9999
    )
    endpoint = ladder.right.endpoint
    endpoint.env = replace(endpoint.env, limits=limits)
    endpoint._fragments = FragmentBudget(budget)
    return ladder


def half_open(ladder: Ladder, number: int) -> Cutter:
    """Return what can cut messages of an attacker that has finished a key exchange."""
    address: Address = ip_address(0xC0A80000 + number)
    attacker = host(f"attacker {number}", (GCM.connection(LEFT, RIGHT, **SMALL),), GUESS)
    own = Ladder(attacker, ladder.right, (address, ip_address("198.51.100.2")))
    own.initiate()
    for _ in range(2):
        own.deliver(*own.wire.popleft())
    (state,) = attacker.states
    assert isinstance(state, Candidates)
    (branch,) = state.branches
    return Cutter(branch.session, 1, exchange=ExchangeType.IKE_AUTH)


def really_stored(one: Host) -> int:
    """Return what all half-open IKE SAs store, by looking at each."""
    sessions = (session_in(s) for s in one.states if isinstance(s, AwaitAuthRequest))
    kept = [session.fragmentation for session in sessions]
    return sum(each.octets + PIECE_OCTETS * each.pieces for each in kept)


@pytest.mark.conformance("CF-L12")
def test_many_that_finish_a_key_exchange_do_not_fill_the_memory() -> None:
    """§5: who has made a key exchange can send authentic fragments that never make a message."""
    ladder = gateway(GCM)
    cutters = [half_open(ladder, number) for number in range(ATTACKERS)]
    most = 0
    for number in range(1, 16):
        for cutter in cutters:
            ladder.arrive(ladder.right, cutter.piece(number, 200, CHUNK))
            stored = really_stored(ladder.right)
            assert ladder.right.endpoint._fragments.total == stored
            most = max(most, stored)
    assert most <= BUDGET
    assert most > BUDGET - OCTETS_MOST, "the budget is used"
    assert "fragments: there are too many in all" in ladder.right.drops


@pytest.mark.conformance("CF-L12")
def test_empty_fragments_count_too() -> None:
    """§5: what counts is what it costs."""
    ladder = gateway(GCM, 100 * PIECE_OCTETS)
    for cutter in [half_open(ladder, number) for number in range(4)]:
        for number in range(2, 60):
            ladder.arrive(ladder.right, cutter.piece(number, 200, b""))
            assert really_stored(ladder.right) <= 100 * PIECE_OCTETS


@pytest.mark.conformance("CF-L12")
def test_who_comes_meanwhile_gets_in() -> None:
    """§5: an honest initiator's message is whole a moment after its first fragment has come, and
    what has to be forgotten is what has waited longest."""
    ladder = gateway(GCM)
    cutters = [half_open(ladder, number) for number in range(ATTACKERS)]
    for number in range(1, 12):
        for cutter in cutters:
            ladder.arrive(ladder.right, cutter.piece(number, 200, CHUNK))
    ladder.initiate()
    at = 12
    while ladder.wire:
        ladder.deliver(*ladder.wire.popleft())
        for cutter in cutters[:20]:
            ladder.arrive(ladder.right, cutter.piece(at, 200, CHUNK))
        at += 1
    assert any(is_fragment(sent.octets) for one, sent in ladder.sent if one is ladder.left)
    assert not ladder.left.repeats
    agree(ladder)


def test_who_had_to_forget_is_none_the_worse() -> None:
    """RFC 7296 §2.1: a request is sent again, and then it is whole."""
    ladder = gateway(GCM)
    ladder.initiate()
    for _ in range(3):
        ladder.deliver(*ladder.wire.popleft())
    rest = list(ladder.wire)
    ladder.wire.clear()
    for number in range(ATTACKERS):
        cutter = half_open(ladder, number)
        for piece in range(1, 16):
            ladder.arrive(ladder.right, cutter.piece(piece, 200, CHUNK))
    ladder.wire.extend(rest)
    ladder.settle()
    assert not ladder.left.established
    ladder.wait(1)
    agree(ladder)


@pytest.mark.conformance("CF-L12")
def test_what_is_over_counts_no_more() -> None:
    """RFC 7296 §2.6: neither an initiator that has proven itself nor one whose time is over."""
    ladder = gateway(GCM)
    budget = ladder.right.endpoint._fragments
    ladder.initiate()
    ladder.deliver(*ladder.wire.popleft())
    ladder.deliver(*ladder.wire.popleft())
    ladder.deliver(*ladder.wire.popleft())
    assert budget.total > 0
    ladder.settle()
    agree(ladder)
    assert budget.total == 0
    ladder.arrive(ladder.right, half_open(ladder, 1).piece(1, 200, CHUNK))
    assert budget.total == len(CHUNK) + PIECE_OCTETS
    ladder.wait(31)
    assert budget.total == 0
    assert not budget._stored


def test_the_budget_costs_no_look_at_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """I5: what anybody can cause costs the same however many others there are."""
    ladder = gateway(GCM)
    cutters = [half_open(ladder, number) for number in range(10)]
    for cutter in cutters:
        ladder.arrive(ladder.right, cutter.piece(1, 200, CHUNK))
    looked: set[bytes] = set()
    read = IkeSa.state.fget
    assert read is not None

    def look(sa: IkeSa) -> object:
        looked.add(sa.spi)
        return read(sa)

    monkeypatch.setattr(IkeSa, "state", property(look))
    ladder.arrive(ladder.right, cutters[3].piece(2, 200, CHUNK))
    assert len(looked) == 1

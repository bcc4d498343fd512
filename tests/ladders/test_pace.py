# SPDX-License-Identifier: Apache-2.0
"""RFC 8019 §5: a peer that asks for SAs again and again has to slow down."""

import pytest

from ikeway.ike.pace import BURST, RATE
from support.agreement import agree
from support.crossing import rekey_child, rekey_ike
from support.hosts import GCM, Row
from support.ladder import Ladder
from support.shell import Host


def up(row: Row) -> Ladder:
    ladder = row.psk()
    ladder.connect()
    return ladder


def rekeys(ladder: Ladder, by: Host, count: int, *, ike: bool = False) -> int:
    """Let a host rekey so often, without a pause; return how often the other one let it."""
    before = len(ladder.other(by).refusals)
    for number in range(count):
        if by.established[0].postponed:
            return number
        (rekey_ike if ike else rekey_child)(ladder, by)
        ladder.settle()
    return count - (len(ladder.other(by).refusals) - before)


@pytest.mark.conformance("CF-O05")
@pytest.mark.parametrize("by", ["left", "right"])
def test_endless_rekeys_are_told_to_slow_down(row: Row, by: str) -> None:
    """§5: "the Responder SHOULD reply with TEMPORARY_FAILURE notifications indicating the peer must
    slow down", and a peer that does finds all as it was."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    assert rekeys(ladder, host, 2 * int(BURST)) == BURST + 1
    assert ladder.other(host).refusals == ["TEMPORARY_FAILURE"]
    agree(ladder)
    ladder.wait(10)
    agree(ladder)
    assert not host.established[0].postponed


@pytest.mark.conformance("CF-O05")
def test_a_new_ike_sa_is_no_new_beginning() -> None:
    """§5: "endless continuous" rekeys of the IKE SA count too, and do not reset the count."""
    ladder = up(GCM)
    passed = 0
    while not ladder.left.established[0].postponed:
        rekeys(ladder, ladder.left, 1, ike=passed % 2 == 0)
        passed += 1
    assert passed == BURST + 1
    assert ladder.right.refusals == ["TEMPORARY_FAILURE"]


@pytest.mark.conformance("CF-O05")
def test_who_keeps_the_pace_is_never_refused() -> None:
    """§5: short lifetimes are no attack."""
    ladder = up(GCM)
    for _ in range(200):
        rekey_child(ladder, ladder.left)
        ladder.wait(1 / RATE)
    assert ladder.right.refusals == []
    agree(ladder)


@pytest.mark.conformance("CF-O05")
def test_what_is_refused_costs_no_key_exchange_and_is_repeated_unchanged() -> None:
    """§5: the peer's other requests get their answers, and a repetition gets the same refusal."""
    ladder = up(GCM)
    rekeys(ladder, ladder.left, 2 * int(BURST))
    installs = len(ladder.right.installs)
    refused = [sent for host, sent in ladder.sent if host is ladder.right][-1]
    request = [sent for host, sent in ladder.sent if host is ladder.left][-1]
    assert ladder.arrive(ladder.right, request.octets) == [refused.octets]
    assert len(ladder.right.installs) == installs
    ladder.check_liveness(ladder.left)
    ladder.settle()
    assert ladder.right.said[-1].startswith("INFORMATIONAL response")

# SPDX-License-Identifier: Apache-2.0
"""Rekeying, alone and crossed (RFC 7296 §2.8, §2.25)."""

import pytest
from support.hosts import GCM
from support.ladder import Ladder

from ikeway.ike.io import Rekey


def connected() -> tuple[Ladder, bytes, bytes]:
    ladder = GCM.psk()
    left = ladder.connect()
    (right,) = [sa.spi for sa in ladder.right.endpoint.sas]
    return ladder, left, right


def rekey(ladder: Ladder, host, spi: bytes, child: bool) -> None:
    spi_in = next(iter(host.installed)) if child else 0
    ladder.perform(host, host.endpoint.handle(spi, Rekey(spi_in), ladder.now))


def agree(ladder: Ladder, children: int = 1) -> None:
    left, right = ladder.left, ladder.right
    assert len(left.established) == len(right.established) == 1
    assert len(left.installed) == len(right.installed) == children
    for child in left.installed.values():
        twin = right.installed[child.spi_out]
        assert twin.spi_out == child.spi_in
        assert twin.keys_in == child.keys_out and twin.keys_out == child.keys_in
        assert twin.local_ts == child.peer_ts
    for a, b in ((left, right), (right, left)):
        state = a.established[0]
        assert {c.sa.spi_in for c in state.children} == set(a.installed)
        assert not state.queued and state.asked is None and state.answering is None
        assert not state.crossed and state.rival is None


@pytest.mark.parametrize("who", ["left", "right"])
@pytest.mark.parametrize("child", [True, False])
def test_either_side_rekeys(who, child):
    ladder, left, right = connected()
    before = set(ladder.left.installed)
    host, spi = (ladder.left, left) if who == "left" else (ladder.right, right)
    rekey(ladder, host, spi, child)
    ladder.settle()
    ladder.wait(30)
    agree(ladder)
    assert (set(ladder.left.installed) != before) == child


@pytest.mark.parametrize("child", [True, False])
def test_both_sides_rekey_at_once(child):
    ladder, left, right = connected()
    rekey(ladder, ladder.left, left, child)
    rekey(ladder, ladder.right, right, child)
    ladder.settle()
    ladder.wait(100)
    agree(ladder)

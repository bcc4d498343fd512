# SPDX-License-Identifier: Apache-2.0
"""Two ikeways with two queues each, and a Child SA for each of these (RFC 9611)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.link import cable
from support.strongswan import wait_until
from support.traffic import transfer
from support.two import Table, Two

pytestmark = pytest.mark.system

WANTED: Table = {"per_cpu_children": 2, "lifetimes": {"child_bytes": "8MiB"}}
QUEUES: Table = {"dataplane": {"queues": 2}}
FLOWS = 12


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with cable() as link:
        made = Two(tmp_path, link, WANTED | {"start": "now"}, WANTED, more=(QUEUES, QUEUES))
        yield made
        made.down()


def test_each_queue_has_a_child_sa_and_sends_on_it(two: Two) -> None:
    def are_up() -> bool:
        return len(two.ours.children()) == len(two.peer.children()) == 3

    wait_until(are_up, 10, "all three Child SAs")
    ours, peer = two.link.ours, two.link.peer
    for _ in range(FLOWS):
        transfer((ours.namespace, ours.inner[4]), (peer.namespace, peer.inner[4]), 1 << 16)
    for daemon in (two.ours, two.peer):
        carried = sorted(child.packets_out for child in daemon.children())
        assert carried[0] <= 2, "the one for all stands aside"
        assert carried[1] > FLOWS, "flows are spread"
        used = [child for child in daemon.children() if child.packets_in > FLOWS]
        assert {int(child.spi_in, 16) % 2 for child in used} == {0, 1}
    assert not two.witness.leaks


def test_they_are_replaced_one_by_one_under_traffic(two: Two) -> None:
    """Lifetimes are of each; the successor of a sibling is of the same queue."""
    ours, peer = two.link.ours, two.link.peer
    wait_until(lambda: len(two.ours.children()) == 3, 10, "all three Child SAs")
    before = {child.spi_in for child in two.ours.children()}

    def is_replaced() -> bool:
        transfer((ours.namespace, ours.inner[4]), (peer.namespace, peer.inner[4]), 1 << 20)
        now = {child.spi_in for child in two.ours.children()}
        return len(now) == 3 and len(now - before) >= 2

    wait_until(is_replaced, 30, "two successors")
    for _ in range(FLOWS):
        transfer((ours.namespace, ours.inner[4]), (peer.namespace, peer.inner[4]), 1 << 16)
    used = [child for child in two.ours.children() if child.packets_in > FLOWS]
    assert {int(child.spi_in, 16) % 2 for child in used} == {0, 1}
    assert not two.witness.leaks

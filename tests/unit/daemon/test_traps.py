# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.9: what a packet in a trap leads to; the data plane only says that one came."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ikeway.daemon.share import Share
from ikeway.daemon.traps import TRAP_BITS
from ikeway.dataplane.port import PacketWaits
from ikeway.model.selectors import TrafficSelector, Trigger
from support.configured import PSK
from support.supervised import Supervised, supervising, until

DEMAND = (
    PSK.replace("203.0.113.7", "127.0.0.9")
    + """
start = "demand"
local_ts = ["10.1.0.0/16"]
peer_ts = ["10.2.0.0/16"]
"""
)
"""A connection on demand, to somebody who is not there."""
CHILDREN = (
    DEMAND.replace('peer_ts = ["10.2.0.0/16"]\n', "")
    + """
[connections.b.children.voice]
peer_ts = ["10.2.1.0/24"]
[connections.b.children.data]
peer_ts = ["10.2.2.0/24"]
[connections.b.children.late]
peer_ts = ["10.2.3.0/24"]
start = "wait"
"""
)


def packet(destination: str) -> Trigger:
    return Trigger(TrafficSelector.of("10.1.0.1/32", 6), TrafficSelector.of(destination, 6))


def play(folder: Path, config: str, story: Callable[[Supervised], Awaitable[None]]) -> None:
    async def run() -> None:
        async with supervising(folder, config) as one:
            await until(lambda: bool(one.plane._traps), "the traps")
            await asyncio.sleep(0.02)
            await story(one)

    asyncio.run(run())


def sas(one: Supervised) -> int:
    return len(one.supervisor._driver.endpoint.sas)


def test_each_child_on_demand_has_a_trap_and_others_have_none(tmp_path: Path) -> None:
    async def story(one: Supervised) -> None:
        whole = [str(peer_ts[0]) for _, peer_ts in one.plane._traps.values()]
        assert sorted(whole) == ["10.2.1.0/24", "10.2.2.0/24"]

    play(tmp_path, CHILDREN, story)


def test_a_packet_starts_its_connection_once(tmp_path: Path) -> None:
    async def story(one: Supervised) -> None:
        assert sas(one) == 0
        for _ in range(5):
            one.plane.spring(packet("10.2.0.7/32"))
        await until(lambda: sas(one) == 1, "an IKE SA")
        one.plane.spring(packet("10.2.0.8/32"))
        await asyncio.sleep(0.05)
        assert sas(one) == 1

    play(tmp_path, DEMAND, story)


def test_what_comes_meanwhile_is_asked_for_once_the_ike_sa_is_up_or_forgotten(
    tmp_path: Path,
) -> None:
    async def story(one: Supervised) -> None:
        traps = one.supervisor._traps
        one.plane.spring(packet("10.2.1.7/32"))
        await until(lambda: sas(one) == 1, "an IKE SA")
        one.plane.spring(packet("10.2.2.7/32"))
        await until(lambda: bool(traps._waiting), "a wish that waits")
        assert set(traps._waiting) == {("b", "data")}
        traps.closed("another")
        assert traps._waiting
        traps.closed("b")
        assert not traps._waiting

    play(tmp_path, CHILDREN, story)


def test_packets_of_no_trap_start_nothing(tmp_path: Path) -> None:
    async def story(one: Supervised) -> None:
        one.plane.spring(packet("10.9.0.1/32"))
        one.supervisor._traps.sprung(PacketWaits(4711, packet("10.2.0.1/32")))
        await asyncio.sleep(0.05)
        assert sas(one) == 0

    play(tmp_path, DEMAND, story)


@pytest.mark.parametrize("workers", [2, 3])
def test_with_workers_each_trap_is_one_workers_and_its_number_says_whose(
    tmp_path: Path, workers: int
) -> None:
    async def traps_of(number: int) -> set[int]:
        share = Share(worker=number, workers=workers)
        folder = tmp_path / str(number)
        folder.mkdir()
        async with supervising(folder, CHILDREN, share=share) as one:
            await asyncio.sleep(0.1)
            return set(one.plane._traps)

    found = [asyncio.run(traps_of(number)) for number in range(workers)]
    assert sum(map(len, found)) == 2
    for number, traps in enumerate(found):
        assert {trap >> TRAP_BITS for trap in traps} <= {number}

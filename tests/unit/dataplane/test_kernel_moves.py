# SPDX-License-Identifier: Apache-2.0
"""The kernel as data plane: a move loses nothing that leaves, a start that fails leaves nothing."""

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from ikeway.dataplane import open_plane
from ikeway.dataplane.port import DataPlane, PlaneConfig
from ikeway.dataplane.xfrm import XfrmDataPlane, interface
from ikeway.dataplane.xfrm.channel import Channel, KernelRefusedError
from ikeway.dataplane.xfrm.messages import Kind
from ikeway.model.address import Endpoint
from ikeway.model.errors import HostError
from ikeway.model.policies import Action, TrafficPolicy
from ikeway.model.selectors import TrafficSelector
from support.child import CHILD, HERE, THERE
from support.netns import Namespace, namespaces
from support.own_kernel import HAS_ESP

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not HAS_ESP, reason="tests/interop/test_xfrm.py has a kernel for it"),
]

ELSEWHERE, OURS = "127.0.0.3", "127.0.0.4"
MOVES = 6

Work = Callable[[DataPlane], Awaitable[None]]


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with namespaces(1) as (made,):
        made.add_address("lo", "10.1.0.1/32")
        yield made


def run(namespace: Namespace, work: Work) -> None:
    async def live() -> None:
        plane = await open_plane("xfrm", Path(), PlaneConfig((ip_address(HERE),)))
        try:
            namespace.ip("link", "set", "ikeway0", "up")
            namespace.ip("route", "add", "10.2.0.0/16", "dev", "ikeway0")
            await work(plane)
        finally:
            await plane.close()

    namespace.inside(lambda: asyncio.run(live()))


class Sender:
    """Sends until it is told to stop; counts what the host took."""

    def __init__(self) -> None:
        self.sent = 0
        self.refused = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _send(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("10.1.0.1", 0))
            while not self._is_over.wait(0.0005):
                try:
                    sender.sendto(b"on the way", ("10.2.0.1", 9))
                    self.sent += 1
                except OSError:
                    self.refused += 1


@pytest.mark.parametrize("what", ["port", "address"])
def test_nothing_that_leaves_is_lost_when_the_peer_moves(namespace: Namespace, what: str) -> None:
    """RFC 4555 §3.5, RFC 7296 §2.23: another address is made before the old one goes."""

    async def work(plane: DataPlane) -> None:
        await plane.install(CHILD)
        sender = Sender()
        for number in range(MOVES):
            await asyncio.sleep(0.1)
            address = ELSEWHERE if what == "address" and number % 2 == 0 else THERE
            port = 40_000 + number if what == "port" else 4500
            await plane.migrate(CHILD.spi_in, CHILD.local, Endpoint(ip_address(address), port))
        await asyncio.sleep(0.1)
        sender.stop()
        usage = await plane.usage(CHILD.spi_in)
        assert sender.sent > MOVES
        assert sender.refused == 0
        assert usage.packets_out == sender.sent
        assert dropped() == 0

    run(namespace, work)


def test_a_packet_between_the_steps_of_our_own_move_does_not_stop_it(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that another processor sends: it leaves a larval SA where the new one is to be."""
    together = Channel.ask_together

    def slowly(channel: Channel, *wanted: tuple[Kind, bytes]) -> list[KernelRefusedError | None]:
        refusals = []
        for one in wanted:
            refusals += together(channel, one)
            send()
        return refusals

    async def work(plane: DataPlane) -> None:
        await plane.install(CHILD)
        send()
        with monkeypatch.context() as patch:
            patch.setattr(Channel, "ask_together", slowly)
            await plane.migrate(CHILD.spi_in, Endpoint(ip_address(OURS), 4500), CHILD.peer)
        before = (await plane.usage(CHILD.spi_in)).packets_out
        send()
        assert (await plane.usage(CHILD.spi_in)).packets_out == before + 1

    run(namespace, work)


def test_an_sa_that_is_gone_does_not_move_to_where_its_numbers_begin_anew(
    namespace: Namespace,
) -> None:
    """I7: what a packet has left in its place has its name, and no numbers."""

    async def work(plane: DataPlane) -> None:
        await plane.install(CHILD)
        send()
        namespace.ip("xfrm", "state", "delete", "dst", THERE, "proto", "esp", "spi", "0x2000")
        send()
        for local, peer in ((OURS, THERE), (HERE, ELSEWHERE)):
            ends = (Endpoint(ip_address(one), 4500) for one in (local, peer))
            with pytest.raises(HostError, match="at its end, and cannot move"):
                await plane.migrate(CHILD.spi_in, *ends)

    run(namespace, work)


def send() -> None:
    """Send a packet to the peer's network; the interface takes what no SA does, too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, suppress(OSError):
        sender.bind(("10.1.0.1", 0))
        sender.sendto(b"on the way", ("10.2.0.1", 9))


def dropped() -> int:
    """Return how many packets found no SA, or none that could be used."""
    lines = Path("/proc/thread-self/net/xfrm_stat").read_text().splitlines()
    counts = dict(line.split() for line in lines)
    return sum(int(counts[name]) for name in ("XfrmOutNoStates", "XfrmOutStateInvalid"))


def test_a_policy_blocks_its_port_and_no_other(namespace: Namespace) -> None:
    """RFC 4301 §4.4.1: the first that fits decides; here one lets a part of the next one pass."""
    ports = [("open", Action.BYPASS, (7001, 7001)), ("shut", Action.DISCARD, (7000, 7009))]
    policies = tuple(
        TrafficPolicy(name, action, CHILD.local_ts, (TrafficSelector.of("10.1.0.0/16", 17, reach),))
        for name, action, reach in ports
    )

    async def work(plane: DataPlane) -> None:
        namespace.ip("link", "add", "other", "type", "veth", "peer", "name", "wall")
        namespace.ip("link", "set", "other", "up")
        namespace.ip("route", "add", "10.1.9.0/24", "dev", "other")
        await plane.govern(policies)
        assert [reaches(port) for port in (7000, 7001, 7009, 7010)] == [False, True, False, True]
        await plane.govern(policies[:1])
        assert reaches(7000)

    run(namespace, work)


def reaches(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("10.1.0.1", 0))
        try:
            sender.sendto(b"", ("10.1.9.9", port))
        except OSError:
            return False
        return True


def test_a_start_that_fails_leaves_no_descriptor(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_name: str, _mtu: int) -> None:
        raise HostError("no interface")

    async def live() -> None:
        await asyncio.to_thread(lambda: None)
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counts, and no more
        for _ in range(3):
            with pytest.raises(HostError, match="no interface"):
                await XfrmDataPlane.start(PlaneConfig((ip_address(HERE),)))
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208

    monkeypatch.setattr(interface, "make", refuse)
    namespace.inside(lambda: asyncio.run(live()))


def test_a_pair_on_standby_sends_soon_after_it_is_used(namespace: Namespace) -> None:
    """RFC 7296 §2.8: the kernel does not tell of an SA's first packet, so it is looked for."""
    other = replace(CHILD, spi_in=0x1001, spi_out=0x2001)

    async def work(plane: DataPlane) -> None:
        await plane.install(CHILD)
        await plane.install(other, standby=True)
        await plane.activate(other.spi_in)
        sender = Sender()
        await asyncio.sleep(0.1)
        sender.stop()
        assert (await plane.usage(other.spi_in)).packets_out == sender.sent
        assert (await plane.usage(CHILD.spi_in)).packets_out == 0

    run(namespace, work)

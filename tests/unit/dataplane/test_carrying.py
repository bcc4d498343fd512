# SPDX-License-Identifier: Apache-2.0
"""What every data plane does with packets, whichever it is: on the wire, at limits and in traps."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import pytest

from ikeway.dataplane import DataPlane, NullDataPlane, PairSpent, PlaneConfig, open_plane
from ikeway.dataplane.port import PacketWaits, PlaneEvent
from ikeway.model.address import NAT_PORT, Endpoint
from ikeway.model.esp import EspKeys, Limits, Usage
from ikeway.model.policies import Action, TrafficPolicy
from ikeway.model.secret import Secret
from ikeway.model.selectors import TrafficSelector, Trigger
from support.child import CHILD, HERE, THERE
from support.netns import Namespace, namespaces
from support.own_kernel import HAS_ESP

ELSEWHERE, BACK = "127.0.0.3", "127.0.0.4"
INNER, FAR = "10.1.0.1", "10.2.0.1"
PATIENCE: Final = 5.0


def kernels(name: str) -> object:
    no_kernel = pytest.mark.skipif(not HAS_ESP, reason="tests/interop/test_xfrm.py has one")
    marks = [pytest.mark.system, *([no_kernel] if name == "xfrm" else [])]
    return pytest.param(name, marks=marks)


REAL = [kernels("engine"), kernels("xfrm")]


@dataclass
class Site:
    """A data plane, the events that it told, and a host that sends towards its peer."""

    plane: DataPlane
    namespace: Namespace | None
    told: list[PlaneEvent] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def send(self, count: int = 1, port: int = 9) -> None:
        """Send datagrams to the peer's network; for the null plane, as if it had carried them."""
        for _ in range(count):
            if isinstance(self.plane, NullDataPlane):
                self._pretend(self.plane)
                continue
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, suppress(OSError):
                sender.bind((INNER, 0))
                sender.sendto(bytes(100), (FAR, port))

    def _pretend(self, plane: NullDataPlane) -> None:
        try:
            plane.carry(CHILD.spi_in, Usage(packets_out=1, octets_out=128))
        except KeyError:
            ends = (TrafficSelector.of(f"{one}/32", 17) for one in (INNER, FAR))
            plane.spring(Trigger(*ends))

    async def hears(self, event_type: type[PlaneEvent], count: int) -> list[PlaneEvent]:
        """Wait for so many events of a kind."""
        async with asyncio.timeout(PATIENCE):
            while len(found := [one for one in self.told if isinstance(one, event_type)]) < count:
                self.news.clear()
                await self.news.wait()
        return found


Work = Callable[[Site], Awaitable[None]]
Try = Callable[[Work], None]


@pytest.fixture
def attempt(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Try]:
    """Run a piece of work with a fresh data plane, a real one in a namespace of its own."""
    backend = request.param

    async def live(work: Work, namespace: Namespace | None) -> None:
        listen = ip_address(HERE), ip_address(BACK)
        config = PlaneConfig(listen, port=0 if namespace is None else NAT_PORT)
        plane = await open_plane(backend, tmp_path, config)
        site = Site(plane, namespace)

        async def listen() -> None:
            async for event in plane.events():
                site.told.append(event)
                site.news.set()

        listening = asyncio.create_task(listen())
        try:
            if namespace is not None:
                namespace.ip("link", "set", "ikeway0", "up")
                namespace.ip("route", "add", "10.2.0.0/16", "dev", "ikeway0")
            await work(site)
        finally:
            await plane.close()
            await listening

    if backend == "null":
        yield lambda work: asyncio.run(live(work, None))
        return
    with namespaces(1) as (made,):
        made.add_address("lo", f"{INNER}/32")
        yield lambda work: made.inside(lambda: asyncio.run(live(work, made)))


def peer(address: str, port: int = NAT_PORT) -> socket.socket:
    """Return the socket of a peer that only listens."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(PATIENCE)
    made.bind((address, port))
    return made


def esp(sock: socket.socket, count: int) -> tuple[list[int], set[tuple[str, int]]]:
    """Return the numbers of packets of our pair as they come in, and where from."""
    numbers, sources = [], set()
    for _ in range(count):
        octets, source = sock.recvfrom(2000)
        assert octets[:4] == CHILD.spi_out.to_bytes(4), "RFC 3948 §2.1: ESP follows the UDP header"
        numbers.append(int.from_bytes(octets[4:8]))
        sources.add(source)
    return numbers, sources


def silent(sock: socket.socket) -> bool:
    sock.settimeout(0.2)
    with suppress(TimeoutError):
        sock.recv(2000)
        return False
    return True


@pytest.mark.conformance("CF-V01", "CF-U02", "CF-U18")
@pytest.mark.parametrize("attempt", REAL, indirect=True)
def test_esp_in_udp_follows_moves_of_both_ends_and_no_number_comes_twice(attempt: Try) -> None:
    """RFC 3948 §2.1, RFC 4555 §3.5: ports, the peer's address, and then our own one."""

    async def work(site: Site) -> None:
        await site.plane.install(CHILD)
        seen: list[int] = []
        here, moves = CHILD.local, ((THERE, 1024), (ELSEWHERE, 1024), (ELSEWHERE, NAT_PORT))
        with peer(THERE) as first:
            site.send(3)
            numbers, sources = esp(first, 3)
            assert sources == {(HERE, NAT_PORT)}
            assert numbers == [1, 2, 3]
            seen += numbers
        for address, port in moves:
            with peer(address, port) as there:
                ends = here, Endpoint(ip_address(address), port)
                await site.plane.migrate(CHILD.spi_in, *ends)
                site.send(3)
                numbers, sources = esp(there, 3)
                assert sources == {(str(here.address), NAT_PORT)}
                seen += numbers
            here = Endpoint(ip_address(BACK if here == CHILD.local else HERE), NAT_PORT)
        assert seen == sorted(set(seen))
        usage = await site.plane.usage(CHILD.spi_in)
        assert (usage.packets_in, usage.packets_out) == (0, len(seen))
        assert usage.octets_out >= len(seen) * 128

    attempt(work)


@pytest.mark.parametrize("attempt", ["null", *REAL], indirect=True)
def test_a_pair_tells_of_its_limits_and_ends_at_the_hard_one(attempt: Try) -> None:
    """RFC 4301 §4.4.2.1: "a soft lifetime … and a hard lifetime when the current SA ends"."""

    async def work(site: Site) -> None:
        await site.plane.install(replace(CHILD, limits=Limits(soft_packets=2, hard_packets=4)))
        with peer(THERE) as there:
            site.send(7)
            told = await site.hears(PairSpent, 2)
            assert told == [PairSpent(CHILD.spi_in, over) for over in (False, True)]
            if site.namespace is not None:
                assert len(esp(there, 4)[0]) == 4
                assert silent(there)
        again = replace(CHILD, spi_in=0x1001, spi_out=0x2001, keys_out=other_keys())
        await site.plane.install(again)
        await site.plane.remove(CHILD.spi_in)
        assert set(await site.plane.usages()) == {0x1001}

    attempt(work)


def other_keys() -> EspKeys:
    return EspKeys(Secret(b"\1" * 36), Secret(b""))


@pytest.mark.conformance("CF-U17")
@pytest.mark.parametrize("attempt", ["null", *REAL], indirect=True)
def test_a_packet_asks_for_its_pair_and_nothing_leaves_before(attempt: Try) -> None:
    """RFC 4301 §4.4.1, RFC 7296 §2.9: the acquire, with the selectors of the packet."""

    async def work(site: Site) -> None:
        await site.plane.trap(7, CHILD.local_ts, CHILD.peer_ts)
        with peer(THERE) as there:
            site.send()
            (event,) = await site.hears(PacketWaits, 1)
            assert isinstance(event, PacketWaits)
            assert event.trap == 7
            assert str(event.trigger.peer.start) == FAR
            assert silent(there)
            await site.plane.install(CHILD)
            there.settimeout(PATIENCE)
            site.send()
            if site.namespace is not None:
                assert esp(there, 1)[0][0] == 1
        assert len(await site.hears(PacketWaits, 1)) == 1

    attempt(work)


@pytest.mark.conformance("CF-U17")
@pytest.mark.parametrize("attempt", REAL, indirect=True)
def test_what_a_policy_discards_reaches_no_pair(attempt: Try) -> None:
    """RFC 4301 §4.4.1: the first policy that fits decides, before pairs."""
    shut = TrafficSelector.of("10.2.0.0/16", 17, (7000, 7009))
    policy = TrafficPolicy("shut", Action.DISCARD, CHILD.local_ts, (shut,))

    async def work(site: Site) -> None:
        await site.plane.govern((policy,))
        await site.plane.install(CHILD)
        with peer(THERE) as there:
            for port in (7000, 7009, 7010):
                site.send(port=port)
            assert esp(there, 1)[0] == [1]
            assert silent(there)

    attempt(work)

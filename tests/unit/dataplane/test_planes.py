# SPDX-License-Identifier: Apache-2.0
"""What every data plane does, whichever it is."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from ikeway.dataplane import DataPlane, PairSpent, PlaneConfig, open_plane
from ikeway.dataplane.null import NullDataPlane
from ikeway.dataplane.port import PacketWaits
from ikeway.model.address import Endpoint
from ikeway.model.errors import ConfigError, HostError
from ikeway.model.esp import Encapsulation, EspKeys, EspSuite, Limits, Usage
from ikeway.model.outer import DontFragment, OuterHeader
from ikeway.model.policies import Action, TrafficPolicy
from ikeway.model.secret import Secret
from ikeway.model.selectors import TrafficSelector, Trigger
from support.child import CHILD as PLAIN
from support.netns import namespaces
from support.own_kernel import HAS_ESP

CONFIG = PlaneConfig((ip_address("127.0.0.1"), ip_address("::1")))
CHILD = replace(PLAIN, peer_ts=(*PLAIN.peer_ts, TrafficSelector.of("fd02::/64")))

Work = Callable[[DataPlane], Awaitable[None]]
Try = Callable[[Work], None]


PLANES = [
    "null",
    pytest.param("engine", marks=pytest.mark.system),
    pytest.param(
        "xfrm",
        marks=[
            pytest.mark.system,
            pytest.mark.skipif(
                not HAS_ESP, reason="tests/interop/test_xfrm.py has a kernel for it"
            ),
        ],
    ),
]


@pytest.fixture(params=PLANES)
def attempt(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Try]:
    """Run a piece of work with a fresh data plane, a real one in a namespace of its own."""
    backend = request.param

    async def run(work: Work) -> None:
        plane = await open_plane(backend, tmp_path, CONFIG)
        try:
            await work(plane)
        finally:
            await plane.close()

    if backend == "null":
        # The port may be in use on the host of the test.
        yield lambda work: asyncio.run(_null(work))
        return
    with namespaces(1) as made:
        yield lambda work: made[0].inside(lambda: asyncio.run(run(work)))


async def _null(work: Work) -> None:
    plane = await open_plane("null", Path(), replace(CONFIG, port=0))
    try:
        await work(plane)
    finally:
        await plane.close()


def test_traps_are_set_anew_and_taken_back_in_any_order(attempt: Try) -> None:
    """RFC 4301 §4.4.1: a trap has a number; what is said of it last counts."""

    async def work(plane: DataPlane) -> None:
        await plane.trap(1, CHILD.local_ts, CHILD.peer_ts)
        await plane.trap(1, CHILD.local_ts, CHILD.peer_ts[:1])
        await plane.trap(2, CHILD.local_ts, CHILD.peer_ts)
        await plane.untrap(1)
        await plane.untrap(1)
        await plane.untrap(4711)
        assert await plane.usages() == {}
        assert await plane.paths() == {}, "nothing was sent that could be too long"

    attempt(work)


def test_policies_are_replaced_as_a_whole_and_go_with_a_reset(attempt: Try) -> None:
    """RFC 4301 §4.4.1: an ordered database; pairs and traps come and go beside it."""
    mail = TrafficSelector.of("10.2.0.0/16", 6, (25, 65535))
    policies = (
        TrafficPolicy("dns", Action.BYPASS, CHILD.local_ts, CHILD.peer_ts),
        TrafficPolicy("mail", Action.DISCARD, CHILD.local_ts, (mail,)),
        TrafficPolicy("rest", Action.PROTECT, CHILD.local_ts, CHILD.peer_ts),
    )

    async def work(plane: DataPlane) -> None:
        await plane.govern(policies)
        await plane.install(CHILD)
        await plane.govern(policies[1:])
        await plane.govern(policies[1:])
        await plane.trap(1, CHILD.local_ts, CHILD.peer_ts)
        await plane.govern(())
        await plane.govern(policies)
        await plane.reset()
        await plane.reset()
        await plane.install(replace(CHILD, spi_out=0x2001))
        assert set(await plane.usages()) == {CHILD.spi_in}

    attempt(work)


def test_policies_without_a_packet_are_refused_or_nothing(attempt: Try) -> None:
    none = TrafficPolicy("none", Action.DISCARD, (), CHILD.peer_ts)

    async def work(plane: DataPlane) -> None:
        if not isinstance(plane, NullDataPlane):
            with pytest.raises(HostError):
                await plane.govern((none,))
        await plane.install(CHILD)

    attempt(work)


def test_the_null_plane_tells_of_packets_in_its_traps_only() -> None:
    def to(address: str) -> Trigger:
        return Trigger(TrafficSelector.of("10.1.0.9/32", 6), TrafficSelector.of(address, 6))

    async def work(plane: DataPlane) -> None:
        assert isinstance(plane, NullDataPlane)
        await plane.trap(7, CHILD.local_ts, CHILD.peer_ts)
        await plane.trap(8, CHILD.local_ts, (TrafficSelector.of("10.3.0.0/16"),))
        for address in ("10.9.0.1/32", "10.3.0.1/32", "10.2.0.1/32"):
            plane.spring(to(address))
        await plane.untrap(8)
        plane.spring(to("10.3.0.2/32"))
        await plane.reset()
        plane.spring(to("10.2.0.2/32"))
        await plane.close()
        told = [event async for event in plane.events()]
        assert told == [PacketWaits(8, to("10.3.0.1/32")), PacketWaits(7, to("10.2.0.1/32"))]

    asyncio.run(_null(work))


def test_a_pair_is_installed_measured_and_removed(attempt: Try) -> None:
    async def work(plane: DataPlane) -> None:
        await plane.install(CHILD)
        assert await plane.usage(0x1000) == Usage()
        assert await plane.usages() == {0x1000: Usage()}
        assert await plane.remove(0x1000) == Usage()
        assert await plane.usages() == {}

    attempt(work)


def test_outer_headers_may_be_copied_or_cleared(attempt: Try) -> None:
    """RFC 4301 §5.1.2, §8.1: what every data plane can do."""

    async def work(plane: DataPlane) -> None:
        for spi, header in enumerate((OuterHeader(0), OuterHeader(None, DontFragment.CLEAR)), 1):
            child = replace(CHILD, spi_in=0x1000 + spi, spi_out=0x2000 + spi)
            await plane.install(replace(child, outer=header))
        assert set(await plane.usages()) == {0x1001, 0x1002}

    attempt(work)


def test_an_inbound_spi_is_taken_once(attempt: Try) -> None:
    async def work(plane: DataPlane) -> None:
        await plane.install(CHILD)
        with pytest.raises(HostError, match="0x00001000"):
            await plane.install(CHILD)
        await plane.install(replace(CHILD, spi_in=0x1001, spi_out=0x2001))
        assert set(await plane.usages()) == {0x1000, 0x1001}

    attempt(work)


def test_a_pair_that_is_not_there_is_an_error(attempt: Try) -> None:
    async def work(plane: DataPlane) -> None:
        for call in (plane.remove, plane.usage, plane.activate):
            with pytest.raises(HostError, match="0x00003000"):
                await call(0x3000)

    attempt(work)


def test_a_pair_on_standby_is_a_pair_like_others(attempt: Try) -> None:
    async def work(plane: DataPlane) -> None:
        await plane.install(CHILD)
        await plane.install(replace(CHILD, spi_in=0x1001, spi_out=0x2001), standby=True)
        with pytest.raises(HostError, match="0x00001001"):
            await plane.install(replace(CHILD, spi_in=0x1001, spi_out=0x2001), standby=True)
        for spi_in in (0x1000, 0x1001, 0x1001):
            await plane.activate(spi_in)
        assert await plane.usages() == {0x1000: Usage(), 0x1001: Usage()}
        assert await plane.remove(0x1000) == Usage()
        assert await plane.remove(0x1001) == Usage()

    attempt(work)


def test_a_pair_migrates_to_other_addresses_of_either_family(attempt: Try) -> None:
    async def work(plane: DataPlane) -> None:
        await plane.install(CHILD)
        await plane.migrate(0x1000, CHILD.local, Endpoint(ip_address("127.0.0.3"), 1024))
        here, there = (Endpoint(ip_address(text), 4500) for text in ("::1", "fd00::1"))
        await plane.migrate(0x1000, here, there)
        assert await plane.remove(0x1000) == Usage()
        with pytest.raises(HostError, match="0x00001000"):
            await plane.migrate(0x1000, here, there)

    attempt(work)


def test_many_pairs_are_all_counted(attempt: Try) -> None:
    async def work(plane: DataPlane) -> None:
        spis = range(0x1000, 0x1000 + 1000)
        for spi in spis:
            await plane.install(replace(CHILD, spi_in=spi, spi_out=spi))
        assert list(await plane.usages()) == list(spis)

    attempt(work)


def test_reset_removes_every_pair(attempt: Try) -> None:
    async def work(plane: DataPlane) -> None:
        for spi in range(0x1000, 0x1010):
            await plane.install(replace(CHILD, spi_in=spi, spi_out=spi))
        await plane.reset()
        assert await plane.usages() == {}
        await plane.install(CHILD)

    attempt(work)


def test_ike_sockets_are_bound_and_do_not_block(attempt: Try) -> None:
    async def work(plane: DataPlane) -> None:
        ipv4, ipv6 = plane.ike_sockets()
        assert (ipv4.family, ipv6.family) == (socket.AF_INET, socket.AF_INET6)
        assert ipv4.getsockname()[0] == "127.0.0.1"
        for each in (ipv4, ipv6):
            with pytest.raises(BlockingIOError):
                each.recv(100)
        # The length field of an IKE header, so that it passes for a whole message.
        message = bytes(4 + 24) + (28).to_bytes(4)
        ipv4.sendto(message, ipv4.getsockname())
        assert await asyncio.get_running_loop().sock_recv(ipv4, 100) == message

    attempt(work)


def test_events_end_with_the_data_plane(attempt: Try) -> None:
    async def work(plane: DataPlane) -> None:
        async def read() -> int:
            return len([event async for event in plane.events()])

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        await plane.close()
        assert await reading == 0

    attempt(work)


def test_closing_twice_is_closing(attempt: Try) -> None:
    async def work(plane: DataPlane) -> None:
        await plane.close()
        await plane.close()

    attempt(work)


def test_the_null_plane_tells_of_limits_as_if_it_had_carried_something() -> None:
    """Each limit is told once, whichever direction and count reaches it."""

    async def work(plane: DataPlane) -> None:
        assert isinstance(plane, NullDataPlane)
        limits = Limits(soft_packets=10, soft_octets=1000, hard_packets=20, hard_octets=2000)
        await plane.install(replace(CHILD, limits=limits))
        plane.carry(0x1000, Usage(packets_in=9, octets_in=999))
        plane.carry(0x1000, Usage(packets_out=10))
        plane.carry(0x1000, Usage(packets_in=1))
        plane.carry(0x1000, Usage(octets_in=1001))
        plane.carry(0x1000, Usage(octets_in=1001))
        await plane.close()
        told = [event async for event in plane.events()]
        assert told == [PairSpent(0x1000, is_over=False), PairSpent(0x1000, is_over=True)]

    asyncio.run(_null(work))


def test_an_unknown_backend_is_the_operator_s_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="engine, xfrm and null"):
        asyncio.run(open_plane("none", tmp_path, CONFIG))


def test_a_port_in_use_says_which(tmp_path: Path) -> None:
    async def work() -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            config = replace(CONFIG, port=taken.getsockname()[1])
            with pytest.raises(HostError, match=rf"port {config.port}.*EADDRINUSE"):
                await open_plane("null", tmp_path, config)

    asyncio.run(work())


def test_a_pair_of_ah_comes_moves_and_goes(attempt: Try) -> None:
    """RFC 4302: it is in no UDP, and known by its SPI as one of ESP is."""
    keys = EspKeys(Secret(b""), Secret(bytes(32)))
    suite = EspSuite(0, 0, 12, esn=True)
    pair = replace(CHILD, suite=suite, keys_in=keys, keys_out=keys)
    at_500 = (replace(CHILD.local, port=500), replace(CHILD.peer, port=500))
    bare = replace(pair, encapsulation=Encapsulation.NONE, local=at_500[0], peer=at_500[1])

    async def work(plane: DataPlane) -> None:
        if not isinstance(plane, NullDataPlane):
            with pytest.raises(HostError, match="AH cannot go into UDP"):
                await plane.install(pair)
        await plane.install(bare)
        await plane.install(replace(CHILD, spi_in=0x1001))
        assert await plane.usages() == {0x1000: Usage(), 0x1001: Usage()}
        moved = replace(at_500[1], address=ip_address("127.0.0.3"))
        await plane.migrate(0x1000, at_500[0], moved, Encapsulation.NONE)
        assert await plane.remove(0x1000) == Usage()
        assert set(await plane.usages()) == {0x1001}

    attempt(work)

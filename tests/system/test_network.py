# SPDX-License-Identifier: Apache-2.0
"""The host's network in a namespace: what is done is undone, also after a crash at any moment."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

import pytest

from ikeway.client.network import JOURNAL, PyrouteNetwork
from ikeway.model.errors import HostError
from ikeway.model.selectors import TrafficSelector
from ikeway.runtime.network import TunnelPlan, source_for
from support.netns import Namespace, connect, namespaces

pytestmark = pytest.mark.system

T = TypeVar("T")
Pair = tuple[Namespace, Namespace]
HERE, PEER = "192.0.2.1", "192.0.2.2"
EVERYTHING = ("0.0.0.0/0", "::/0")
LENT = ("10.66.0.2", "fd66::2")


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two hosts with a cable; the first has a tunnel's interface, whose other end is nobody."""
    with namespaces(2) as (here, peer):
        connect(here, peer)
        here.add_address("outer0", f"{HERE}/24")
        peer.add_address("outer0", f"{PEER}/24")
        here.ip("tuntap", "add", "ikeway0", "mode", "tun")
        yield here, peer


def test_everything_is_undone(pair: Pair, tmp_path: Path) -> None:
    here, _ = pair
    before = state(here)

    async def live() -> None:
        network = PyrouteNetwork(tmp_path)
        await network.recover()
        await network.open("ikeway0", 1380)
        await network.add(a_tunnel(1, EVERYTHING, lent=LENT))
        assert state(here) != before
        assert (tmp_path / JOURNAL).exists()
        await network.remove(1)
        await network.close()

    run(here, live)
    assert state(here) == before
    assert not (tmp_path / JOURNAL).exists()
    assert "mtu 1380" in here.ip("link", "show", "ikeway0")


def test_traffic_takes_the_tunnel_and_the_tunnel_itself_does_not(
    pair: Pair, tmp_path: Path
) -> None:
    """The selectors cover the peer's own address, to which ESP and IKE have to go around."""
    here, _ = pair

    async def live() -> None:
        async with opened(tmp_path) as network:
            await network.add(a_tunnel(1, EVERYTHING, lent=LENT))
            assert "dev ikeway0" in way(here, "203.0.113.1")
            assert "src 10.66.0.2" in way(here, "203.0.113.1")
            assert "src fd66::2" in way(here, "2001:db8::1")
            assert "dev ikeway0" in way(here, PEER)
            for port in ("500", "4500"):
                assert "dev outer0" in way(here, PEER, "ipproto", "udp", "sport", port)
            assert source_for(ip_address(PEER)) == ip_address(HERE)

    run(here, live)


def test_packets_of_others_never_go_around_the_tunnel(pair: Pair, tmp_path: Path) -> None:
    """Whoever is behind us may have an IKE of their own, from port 4500."""
    here, _ = pair
    here.ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
    here.add_address("lan0", "10.1.0.1/16")
    here.ip("link", "set", "lan0", "up")
    here.run("sysctl", "-qw", "net.ipv4.ip_forward=1")

    async def live() -> None:
        async with opened(tmp_path) as network:
            await network.add(a_tunnel(1, ("198.51.100.0/24",), local=("10.1.0.0/16",)))
            forwarded = ["from", "10.1.0.9", "iif", "lan0", "ipproto", "udp", "sport", "4500"]
            assert "dev ikeway0" in way(here, "198.51.100.7", *forwarded)

    run(here, live)


def test_a_strict_reverse_path_filter_lets_the_peer_in(pair: Pair, tmp_path: Path) -> None:
    """It asks for the way back to the peer, which the selectors cover; only ARP may suffer."""
    here, peer = pair
    peer.run("ping", "-c", "1", "-W", "2", HERE)
    for name in ("all", "outer0"):
        here.run("sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter=1")

    def send() -> None:
        with udp(PEER, 4500) as sender:
            sender.sendto(b"in", (HERE, 4500))

    async def live() -> None:
        async with opened(tmp_path) as network:
            lines = await network.add(a_tunnel(1, EVERYTHING, lent=LENT))
            assert "sysctl -w net.ipv4.conf.outer0.rp_filter=2" in lines[-1]
            with udp(HERE, 4500) as receiver:
                await asyncio.to_thread(peer.inside, send)
                assert receiver.recv(100) == b"in"

    run(here, live)


def test_what_children_share_stays_until_the_last_one_goes(pair: Pair, tmp_path: Path) -> None:
    here, _ = pair

    async def live() -> None:
        async with opened(tmp_path) as network:
            for spi in (1, 2):
                await network.add(a_tunnel(spi, EVERYTHING, lent=LENT))
            await network.remove(1)
            assert "src 10.66.0.2" in way(here, "203.0.113.1")
            await network.remove(2)
            assert "10.66.0.2" not in here.ip("address")
            await network.remove(2)

    run(here, live)


def test_a_plan_that_the_kernel_refuses_leaves_nothing(pair: Pair, tmp_path: Path) -> None:
    here, _ = pair
    here.add_address("lo", "10.1.0.1/32")

    async def live() -> None:
        async with opened(tmp_path) as network:
            await network.add(a_tunnel(1, ("10.2.0.0/16",), local=("10.1.0.0/16",)))
            before = state(here)
            here.ip("address", "del", "10.1.0.1/32", "dev", "lo")
            with pytest.raises(HostError, match=r"adding the route to 10\.3\.0\.0/16: .*EINVAL"):
                await network.add(a_tunnel(2, ("10.3.0.0/16",), local=("10.1.0.0/16",), lent=LENT))
            here.add_address("lo", "10.1.0.1/32")
            assert "10.66.0.2" not in state(here)
            assert "10.3.0.0" not in state(here)
            assert "10.2.0.0" in before
            await network.add(a_tunnel(2, ("10.3.0.0/16",), local=("10.1.0.0/16",)))

    run(here, live)


def test_ipv6_is_refused_where_the_interface_cannot_have_it(pair: Pair, tmp_path: Path) -> None:
    """An MTU below 1280 takes IPv6 from the interface (RFC 8200 §5): nothing may leak around it."""
    here, _ = pair
    here.add_address("outer0", "2001:db8:1::1/64")
    here.ip("-6", "route", "add", "default", "dev", "outer0")

    async def live() -> None:
        async with opened(tmp_path, mtu=1000) as network:
            lines = await network.add(a_tunnel(1, EVERYTHING, lent=LENT))
            assert "IPv6 is switched off on ikeway0" in lines[0]
            assert not await network.add(a_tunnel(1, EVERYTHING, lent=LENT)), "once is enough"
            with pytest.raises(AssertionError, match="No route to host"):
                way(here, "2001:db8::1")
            assert "dev ikeway0" in way(here, "203.0.113.1")

    run(here, live)


def test_two_instances_live_side_by_side(pair: Pair, tmp_path: Path) -> None:
    here, _ = pair
    here.ip("tuntap", "add", "ikeway1", "mode", "tun")
    before = state(here)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()

    async def live() -> None:
        async with opened(tmp_path / "two", "ikeway1") as two:
            async with opened(tmp_path / "one") as one:
                await one.add(a_tunnel(1, ("10.2.0.0/16",), lent=LENT))
                await two.add(a_tunnel(1, ("10.3.0.0/16", PEER), lent=("10.67.0.2",)))
            assert "dev ikeway1" in way(here, "10.3.0.1")
            assert "dev outer0" in way(here, PEER, "ipproto", "udp", "sport", "4500")

    run(here, live)
    assert state(here) == before


def test_an_interface_that_is_not_there_is_named(pair: Pair, tmp_path: Path) -> None:
    here, _ = pair
    before = state(here)

    async def live() -> None:
        network = PyrouteNetwork(tmp_path)
        with pytest.raises(HostError, match="no network interface 'ikeway7'"):
            await network.open("ikeway7", 1400)
        with pytest.raises(HostError, match="not open"):
            await network.add(a_tunnel(1, EVERYTHING))
        await network.close()

    run(here, live)
    assert state(here) == before


def test_without_the_right_to_do_so_the_reason_is_given(pair: Pair, tmp_path: Path) -> None:
    here, _ = pair
    without = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    program = [sys.executable, "-c", VICTIM, str(tmp_path)]
    done = here.start(*without, *program, stderr=subprocess.PIPE)
    words = done.communicate(timeout=20)[1]
    assert "Operation not permitted (EPERM); root or CAP_NET_ADMIN is needed" in words


VICTIM = """
import asyncio, sys
from ipaddress import ip_address
from pathlib import Path
from ikeway.client.network import PyrouteNetwork
from ikeway.model.selectors import TrafficSelector
from ikeway.runtime.network import TunnelPlan

async def live():
    network = PyrouteNetwork(Path(sys.argv[1]))
    await network.recover()
    print("go", flush=True)
    for spi in range(1, 100_000):
        if spi % 50 == 1:
            await network.open("ikeway0", 1400)
        lent = (ip_address(f"10.66.{spi % 200}.1"), ip_address(f"fd66::{spi % 9999}"))
        everything = TrafficSelector.of("0.0.0.0/0"), TrafficSelector.of("::/0")
        plan = TunnelPlan("c", "ikeway0", spi, lent, everything, everything, *[lent[0]] * 2)
        await network.add(plan)

asyncio.run(live())
"""


def test_the_next_start_cleans_up_whenever_the_last_one_was_killed(
    pair: Pair, tmp_path: Path
) -> None:
    here, _ = pair
    before = state(here)
    found_dirty = 0
    for number in range(12):
        victim = here.start(sys.executable, "-c", VICTIM, str(tmp_path), stdout=subprocess.PIPE)
        assert victim.stdout is not None
        assert victim.stdout.readline() == "go\n"
        time.sleep(number * 0.004)
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        found_dirty += state(here) != before

        async def recover() -> None:
            network = PyrouteNetwork(tmp_path)
            await network.recover()
            await network.close()

        run(here, recover)
        assert state(here) == before
        assert not (tmp_path / JOURNAL).exists()
    assert found_dirty, "some of them had begun"


# Helpers ------------------------------------------------------------------------------------------


class opened:  # noqa: N801 - reads as a function
    """A network that is open for the time of a block."""

    def __init__(self, run_dir: Path, interface: str = "ikeway0", mtu: int = 1400) -> None:
        self._network = PyrouteNetwork(run_dir)
        self._interface = interface
        self._mtu = mtu

    async def __aenter__(self) -> PyrouteNetwork:
        await self._network.open(self._interface, self._mtu)
        return self._network

    async def __aexit__(self, *_: object) -> None:
        await self._network.close()


def run(namespace: Namespace, live: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await live()

    return namespace.inside(lambda: asyncio.run(main()))


def state(namespace: Namespace) -> str:
    """Everything that may change; the interface itself is not ours to remove."""
    shown = [
        *(["-4", "rule"], ["-6", "rule"]),
        *(["-4", "route", "show", "table", "all"], ["-6", "route", "show", "table", "all"]),
        ["-br", "address"],
    ]
    lines = [line for command in shown for line in namespace.ip(*command).splitlines()]
    return "\n".join(sorted(" ".join(line.split()) for line in lines if not is_noise(line)))


def is_noise(line: str) -> bool:
    """What the kernel does by itself: an interface that is up, link-local addresses."""
    is_up = line.startswith(("multicast ff00::/8 dev ikeway", "ikeway")) and "66" not in line
    return is_up or "fe80::" in line


def way(namespace: Namespace, to: str, *flow: str) -> str:
    family = ["-6"] if ":" in to else []
    return namespace.ip(*family, "route", "get", to, *flow)


def udp(address: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(3)
    made.bind((address, port))
    return made


def a_tunnel(
    spi: int,
    peer: tuple[str, ...],
    *,
    local: tuple[str, ...] = EVERYTHING,
    lent: tuple[str, ...] = (),
) -> TunnelPlan:
    return TunnelPlan(
        connection="office",
        interface="ikeway0",
        child_spi=spi,
        virtual_ips=tuple(map(ip_address, lent)),
        local_ts=tuple(map(TrafficSelector.of, local)),
        peer_ts=tuple(map(TrafficSelector.of, peer)),
        outer_local=ip_address(HERE),
        outer_peer=ip_address(PEER),
    )

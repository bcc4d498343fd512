# SPDX-License-Identifier: Apache-2.0
"""Two hosts with an engine each, joined by a cable, with keys that a test chose."""

import asyncio
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from ikeway.dataplane import EngineDataPlane, PlaneConfig, PlaneEvent
from ikeway.model.address import NAT_PORT, Endpoint
from ikeway.model.esp import ChildSa, Encapsulation, EspKeys, EspSuite, Mode
from ikeway.model.secret import Secret
from ikeway.model.selectors import TrafficSelector
from support.netns import Namespace, connect, namespaces
from support.suites import Suite

T = TypeVar("T")
Kind = type[EngineDataPlane]
"""Of data plane: the engine, or what starts alike."""

OUTER = (("192.0.2.1", "2001:db8::1"), ("192.0.2.2", "2001:db8::2"))
INNER = (("10.1.0.1", "fd01::1"), ("10.2.0.1", "fd02::1"))
PROTECTED = (("10.1.0.0/16", "fd01::/64"), ("10.2.0.0/16", "fd02::/64"))
LISTEN = (ip_address("0.0.0.0"), ip_address("::"))


def child_pair(
    suite: Suite, *, esn: bool = True, outer: int = 0, spi: int = 0x1000
) -> list[ChildSa]:
    """Return one Child SA as each of two hosts sees it; `outer` 0 is over IPv4, 1 over IPv6."""
    keys = [_keys(suite), _keys(suite)]
    return [_child(side, suite, esn, outer, spi, keys) for side in (0, 1)]


def _keys(suite: Suite) -> EspKeys:
    encr, integ = suite.encr_octets, suite.integ_octets
    return EspKeys(Secret(secrets.token_bytes(encr)), Secret(secrets.token_bytes(integ)))


def _child(
    side: int, suite: Suite, esn: bool, outer: int, spi: int, keys: list[EspKeys]
) -> ChildSa:
    other = 1 - side
    return ChildSa(
        spi_in=spi + side,
        spi_out=spi + other,
        local=Endpoint(ip_address(OUTER[side][outer]), NAT_PORT),
        peer=Endpoint(ip_address(OUTER[other][outer]), NAT_PORT),
        mode=Mode.TUNNEL,
        encapsulation=Encapsulation.UDP,
        suite=EspSuite(suite.encr, suite.key_bits, suite.integ, esn),
        keys_in=keys[side],
        keys_out=keys[other],
        local_ts=tuple(TrafficSelector.of(network) for network in PROTECTED[side]),
        peer_ts=tuple(TrafficSelector.of(network) for network in PROTECTED[other]),
    )


def without_udp(child: ChildSa) -> ChildSa:
    """Return a pair in no UDP: IKE stays on port 500 where no NAT is, with the addresses of ESP."""
    local, peer = (Endpoint(end.address, 500) for end in (child.local, child.peer))
    return replace(child, encapsulation=Encapsulation.NONE, local=local, peer=peer)


class Host:
    """A namespace with a thread in it that runs an event loop and a data plane."""

    def __init__(
        self,
        namespace: Namespace,
        run_dir: Path,
        side: int,
        queues: int = 1,
        busy_poll: int = 0,
        kind: Kind = EngineDataPlane,
    ) -> None:
        self.namespace = namespace
        self.run_dir = run_dir
        self.side = side
        self.config = PlaneConfig(LISTEN, queues=queues, busy_poll=busy_poll)
        self.events: list[PlaneEvent] = []
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=lambda: namespace.inside(self.loop.run_forever), daemon=True
        )
        self._thread.start()
        self.plane = self.call(lambda: kind.start(run_dir, self.config))
        self._watch = asyncio.run_coroutine_threadsafe(self._gather(), self.loop)
        self._route()

    def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await `work()` on the host's loop."""

        async def run() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def install(self, child: ChildSa, *, standby: bool = False) -> None:
        """Install a pair of SAs."""
        self.call(lambda: self.plane.install(child, standby=standby))

    def seen(self, wanted: Callable[[PlaneEvent], bool], seconds: float = 3.0) -> PlaneEvent:
        """Wait for an event."""

        return eventually(lambda: next(filter(wanted, self.events), None), seconds)

    def close(self) -> None:
        """Stop engine, loop and thread."""
        self.call(self.plane.close)
        self._watch.cancel()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    async def _gather(self) -> None:
        async for event in self.plane.events():
            self.events.append(event)

    def _route(self) -> None:
        self.namespace.ip("link", "set", "ikeway0", "up")
        for address, network in zip(INNER[self.side], PROTECTED[1 - self.side], strict=True):
            self.namespace.add_address("ikeway0", f"{address}/{128 if ':' in address else 32}")
            self.namespace.ip("route", "add", network, "dev", "ikeway0")


Hosts = tuple[Host, Host]


@contextmanager
def two_hosts(
    folder: Path, queues: int = 1, busy_poll: int = 0, first: Kind = EngineDataPlane
) -> Iterator[Hosts]:
    """Make two hosts with a cable between them and an idle data plane each, mostly an engine."""
    with namespaces(2) as made:
        connect(*made)
        hosts: list[Host] = []
        try:
            for side, namespace in enumerate(made):
                for address in OUTER[side]:
                    length = 64 if ":" in address else 24
                    namespace.add_address("outer0", f"{address}/{length}")
                run_dir = folder / str(side)
                run_dir.mkdir()
                kind = EngineDataPlane if side else first
                hosts.append(Host(namespace, run_dir, side, queues, busy_poll, kind))
            yield hosts[0], hosts[1]
        finally:
            for host in hosts:
                host.close()


def install(hosts: Hosts, children: list[ChildSa]) -> None:
    """Install either side of a pair at its host."""
    for host, child in zip(hosts, children, strict=True):
        host.install(child)


def empty(hosts: Hosts) -> None:
    """Take back what a test has installed, and forget what it heard."""
    for host in hosts:
        host.call(host.plane.reset)
        host.events.clear()


@contextmanager
def into_the_interface(host: Host, outer: int) -> Iterator[None]:
    """Have what this host sends to the other go through the engine; its own packets are marked."""
    here, target = OUTER[host.side][outer], OUTER[1 - host.side][outer]
    family = "-6" if outer else "-4"
    changes = (
        ("route", (target, "dev", "ikeway0", "src", here, "table", "77")),
        ("rule", ("priority", "90", "fwmark", "4500", "lookup", "main")),
        ("rule", ("priority", "91", "to", target, "lookup", "77")),
    )
    for kind, words in changes:
        host.namespace.ip(family, kind, "add", *words)
    try:
        yield
    finally:
        for kind, words in changes:
            host.namespace.ip(family, kind, "del", *words)


def exchange(hosts: Hosts, octets: int) -> None:
    """Ping with short and long packets and send octets by TCP, both ways, in both families."""
    for family in (0, 1):
        ping(*hosts, family)
        ping(*hosts, family, 1300)
        transfer(hosts[0], hosts[1], octets, family)
        transfer(hosts[1], hosts[0], octets >> 2, family)


def transfer(sender: Host, receiver: Host, octets: int, family: int = 0) -> None:
    """Send octets over TCP inside the tunnel and check that they arrive unchanged."""
    address = (INNER[receiver.side][family], 7000)
    kind = socket.AF_INET6 if family else socket.AF_INET
    sent, got = hashlib.sha256(), hashlib.sha256()
    listening = receiver.namespace.inside(lambda: socket.create_server(address, family=kind))

    def receive() -> None:
        listening.settimeout(20)
        with listening, listening.accept()[0] as connection:
            connection.settimeout(20)
            while part := connection.recv(1 << 16):
                got.update(part)

    with ThreadPoolExecutor(1) as executor:
        done = executor.submit(receive)
        with sender.namespace.inside(lambda: socket.create_connection(address, 10)) as connection:
            for _ in range(octets >> 16):
                part = secrets.token_bytes(1 << 16)
                sent.update(part)
                connection.sendall(part)
        done.result(30)
    assert got.digest() == sent.digest()


def eventually(look: Callable[[], T | None], seconds: float = 3.0) -> T:
    """Return what `look()` finds as soon as it finds something."""
    end = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
    return found


def ping(sender: Host, receiver: Host, family: int = 0, size: int = 56) -> None:
    """Send three echo requests through the tunnel; all must come back."""
    target = INNER[receiver.side][family]
    sender.namespace.run("ping", "-c", "3", "-i", "0.02", "-w", "3", "-s", str(size), target)

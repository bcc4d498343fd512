# SPDX-License-Identifier: Apache-2.0
"""Sockets of IKE: what is answered at the door, and what goes further (RFC 7296 §2.6, §2.23)."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

import pytest

from ikeway.ike import besieged
from ikeway.ike.cookies import Challenge
from ikeway.ike.io import Datagram
from ikeway.model.address import IKE_PORT, NAT_PORT
from ikeway.model.secret import Secret
from ikeway.runtime.sockets import REST, UdpTransport
from ikeway.wire.message import NON_ESP_MARKER
from support.forge import first_message
from support.hosts import GCM

HOSTS = {"127.0.0.1": "127.0.0.1", "0.0.0.0": "127.0.0.9", "::1": "::1", "::": "::1"}
"""An address that is bound, and one at which it can be reached."""
KNOCK, OTHER = first_message(GCM.psk()).encode(), b"something else"
CHALLENGE = Challenge(((7, Secret(b"of our cookies")),), bytes((7, 0, 0, 0, 0, 0)))


class Reached:
    """A transport with one socket, and a peer that talks to it."""

    def __init__(self, bound: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in bound else socket.AF_INET
        self.requests: list[int] = []
        self.is_besieged = True
        self.received: asyncio.Queue[Datagram] = asyncio.Queue()
        self.ours, self.peer = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        self.ours.bind((bound, 0))
        self.peer.bind((HOSTS[bound], 0))
        self.at = (HOSTS[bound], self.ours.getsockname()[1])
        self.peer.connect(self.at)
        self.peer.settimeout(2)
        self.transport = UdpTransport(self.received.put_nowait, self)
        self.transport.adopt([self.ours], port)

    def challenge(self) -> Challenge | None:
        return CHALLENGE if self.is_besieged else None

    def asked(self, requests: int) -> None:
        self.requests.append(requests)


def run(bound: str, port: int, work: Callable[[Reached], Awaitable[None]]) -> None:
    async def inside() -> None:
        reached = Reached(bound, port)
        try:
            await asyncio.wait_for(work(reached), 5)
        finally:
            reached.transport.close()
            reached.peer.close()

    asyncio.run(inside())


@pytest.mark.parametrize("bound", HOSTS)
@pytest.mark.parametrize("port", [IKE_PORT, NAT_PORT])
def test_what_is_answered_at_the_door_goes_no_further(bound: str, port: int) -> None:
    """From the address that was asked, else a connected socket would not take it (§2.11)."""
    marker = NON_ESP_MARKER if port == NAT_PORT else b""

    async def work(reached: Reached) -> None:
        reached.peer.send(marker + KNOCK)
        answer = await asyncio.to_thread(reached.peer.recv, 100)
        packed = ip_address(HOSTS[bound]).packed
        assert answer == marker + (besieged.answer(KNOCK, packed, CHALLENGE) or b"")
        assert reached.requests == [1]
        assert reached.received.empty()

    run(bound, port, work)


@pytest.mark.parametrize("bound", HOSTS)
@pytest.mark.parametrize("port", [IKE_PORT, NAT_PORT])
def test_everything_else_is_received_with_both_addresses(bound: str, port: int) -> None:
    marker = NON_ESP_MARKER if port == NAT_PORT else b""

    async def work(reached: Reached) -> None:
        reached.peer.send(marker + OTHER)
        got = await reached.received.get()
        assert got.octets == OTHER
        assert got.local.address == ip_address(HOSTS[bound])
        assert got.local.port == port
        assert (str(got.peer.address), got.peer.port) == reached.peer.getsockname()[:2]

    run(bound, port, work)


def test_what_has_no_marker_on_port_4500_is_never_looked_at() -> None:
    async def work(reached: Reached) -> None:
        reached.peer.send(KNOCK)
        reached.peer.send(NON_ESP_MARKER + OTHER)
        assert (await reached.received.get()).octets == OTHER
        assert not reached.requests

    run("127.0.0.1", NAT_PORT, work)


def test_in_quiet_times_nobody_is_asked_for_anything() -> None:
    async def work(reached: Reached) -> None:
        reached.is_besieged = False
        reached.peer.send(KNOCK)
        assert (await reached.received.get()).octets == KNOCK
        assert not reached.requests

    run("127.0.0.1", IKE_PORT, work)


def test_what_comes_while_a_flood_is_left_alone_is_received_after_that() -> None:
    """Many datagrams, some of them ours: none is lost, and few looks suffice."""

    async def work(reached: Reached) -> None:
        for number in range(200):
            reached.peer.send(KNOCK)
            if number % 50 == 0:
                reached.peer.send(OTHER)
                await asyncio.sleep(REST / 2)
        for _ in range(4):
            assert (await reached.received.get()).octets == OTHER
        for _ in range(100):
            await asyncio.sleep(REST)
        assert sum(reached.requests) == 200
        assert len(reached.requests) <= 10

    run("127.0.0.1", IKE_PORT, work)


def test_a_transport_that_is_closed_while_it_rests_stays_closed() -> None:
    async def work(reached: Reached) -> None:
        reached.peer.send(KNOCK)
        await asyncio.to_thread(reached.peer.recv, 100)
        reached.transport.close()
        await asyncio.sleep(2 * REST)

    run("127.0.0.1", IKE_PORT, work)

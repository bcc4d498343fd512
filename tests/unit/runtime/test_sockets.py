# SPDX-License-Identifier: Apache-2.0
"""Sockets of IKE: what is answered at the door, and what goes further (RFC 7296 §2.6, §2.23)."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

import pytest

from ikeway.ike.io import Datagram
from ikeway.model.address import IKE_PORT, NAT_PORT
from ikeway.runtime.sockets import UdpTransport
from ikeway.wire.message import NON_ESP_MARKER

HOSTS = {"127.0.0.1": "127.0.0.1", "0.0.0.0": "127.0.0.9", "::1": "::1", "::": "::1"}
"""An address that is bound, and one at which it can be reached."""
KNOCK, OTHER = b"a first request", b"something else"


class Reached:
    """A transport with one socket, and a peer that talks to it."""

    def __init__(self, bound: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in bound else socket.AF_INET
        self.asked: list[tuple[bytes, bytes]] = []
        self.received: asyncio.Queue[Datagram] = asyncio.Queue()
        self.ours, self.peer = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        self.ours.bind((bound, 0))
        self.peer.bind((HOSTS[bound], 0))
        self.at = (HOSTS[bound], self.ours.getsockname()[1])
        self.peer.connect(self.at)
        self.peer.settimeout(2)
        self.transport = UdpTransport(self.received.put_nowait, self.door)
        self.transport.adopt([self.ours], port)

    def door(self, octets: bytes, source: bytes) -> bytes | None:
        self.asked.append((octets, source))
        return b"come again" if octets == KNOCK else None


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
        assert answer == marker + b"come again"
        assert reached.asked == [(KNOCK, ip_address(HOSTS[bound]).packed)]
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
        await reached.received.get()
        assert reached.asked == [(OTHER, ip_address("127.0.0.1").packed)]

    run("127.0.0.1", NAT_PORT, work)

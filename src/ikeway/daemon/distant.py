# SPDX-License-Identifier: Apache-2.0
"""What a worker uses and the supervisor has: the data plane, the host's network, the pools."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping

from typing_extensions import override

from ikeway.daemon.channel import Channel
from ikeway.dataplane.port import DataPlane, PlaneEvent
from ikeway.ike.questions import Answer, Lease
from ikeway.model.address import Address, Endpoint
from ikeway.model.esp import ChildSa, Encapsulation, Usage
from ikeway.model.identity import Identity
from ikeway.model.policies import TrafficPolicy
from ikeway.model.selectors import Selectors
from ikeway.runtime.network import Guard, TunnelPlan


class DistantPlane(DataPlane):
    """The part of the supervisor's data plane that is a worker's own."""

    def __init__(self, channel: Channel, interface: str | None) -> None:
        self._channel = channel
        self._interface = interface
        self._events: asyncio.Queue[PlaneEvent] = asyncio.Queue()

    @property
    @override
    def interface(self) -> str | None:
        return self._interface

    @override
    def ike_sockets(self) -> tuple[socket.socket, ...]:
        return ()

    @override
    async def install(self, child: ChildSa, *, standby: bool = False) -> None:
        await self._channel.ask("install", child, standby)

    @override
    async def activate(self, spi_in: int) -> None:
        await self._channel.ask("activate", spi_in)

    @override
    async def migrate(
        self,
        spi_in: int,
        local: Endpoint,
        peer: Endpoint,
        encapsulation: Encapsulation = Encapsulation.UDP,
    ) -> None:
        await self._channel.ask("migrate", spi_in, local, peer, encapsulation)

    @override
    async def remove(self, spi_in: int) -> Usage:
        usage: Usage = await self._channel.ask("remove", spi_in)
        return usage

    @override
    async def trap(self, number: int, local_ts: Selectors, peer_ts: Selectors) -> None:
        await self._channel.ask("trap", number, local_ts, peer_ts)

    @override
    async def untrap(self, number: int) -> None:
        await self._channel.ask("untrap", number)

    @override
    async def govern(self, policies: tuple[TrafficPolicy, ...]) -> None:
        """The supervisor has done it."""

    @override
    async def usage(self, spi_in: int) -> Usage:
        usage: Usage = await self._channel.ask("usage", spi_in)
        return usage

    @override
    async def usages(self) -> Mapping[int, Usage]:
        usages: dict[int, Usage] = await self._channel.ask("usages")
        return usages

    @override
    async def paths(self) -> Mapping[Address, int]:
        paths: dict[Address, int] = await self._channel.ask("paths")
        return paths

    @override
    async def reset(self) -> None:
        for spi_in in await self.usages():
            await self.remove(spi_in)

    def happened(self, event: PlaneEvent) -> None:
        """Take an event that the supervisor passed on."""
        self._events.put_nowait(event)

    @override
    async def events(self) -> AsyncIterator[PlaneEvent]:
        while True:
            yield await self._events.get()

    @override
    async def close(self) -> None:
        """The data plane is the supervisor's, and stays."""

    @override
    async def detach(self) -> None:
        """The data plane is the supervisor's, and stays."""


class DistantNetwork:
    """The supervisor's `HostNetwork`, for the Child SAs of a worker."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._moves: asyncio.Queue[tuple[Address, ...]] = asyncio.Queue()

    async def recover(self) -> None:
        """The supervisor has done it."""

    async def open(self, interface: str, mtu: int) -> None:
        """The supervisor has done it."""

    async def reopen(self) -> None:
        """The supervisor does it."""

    async def govern(self, _guard: Guard, /) -> tuple[str, ...]:
        """The supervisor does it."""
        return ()

    async def dropped(self) -> Mapping[str, int]:
        """The supervisor says it."""
        return {}

    async def add(self, plan: TunnelPlan) -> tuple[str, ...]:
        """Send the traffic of a Child SA through the tunnel; return what the operator should know.

        Raises:
            HostError: the kernel refuses; nothing of the plan remains.
        """
        remarks: tuple[str, ...] = await self._channel.ask("route", plan)
        return remarks

    async def remove(self, child_spi: int) -> None:
        """Take back what `add` did for this Child SA."""
        await self._channel.ask("unroute", child_spi)

    async def changes(self) -> AsyncIterator[tuple[Address, ...]]:
        """Yield the host's addresses, as the supervisor hears of them.

        Raises:
            HostError: the kernel does not tell it.
        """
        yield await self._channel.ask("addresses")
        while True:
            yield await self._moves.get()

    def moved(self, addresses: tuple[Address, ...]) -> None:
        """Take what the supervisor has heard."""
        self._moves.put_nowait(addresses)

    async def close(self) -> None:
        """The supervisor does it."""


class DistantLeases:
    """The supervisor's pools: an address is lent once, whichever worker its peer is with."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def lend(self, sa: bytes, question: Lease) -> Answer:
        """Lend one address per family asked for, as far as the pool has it."""
        answer: Answer = await self._channel.ask("lend", sa, question)
        return answer

    def pass_on(self, sa: bytes, successor: bytes) -> None:
        """Give what an IKE SA had to the one that replaced it."""
        self._channel.tell("pass_on", sa, successor)

    def release(self, sa: bytes) -> None:
        """Take back what an IKE SA had."""
        self._channel.tell("release", sa)


class DistantOthers:
    """The other workers, by way of the supervisor."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def contacted(self, local: Identity, peer: Identity) -> None:
        """Tell them that a peer said INITIAL_CONTACT."""
        self._channel.tell("contacted", local, peer)

    async def is_up(self, connection: str) -> bool:
        """Whether one of them has an IKE SA with a peer that the connection is for."""
        return bool(await self._channel.ask("is_up", connection))

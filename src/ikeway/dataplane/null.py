# SPDX-License-Identifier: Apache-2.0
"""A data plane that moves no packets: for IKE alone, for tests and for load."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from typing_extensions import override

from ikeway.dataplane.port import DataPlane, PacketWaits, PairSpent, PlaneConfig, PlaneEvent
from ikeway.dataplane.sockets import bind, close
from ikeway.model.address import Endpoint
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa, Encapsulation, Usage
from ikeway.model.policies import TrafficPolicy
from ikeway.model.selectors import Selectors, Trigger


@dataclass
class _Pair:
    """A pair that was installed, and what it is said to have carried."""

    child: ChildSa
    usage: Usage = field(default=Usage())
    told: set[bool] = field(default_factory=set)

    def reaches(self, *, is_over: bool) -> bool:
        """Whether either direction has carried what the soft, or the hard, limit says."""
        usage, limits = self.usage, self.child.limits
        packets, octets = (
            (limits.hard_packets, limits.hard_octets)
            if is_over
            else (limits.soft_packets, limits.soft_octets)
        )
        return 0 < packets <= max(usage.packets_in, usage.packets_out) or (
            0 < octets <= max(usage.octets_in, usage.octets_out)
        )


class NullDataPlane(DataPlane):
    """Keeps the pairs it is given, and the IKE sockets."""

    def __init__(self, sockets: tuple[socket.socket, ...]) -> None:
        self._sockets = sockets
        self._children: dict[int, _Pair] = {}
        self._traps: dict[int, tuple[Selectors, Selectors]] = {}
        self.policies: tuple[TrafficPolicy, ...] = ()
        self._events: asyncio.Queue[PlaneEvent | None] = asyncio.Queue()

    @classmethod
    async def start(cls, config: PlaneConfig) -> Self:
        """Bind the IKE sockets.

        Raises:
            HostError: an address or port cannot be bound.
        """
        return cls(bind(config))

    @property
    @override
    def interface(self) -> str | None:
        return None

    @override
    def ike_sockets(self) -> tuple[socket.socket, ...]:
        return self._sockets

    @override
    async def install(self, child: ChildSa, *, standby: bool = False) -> None:
        if child.spi_in in self._children:
            raise HostError(f"SPI {child.spi_in:#010x} is in use")
        self._children[child.spi_in] = _Pair(child)

    @override
    async def activate(self, spi_in: int) -> None:
        await self.usage(spi_in)

    @override
    async def migrate(
        self,
        spi_in: int,
        local: Endpoint,
        peer: Endpoint,
        encapsulation: Encapsulation = Encapsulation.UDP,
    ) -> None:
        await self.usage(spi_in)
        pair = self._children[spi_in]
        pair.child = replace(pair.child, local=local, peer=peer, encapsulation=encapsulation)

    @override
    async def remove(self, spi_in: int) -> Usage:
        usage = await self.usage(spi_in)
        del self._children[spi_in]
        return usage

    @override
    async def trap(self, number: int, local_ts: Selectors, peer_ts: Selectors) -> None:
        self._traps[number] = local_ts, peer_ts

    @override
    async def untrap(self, number: int) -> None:
        self._traps.pop(number, None)

    @override
    async def govern(self, policies: tuple[TrafficPolicy, ...]) -> None:
        self.policies = policies

    @override
    async def usage(self, spi_in: int) -> Usage:
        if spi_in not in self._children:
            raise HostError(f"no SA has the inbound SPI {spi_in:#010x}")
        return self._children[spi_in].usage

    @override
    async def usages(self) -> Mapping[int, Usage]:
        return {spi_in: pair.usage for spi_in, pair in self._children.items()}

    @override
    async def reset(self) -> None:
        self._children.clear()
        self._traps.clear()
        self.policies = ()

    @override
    async def events(self) -> AsyncIterator[PlaneEvent]:
        while (event := await self._events.get()) is not None:
            yield event

    def carry(self, spi_in: int, more: Usage) -> None:
        """Count traffic as if it had passed through a pair, and tell of the limits it reaches."""
        pair = self._children[spi_in]
        pair.usage = pair.usage + more
        for is_over in (False, True):
            if pair.reaches(is_over=is_over) and is_over not in pair.told:
                pair.told.add(is_over)
                self._events.put_nowait(PairSpent(spi_in, is_over))

    def spring(self, trigger: Trigger) -> None:
        """Tell of a packet as if it had come, if a trap is set for it."""
        for number, (local_ts, peer_ts) in self._traps.items():
            sides = (trigger.local, local_ts), (trigger.peer, peer_ts)
            if all(any(ts.covers(own) for ts in whole) for own, whole in sides):
                self._events.put_nowait(PacketWaits(number, trigger))
                return

    @override
    async def close(self) -> None:
        self._children.clear()
        await self.detach()

    @override
    async def detach(self) -> None:
        self._events.put_nowait(None)
        close(self._sockets)

# SPDX-License-Identifier: Apache-2.0
"""A data plane that moves no packets: for IKE alone, for tests and for load."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Final, Self

from typing_extensions import override

from ikeway.dataplane.advice import host_error
from ikeway.dataplane.port import DataPlane, PlaneConfig, PlaneEvent
from ikeway.model.address import Address, Endpoint
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa, Usage

# Linux's numbers; Python names them only since 3.12 and 3.14.
_IP_PKTINFO: Final = 8
_IPV6_RECVPKTINFO: Final = 49


class NullDataPlane(DataPlane):
    """Keeps the pairs it is given, and the IKE sockets."""

    def __init__(self, sockets: tuple[socket.socket, ...]) -> None:
        self._sockets = sockets
        self._children: dict[int, ChildSa] = {}
        self._is_over = asyncio.Event()

    @classmethod
    async def start(cls, config: PlaneConfig) -> Self:
        """Bind the IKE sockets.

        Raises:
            HostError: an address or port cannot be bound.
        """
        bound: list[socket.socket] = []
        for address in config.listen:
            try:
                bound.append(_bind(address, config.port))
            except OSError as error:
                _close(bound)
                what = f"UDP port {config.port} of {address}: {error.strerror}"
                raise host_error(what, error.errno, config) from error
        return cls(tuple(bound))

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
        self._children[child.spi_in] = child

    @override
    async def migrate(self, spi_in: int, local: Endpoint, peer: Endpoint) -> None:
        await self.usage(spi_in)
        self._children[spi_in] = replace(self._children[spi_in], local=local, peer=peer)

    @override
    async def remove(self, spi_in: int) -> Usage:
        usage = await self.usage(spi_in)
        del self._children[spi_in]
        return usage

    @override
    async def usage(self, spi_in: int) -> Usage:
        if spi_in not in self._children:
            raise HostError(f"no SA has the inbound SPI {spi_in:#010x}")
        return Usage()

    @override
    async def usages(self) -> Mapping[int, Usage]:
        return {spi_in: Usage() for spi_in in self._children}

    @override
    async def reset(self) -> None:
        self._children.clear()

    @override
    async def events(self) -> AsyncIterator[PlaneEvent]:
        nothing: tuple[PlaneEvent, ...] = ()
        await self._is_over.wait()
        for event in nothing:
            yield event

    @override
    async def close(self) -> None:
        self._children.clear()
        await self.detach()

    @override
    async def detach(self) -> None:
        self._is_over.set()
        _close(self._sockets)


def _bind(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET:
            made.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        else:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        made.bind((str(address), port))
    except OSError:
        made.close()
        raise
    return made


def _close(sockets: list[socket.socket] | tuple[socket.socket, ...]) -> None:
    for each in sockets:
        each.close()

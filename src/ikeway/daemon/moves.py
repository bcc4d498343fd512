# SPDX-License-Identifier: Apache-2.0
"""Moves of this host, for all workers: one process watches the kernel (RFC 4555 §3.5)."""

import asyncio
from collections.abc import Callable

from ikeway.model.address import Address
from ikeway.model.errors import HostError
from ikeway.runtime.network import HostNetwork

Tell = Callable[[tuple[Address, ...]], None]


class Moves:
    """Knows the addresses that the host has now, and tells of each change."""

    def __init__(self, network: HostNetwork | None, tell: Tell) -> None:
        self._network = network
        self._tell = tell
        self._is_told = asyncio.Event()
        self._now: tuple[Address, ...] = ()
        self._fault: str | None = None

    async def follow(self) -> str:
        """Follow them for as long as the kernel tells; return why it does not."""
        try:
            if self._network is not None:
                async for addresses in self._network.changes():
                    self._now = addresses
                    self._is_told.set()
                    self._tell(addresses)
            self._fault = "the kernel tells no more"
        except HostError as error:
            self._fault = str(error)
        self._is_told.set()
        return self._fault

    async def addresses(self) -> tuple[Address, ...]:
        """Return the addresses that the host has now.

        Raises:
            HostError: they are not known.
        """
        await self._is_told.wait()
        if self._fault is not None:
            raise HostError(self._fault)
        return self._now

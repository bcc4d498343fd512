# SPDX-License-Identifier: Apache-2.0
"""Tells the IKE SAs what becomes of the host's addresses (RFC 4555 §3.5)."""

import asyncio
from collections.abc import AsyncIterator

from ikeway.ike.io import AddressesChanged
from ikeway.model.address import Address
from ikeway.model.errors import HostError
from ikeway.runtime.driver import Driver
from ikeway.runtime.network import HostNetwork


class Roaming:
    """Follows the addresses that packets can come in on: those that are listened at."""

    def __init__(self, driver: Driver, listen: tuple[Address, ...]) -> None:
        self._driver = driver
        self._listen = listen
        self._task: asyncio.Task[None] | None = None

    async def begin(self, network: HostNetwork | None) -> None:
        """Learn the addresses, and go on hearing of them; without a network nothing is known."""
        if network is None:
            return
        changes = network.changes()
        try:
            self._tell(await anext(changes))
        except HostError as error:
            self._driver.warn(f"moves of this host are not noticed: {error}")
            return
        self._task = asyncio.get_running_loop().create_task(self._follow(changes))

    def end(self) -> None:
        """Hear of nothing any more."""
        if self._task is not None:
            self._task.cancel()

    async def _follow(self, changes: AsyncIterator[tuple[Address, ...]]) -> None:
        try:
            async for addresses in changes:
                self._tell(addresses)
        except HostError as error:
            self._driver.warn(f"moves of this host are not noticed any more: {error}")

    def _tell(self, addresses: tuple[Address, ...]) -> None:
        everywhere = {each.version for each in self._listen if each.is_unspecified}
        heard = tuple(
            address
            for address in addresses
            if address.version in everywhere or address in self._listen
        )
        self._driver.addresses_changed(AddressesChanged(heard))

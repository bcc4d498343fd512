# SPDX-License-Identifier: Apache-2.0
"""Does what Child SAs ask of the data plane and of the network, one thing after the other."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from ikeway.dataplane.port import DataPlane
from ikeway.ike.io import ActivateChild, InstallChild, MigrateChild, RemoveChild
from ikeway.ike.questions import Answer, Installed, Refused, Ticket
from ikeway.model.errors import HostError
from ikeway.model.time import Seconds
from ikeway.runtime.network import HostNetwork, TunnelPlan
from ikeway.runtime.standby import Standby

GRACE: Final[Seconds] = 1.0
"""How long a Child SA that was replaced still receives: packets and messages overtake others."""

Work = Callable[[], Awaitable[None]]


class Installer:
    """A queue of work, and what becomes of it. `leaving` hears of a Child SA before it goes."""

    def __init__(
        self,
        plane: DataPlane,
        network: HostNetwork | None,
        leaving: Callable[[int], Awaitable[None]],
        answered: Callable[[Ticket, Answer], None],
        warn: Callable[[str], None],
    ) -> None:
        self._plane = plane
        self._network = network
        self._leaving = leaving
        self._answered = answered
        self._warn = warn
        self._loop = asyncio.get_running_loop()
        self._fading: dict[int, asyncio.TimerHandle] = {}
        self._standby = Standby(self._loop, self._activate_later)
        self._held: set[int] = set()
        self._work: asyncio.Queue[Work] = asyncio.Queue()
        self._worker = self._loop.create_task(self._work_off())

    def put(self, work: Work) -> None:
        """Have something done after all that was asked for before."""
        self._work.put_nowait(work)

    def install(self, action: InstallChild) -> None:
        """Install a Child SA, and answer its ticket."""
        self.put(partial(self._install, action))

    def change(self, action: MigrateChild | ActivateChild | RemoveChild) -> None:
        """Change what the data plane has."""
        match action:
            case MigrateChild():
                self.put(partial(self._migrate, action))
            case ActivateChild(_, spi_in):
                self._activate_later(spi_in)
            case RemoveChild(_, spi_in, is_replaced):
                self._take_out(spi_in, is_replaced=is_replaced)

    async def drain(self) -> None:
        """Wait until all is done that was asked for."""
        await self._work.join()

    async def lost(self) -> set[int]:
        """Forget the Child SAs that the data plane has not, though it should; return them."""
        lost = self._held - set(await self._plane.usages())
        self._held -= lost
        for spi_in in lost:
            self._standby.forget(spi_in)
            await self._leaving(spi_in)
        return lost

    def hurry(self) -> None:
        """Wait for nothing any more: what was replaced goes now."""
        for spi_in in tuple(self._fading):
            self._faded(spi_in)
        self._standby.close()

    async def close(self) -> None:
        """Do what is left, and stop."""
        await self.drain()
        self._worker.cancel()

    # Within ---------------------------------------------------------------------------------------

    def _activate_later(self, spi_in: int) -> None:
        self.put(partial(self._activate, spi_in))

    def _take_out(self, spi_in: int, *, is_replaced: bool) -> None:
        """Remove a Child SA; one whose traffic another one carries may receive a moment longer.

        When the others go, it is not to come into use again.
        """
        if is_replaced:
            self._fading[spi_in] = self._loop.call_later(GRACE, self._faded, spi_in)
            return
        for other in tuple(self._fading):
            self._faded(other)
        self.put(partial(self._remove, spi_in))

    def _faded(self, spi_in: int) -> None:
        self._fading.pop(spi_in).cancel()
        self.put(partial(self._remove, spi_in))

    async def _work_off(self) -> None:
        while True:
            work = await self._work.get()
            try:
                await work()
            except HostError as error:
                self._warn(str(error))
            except Exception as error:  # noqa: BLE001 - I1: nothing ends the driver
                self._warn(f"{type(error).__name__}: {error}")
            finally:
                self._work.task_done()

    async def _install(self, action: InstallChild) -> None:
        try:
            await self._plane.install(action.child, standby=action.is_standby)
            self._held.add(action.child.spi_in)
            if action.is_standby and action.active_after < math.inf:
                self._standby.wait(action.child.spi_in, action.active_after)
            await self._route(action)
        except HostError as error:
            self._answered(action.ticket, Refused(str(error)))
        else:
            self._answered(action.ticket, Installed())

    async def _activate(self, spi_in: int) -> None:
        if spi_in in self._held:
            await self._plane.activate(spi_in)

    async def _route(self, action: InstallChild) -> None:
        """Send the traffic of a Child SA to the data plane; one that has no way is taken back."""
        network, interface = self._network, self._plane.interface
        if network is None or interface is None:
            return
        try:
            for remark in await network.add(_plan(action, interface)):
                self._warn(remark)
        except HostError:
            self._held.discard(action.child.spi_in)
            await self._plane.remove(action.child.spi_in)
            raise

    async def _migrate(self, action: MigrateChild) -> None:
        """Change where a Child SA's packets go; the host's own routes do not depend on that."""
        ends = action.local, action.peer
        try:
            await self._plane.migrate(action.spi_in, *ends, action.encapsulation)
        except HostError as error:
            self._warn(f"Child SA {action.spi_in:08x} does not follow to {action.peer}: {error}")

    async def _remove(self, spi_in: int) -> None:
        """Take out a Child SA; one that was refused is not there, and that is no news."""
        try:
            if self._network is not None:
                await self._network.remove(spi_in)
        finally:
            self._standby.forget(spi_in)
            if spi_in in self._held:
                self._held.discard(spi_in)
                await self._leaving(spi_in)
                await self._plane.remove(spi_in)


def _plan(action: InstallChild, interface: str) -> TunnelPlan:
    child = action.child
    return TunnelPlan(
        connection=action.connection,
        interface=interface,
        child_spi=child.spi_in,
        virtual_ips=action.virtual_ips,
        local_ts=child.local_ts,
        peer_ts=child.peer_ts,
        outer_local=child.local.address,
        outer_peer=child.peer.address,
        dns=action.dns,
    )

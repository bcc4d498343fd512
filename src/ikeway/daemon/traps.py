# SPDX-License-Identifier: Apache-2.0
"""Child SAs that start on demand: traps in the data plane, and what a packet there leads to.

RFC 7296 §2.9, RFC 4301 §4.4.1. Routes stand from the start, so that nothing leaves in clear.
"""

import asyncio
import math
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from ikeway.daemon.starter import Starter, find_peer
from ikeway.daemon.status import connection_of
from ikeway.dataplane.port import DataPlane, PacketWaits
from ikeway.ike.children import Wish
from ikeway.ike.io import AddChild, CloseChild
from ikeway.ike.states import Deleting, Established, Gone, Lingering, Replaced
from ikeway.model.errors import HostError, UsageError
from ikeway.model.time import Seconds
from ikeway.policy.connection import ChildPolicy, Connection, Start, resolve_selectors
from ikeway.runtime.driver import Driver
from ikeway.runtime.idle import Idleness
from ikeway.runtime.network import HostNetwork, TunnelPlan, source_for

_AGAIN: Final[Seconds] = 10.0
"""How long to wait before a trap is tried again that could not be set."""
_REST: Final[Seconds] = 60.0
"""How often it is looked for those that are idle where none can be for long."""
_LOOKS: Final = 4
"""How often in its patience a Child SA is looked at."""
TRAP_BITS: Final = 16
"""A trap's number is a worker's, times two to the power of these, and one of the worker's own."""
_GOING: Final = (Deleting, Gone, Lingering, Replaced)


@dataclass
class Traps:
    """Sets a trap for each Child SA on demand, and closes those that are idle.

    `mine` are the connections whose traps are this process's; the numbers begin behind `first`.
    """

    driver: Driver
    starter: Starter
    plane: DataPlane
    network: HostNetwork | None
    mine: frozenset[str]
    first: int = 0
    _by_number: dict[int, tuple[Connection, ChildPolicy]] = field(default_factory=dict)
    _last: int = 0
    _waiting: dict[tuple[str, str], Wish] = field(default_factory=dict)
    _starting: set[str] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def begin(self) -> None:
        """Set the traps of all connections that we may start."""
        self._add(self._wanted())
        self._soon(self._watch())

    def reload(self, mine: frozenset[str]) -> None:
        """Set the traps of connections that changed; those that did not stay."""
        self.mine = mine
        wanted = self._wanted()
        for number, trapped in tuple(self._by_number.items()):
            if trapped not in wanted:
                del self._by_number[number]
                self._soon(self._take_back(number))
        there = tuple(self._by_number.values())
        self._add([one for one in wanted if one not in there])

    def renew(self) -> None:
        """Set all traps in a data plane that has none."""
        for number in self._by_number:
            self._soon(self._keep_trying(number))

    def end(self) -> None:
        """Start and close nothing any more."""
        for task in self._tasks:
            task.cancel()

    def sprung(self, event: PacketWaits) -> None:
        """Make the Child SA that a packet waits for, and the IKE SA if there is none."""
        known = self._by_number.get(event.trap)
        if known is None:
            return
        connection, policy = known
        wish = Wish(policy.name, event.trigger)
        sas = [
            sa
            for sa in self.driver.endpoint.sas
            if connection_of(sa.state) == connection.name and not isinstance(sa.state, _GOING)
        ]
        ready = [sa for sa in sas if isinstance(sa.state, Established)]
        if ready:
            self.driver.command(ready[-1].spi, AddChild(wish))
        elif sas or connection.name in self._starting:
            self._waiting[connection.name, policy.name] = wish
        else:
            self._starting.add(connection.name)
            self._soon(self._start(connection.name, wish))

    def established(self, name: str, sa: bytes) -> None:
        """Ask for what packets have wanted meanwhile."""
        for key in [key for key in self._waiting if key[0] == name]:
            command = AddChild(self._waiting.pop(key))
            asyncio.get_running_loop().call_soon(self.driver.command, sa, command)

    def closed(self, name: str) -> None:
        """Forget what was wanted of an IKE SA that is gone; a packet that still wants says so."""
        for key in [key for key in self._waiting if key[0] == name]:
            del self._waiting[key]

    # Within --------------------------------------------------------------------------------------

    def _wanted(self) -> "list[tuple[Connection, ChildPolicy]]":
        return [
            (connection, policy)
            for connection in self.starter.connections.values()
            if connection.may_initiate and connection.name in self.mine
            for policy in connection.child_policies
            if policy.start is Start.DEMAND
        ]

    def _add(self, wanted: "list[tuple[Connection, ChildPolicy]]") -> None:
        for trapped in wanted:
            self._last += 1
            number = self.first + self._last
            self._by_number[number] = trapped
            self._soon(self._keep_trying(number))

    async def _take_back(self, number: int) -> None:
        """Take a trap away, and the routes to it; the packet filter is another one's business."""
        try:
            await self.plane.untrap(number)
            if self.network is not None:
                await self.network.remove(-number)
        except HostError as error:
            self.driver.warn(f"a trap that nobody wants any more stays: {error}")

    async def _start(self, name: str, wish: Wish) -> None:
        try:
            await self.starter.initiate(name, wish)
        except (HostError, UsageError) as error:
            self.driver.warn(f"connection {name}: {error}")
        finally:
            self._starting.discard(name)

    async def _keep_trying(self, number: int) -> None:
        while number in self._by_number:
            name = self._by_number[number][1].name
            try:
                await self._set(number)
            except HostError as error:
                self.driver.warn(f"no trap for {name} yet, and so no traffic: {error}")
            else:
                break
            await asyncio.sleep(_AGAIN)
        if number not in self._by_number:  # it was taken back while it was being set
            await self._take_back(number)

    async def _set(self, number: int) -> None:
        """Have the data plane keep packets of this Child SA, and the host send them there."""
        connection, policy = self._by_number[number]
        peer = await find_peer(connection)
        local = connection.local_address or source_for(peer)
        local_ts = resolve_selectors(policy.local_ts, (local,))
        peer_ts = resolve_selectors(policy.peer_ts, (peer,))
        await self.plane.trap(number, local_ts, peer_ts)
        if self.network is None or self.plane.interface is None:
            return
        # SPIs are positive: a trap has a place of its own beside them.
        plan = TunnelPlan(
            connection.name, self.plane.interface, -number, (), local_ts, peer_ts, local, peer
        )
        for remark in await self.network.add(plan):
            self.driver.warn(remark)

    async def _watch(self) -> None:
        """Close what is idle, and with the last Child SA its IKE SA."""
        idleness = Idleness()
        while True:
            shortest = min((policy.idle for _, policy in self._by_number.values()), default=_REST)
            await asyncio.sleep(min(shortest / _LOOKS, _REST))
            patience = self._patience()
            if not patience:
                continue
            now = asyncio.get_running_loop().time()
            with suppress(HostError):  # between one data plane and the next
                for spi in idleness.idle(await self.plane.usages(), patience, now):
                    self._close(spi)

    def _patience(self) -> dict[int, Seconds]:
        trapped = {(c.name, policy.name): policy.idle for c, policy in self._by_number.values()}
        return {
            child.sa.spi_in: trapped[state.connection.name, child.name]
            for sa in self.driver.endpoint.sas
            if isinstance(state := sa.state, Established)
            for child in state.children
            if child.is_installed
            and not child.is_deleting
            and trapped.get((state.connection.name, child.name), math.inf) != math.inf
        }

    def _close(self, spi: int) -> None:
        for sa in self.driver.endpoint.sas:
            state = sa.state
            children = state.children if isinstance(state, Established) else ()
            if any(child.sa.spi_in == spi for child in children):
                self.driver.command(sa.spi, CloseChild(spi, with_last=True))
                return

    def _soon(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

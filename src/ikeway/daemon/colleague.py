# SPDX-License-Identifier: Apache-2.0
"""A worker as the supervisor sees it: what it has of what is everybody's."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ikeway.daemon.channel import Channel
from ikeway.daemon.draining import Orders
from ikeway.daemon.ticket_keys import TicketKeys
from ikeway.dataplane.port import DataPlane
from ikeway.ike.io import RevokeTicket
from ikeway.ike.questions import Lease
from ikeway.model.address import Address
from ikeway.model.errors import HostError, IkewayError, UsageError
from ikeway.model.esp import ChildSa, Usage
from ikeway.model.identity import Identity
from ikeway.runtime.leases import Leases
from ikeway.runtime.network import HostNetwork, TunnelPlan


@dataclass(frozen=True, slots=True)
class Resources:
    """What there is one of, and all workers use."""

    plane: DataPlane
    network: HostNetwork | None
    leases: Leases
    tickets: TicketKeys
    drains: Orders


class Crewmates(Protocol):
    """What a worker can ask of the others, by way of the supervisor."""

    async def addresses(self) -> tuple[Address, ...]:
        """Return the addresses of this host."""
        ...

    async def is_up(self, asking: "Colleague", connection: str) -> bool:
        """Whether another worker has an IKE SA with a peer that the connection is for."""
        ...

    def contacted(self, telling: "Colleague", local: Identity, peer: Identity) -> None:
        """Tell the other workers that a peer said INITIAL_CONTACT."""
        ...


class Colleague:
    """One worker: its channel, the Child SAs that it installed, the IKE SAs that have a lease.

    It may touch nothing else: a worker that strangers took over harms its own peers only.
    """

    def __init__(
        self,
        sock: socket.socket,
        resources: Resources,
        event: Callable[[str], None],
        revoked: Callable[[RevokeTicket], None],
        mates: Crewmates,
    ) -> None:
        self.channel = Channel(self, sock)
        self.spis: set[int] = set()
        self._routed: set[int] = set()
        self._leasing: set[bytes] = set()
        self._resources = resources
        self._event = event
        self._revoked = revoked
        self._mates = mates

    def watch_soon(self) -> None:
        """Have the worker tell what happens, as soon as it can hear."""
        asyncio.get_running_loop().call_later(0.1, self.channel.tell, "watch", True)

    async def brief(self) -> None:
        """Tell the worker what the others know: of tickets, and of where clients are to go."""
        await self.channel.opened()
        tickets = self._resources.tickets
        for secret in tickets.secrets:
            self.channel.tell("seal", secret)
        for spi, issued in tickets.revoked:
            self.channel.tell("revoked", RevokeTicket(spi, issued))
        for order in self._resources.drains:
            await self.channel.ask("drain", order.model_dump_json())

    async def answer(self, question: str, *values: Any) -> Any:
        """Do for the worker what only the supervisor can.

        Raises:
            UsageError: there is no such question.
            HostError: the data plane or the kernel refuses, or it is not the worker's.
        """
        match question:
            case "install":
                return await self._install(*values)
            case "remove" | "usage" | "activate" | "migrate" | "trap" | "untrap":
                return await self._on_plane(question, *values)
            case "usages" | "paths":
                return await (self._usages() if question == "usages" else self._paths())
            case "route" | "unroute":
                change = self._route if question == "route" else self._unroute
                return await change(*values)
            case "lend":
                return await self._lend(*values)
            case _:
                return await self._of_others(question, *values)

    async def _of_others(self, question: str, *values: Any) -> Any:
        match question:
            case "addresses":
                return await self._mates.addresses()
            case "is_up":
                return await self._mates.is_up(self, *values)
            case _:
                raise UsageError(f"the supervisor is not asked {question!r}")

    def hear(self, news: str, *values: Any) -> None:
        """Take what the worker tells."""
        match news:
            case "event":
                self._event(*values)
            case "revoked":
                self._ticket_revoked(*values)
            case "release":
                self._release(*values)
            case "pass_on":
                self._pass_on(*values)
            case "contacted":
                self._mates.contacted(self, *values)
            case _:
                raise UsageError(f"the supervisor is not told {news!r}")

    def plane_renewed(self) -> None:
        """Note that nothing is left of what the worker has installed."""
        self.spis.clear()
        self._routed.clear()

    async def clean_up(self) -> list[str]:
        """Take back everything that the worker had; return what went wrong."""
        problems = []
        for sa in tuple(self._leasing):
            self._release(sa)
        for spi_in in tuple(self.spis | self._routed):
            try:
                await self._unroute(spi_in)
                if spi_in in self.spis:
                    await self._with_pair("remove", spi_in)
            except IkewayError as error:
                problems.append(f"Child SA {spi_in:08x} of a worker that is gone: {error}")
        return problems

    # The data plane ---------------------------------------------------------------------------

    async def _install(self, child: ChildSa, standby: bool) -> None:
        await self._resources.plane.install(child, standby=standby)
        self.spis.add(child.spi_in)

    async def _on_plane(self, what: str, *values: Any) -> Any:
        match what:
            case "trap":
                return await self._resources.plane.trap(*values)
            case "untrap":
                return await self._resources.plane.untrap(*values)
            case _:
                return await self._with_pair(what, *values)

    async def _with_pair(self, what: str, spi_in: int, *where: Any) -> Usage | None:
        self._check(spi_in)
        plane = self._resources.plane
        if what in {"activate", "migrate"}:
            change = plane.activate if what == "activate" else plane.migrate
            await change(spi_in, *where)
            return None
        if what == "usage":
            return await plane.usage(spi_in)
        self.spis.discard(spi_in)
        return await plane.remove(spi_in)

    async def _usages(self) -> dict[int, Usage]:
        usages = await self._resources.plane.usages()
        return {spi: usages[spi] for spi in self.spis if spi in usages}

    async def _paths(self) -> dict[Address, int]:
        """Return all of them: they say nothing but what the network is like."""
        return dict(await self._resources.plane.paths())

    def _check(self, spi_in: int) -> None:
        if spi_in not in self.spis:
            raise HostError(f"no SA of this worker has the inbound SPI {spi_in:#010x}")

    # The host's network -----------------------------------------------------------------------

    async def _route(self, plan: TunnelPlan) -> tuple[str, ...]:
        if plan.child_spi >= 0:  # else it is a trap's
            self._check(plan.child_spi)
        if self._resources.network is None:
            return ()
        remarks = await self._resources.network.add(plan)
        self._routed.add(plan.child_spi)
        return remarks

    async def _unroute(self, spi_in: int) -> None:
        if self._resources.network is not None and spi_in in self._routed:
            self._routed.discard(spi_in)
            await self._resources.network.remove(spi_in)

    # Tickets ----------------------------------------------------------------------------------

    def _ticket_revoked(self, event: RevokeTicket) -> None:
        match event:
            case RevokeTicket(bytes(), float()):
                self._revoked(event)
            case _:
                raise UsageError("a ticket is told by an SPI and a time")

    # Pools ------------------------------------------------------------------------------------

    async def _lend(self, sa: bytes, question: Lease) -> Any:
        self._leasing.add(sa)
        return await self._resources.leases.lend(sa, question)

    def _release(self, sa: bytes) -> None:
        if sa in self._leasing:
            self._leasing.discard(sa)
            self._resources.leases.release(sa)

    def _pass_on(self, sa: bytes, successor: bytes) -> None:
        if sa in self._leasing:
            self._leasing.discard(sa)
            self._leasing.add(successor)
            self._resources.leases.pass_on(sa, successor)

# SPDX-License-Identifier: Apache-2.0
"""The supervisor of several workers: sockets, engine and control API for all of them."""

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog
import uvloop

from ikeway.auth.radius.orders import Order
from ikeway.config.load import Loaded
from ikeway.control.rundir import RunDir
from ikeway.control.schema import Drain, Drained, EventLine, Reloaded, Status
from ikeway.daemon import foundation, reloading
from ikeway.daemon.colleague import Colleague, Resources
from ikeway.daemon.departures import Leaving
from ikeway.daemon.draining import Orders
from ikeway.daemon.guarding import policy_status
from ikeway.daemon.instruments import Instruments
from ikeway.daemon.moves import Moves
from ikeway.daemon.nursery import Nursery
from ikeway.daemon.plane_events import reopen
from ikeway.daemon.share import keeper
from ikeway.daemon.starter import named
from ikeway.daemon.supervisor import FAREWELL
from ikeway.daemon.ticket_keys import TicketKeys
from ikeway.daemon.traps import TRAP_BITS
from ikeway.daemon.watchers import Watchers
from ikeway.daemon.worker import Job
from ikeway.dataplane.port import (
    BreakerTurned,
    DataPlane,
    IkeDatagram,
    PacketEvent,
    PacketsRefused,
    PacketWaits,
    PairSpent,
    PathNarrowed,
    PeerMoved,
    PlaneLost,
    PlaneRenewed,
    StreamResized,
)
from ikeway.ike.io import RevokeTicket
from ikeway.model.address import IKE_PORT, Address
from ikeway.model.errors import HostError, UsageError
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.model.time import Seconds
from ikeway.runtime import steering
from ikeway.runtime.leases import Leases
from ikeway.runtime.network import HostNetwork
from ikeway.runtime.sockets import bind
from ikeway.wire.message import NON_ESP_MARKER

AGAIN: Final[tuple[Seconds, ...]] = (0.0, 1.0, 5.0, 15.0)
"""How long to wait before a worker that ended is started again; the last goes on for ever."""
LONG_LIVED: Final[Seconds] = 60.0


def run(
    loaded: Loaded,
    run_dir: RunDir,
    network: HostNetwork | None,
    instruments: Instruments,
) -> None:
    """Be the daemon of `run_dir`, with workers, until SIGTERM, SIGINT or a `shutdown` request.

    Raises:
        UsageError: another daemon has the run directory.
        HostError: a port, the engine or the network is not to be had.
    """
    with run_dir.claim():
        secrets = foundation.crash_secrets(loaded, run_dir)
        nursery = Nursery(Job(loaded, instruments, network is not None, secrets))

        def make(plane: DataPlane) -> Crew:
            return Crew(loaded, plane, network, nursery)

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(foundation.serve(loaded, run_dir, network, make))
        finally:
            nursery.close()


class Crew:
    """All workers, by their numbers."""

    def __init__(
        self, loaded: Loaded, plane: DataPlane, network: HostNetwork | None, nursery: Nursery
    ) -> None:
        self._log = structlog.get_logger("ikeway").bind()
        self._loaded = loaded
        self._reloading = asyncio.Lock()
        tickets = TicketKeys(self._seal_tickets)
        self._resources = Resources(plane, network, Leases(loaded.pools), tickets, Orders())
        self._nursery = nursery
        self._watchers = Watchers()
        self._ending = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._workers: dict[int, Colleague] = {}
        self._sockets: list[socket.socket] = []
        self._moves = Moves(network, self._moved)

    @property
    def _size(self) -> int:
        return self._loaded.host.workers

    @property
    def _plane(self) -> DataPlane:
        return self._resources.plane

    def begin(self) -> None:
        """Bind the sockets of all workers, steer their datagrams, and start them.

        The sockets stay open here: a worker that is started again finds what came meanwhile.

        Raises:
            HostError: a port cannot be had, or the kernel does not steer.
        """
        for address in self._loaded.host.listen:
            group = bind(address, IKE_PORT, self._size)
            self._sockets += group
            steering.attach(group[0], self._size, is_shared=False)
        for sock in self._plane.ike_sockets()[:: steering.QUEUES * self._size]:
            steering.attach(sock, self._size, is_shared=True, esp_sockets=self._plane.esp_sockets)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep(number)) for number in range(self._size)]
        self._resources.tickets.begin()
        facts = foundation.ready(self._loaded, self._plane)
        self._log.info("ready", **facts, workers=self._size)

    async def serve(self) -> None:
        """Work until told to end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.shutdown)
        events = loop.create_task(self._plane_events())
        moves = loop.create_task(self._follow())
        with reloading.on_hangup(self.reload, self._log.warning):
            await self._ending.wait()
        for worker in self._workers.values():
            worker.channel.tell("end")
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL + 1.0):
                await asyncio.gather(*self._tasks, return_exceptions=True)
        events.cancel()
        moves.cancel()

    async def close(self) -> None:
        """Leave the workers, which end by themselves, and close the sockets."""
        self._resources.tickets.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sock in self._sockets:
            sock.close()

    # Workers ----------------------------------------------------------------------------------

    async def _keep(self, number: int) -> None:
        """Have a worker of that number for as long as the daemon lives."""
        short_lived = 0
        while not self._ending.is_set():
            await asyncio.sleep(AGAIN[min(short_lived, len(AGAIN) - 1)])
            began = time.monotonic()
            await self._employ(number)
            if self._ending.is_set():
                return
            short_lived = 0 if time.monotonic() - began > LONG_LIVED else short_lived + 1
            text = f"worker {number} ended unexpectedly: its IKE SAs are lost, another one begins"
            self._log.error(text)
            self._watchers.tell(
                EventLine(at=time.time(), level="error", event="WorkerEnded", text=text)
            )

    async def _employ(self, number: int) -> None:
        """Start a worker and wait until it is gone; nothing of it is left then."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._nursery.bear(number, [theirs, *self._ports_of(number)])
        revoked = partial(self._ticket_revoked, number)
        worker = Colleague(ours, self._resources, self._event, revoked, self)
        self._workers[number] = worker
        briefing = asyncio.get_running_loop().create_task(worker.brief())
        try:
            if self._watchers:
                worker.watch_soon()
            await worker.channel.run()
        finally:
            briefing.cancel()
            self._workers.pop(number, None)
            ours.close()
            for problem in await worker.clean_up():
                self._log.warning(problem)

    def _ports_of(self, number: int) -> list[socket.socket]:
        """Return a worker's sockets: both queues of each address on port 500, then on port 4500."""
        return [
            *self._sockets[number :: self._size],
            *self._plane.ike_sockets()[number :: self._size],
        ]

    def _event(self, line: str) -> None:
        if self._watchers:
            self._watchers.tell(EventLine.model_validate_json(line))
            return
        for worker in self._workers.values():
            worker.channel.tell("watch", False)

    # Tickets ----------------------------------------------------------------------------------

    def _seal_tickets(self, secret: Secret) -> None:
        for worker in self._workers.values():
            worker.channel.tell("seal", secret)

    def _ticket_revoked(self, number: int, event: RevokeTicket) -> None:
        """Tell the other workers that a ticket is void: it may be shown to any of them."""
        now = asyncio.get_running_loop().time()
        self._resources.tickets.revoked.add(event.spi, event.issued, now)
        for other, worker in self._workers.items():
            if other != number:
                worker.channel.tell("revoked", event)

    # What workers ask of one another ----------------------------------------------------------

    async def addresses(self) -> tuple[Address, ...]:
        """Return the addresses of this host.

        Raises:
            HostError: they are not known.
        """
        return await self._moves.addresses()

    async def is_up(self, asking: Colleague, connection: str) -> bool:
        """Whether another worker has an IKE SA with a peer that the connection is for."""
        return any(await self._ask_all("is_up", connection, but=asking))

    def contacted(self, telling: Colleague, local: Identity, peer: Identity) -> None:
        """Tell the other workers that a peer said INITIAL_CONTACT."""
        for worker in self._workers.values():
            if worker is not telling:
                worker.channel.tell("contacted", local, peer)

    async def _follow(self) -> None:
        why = await self._moves.follow()
        if self._resources.network is not None:
            self._log.warning(f"moves of this host are not noticed any more: {why}")

    def _moved(self, addresses: tuple[Address, ...]) -> None:
        for worker in self._workers.values():
            worker.channel.tell("moved", addresses)

    # The control protocol ---------------------------------------------------------------------

    async def status(self) -> Status:
        """Return every IKE SA of every worker."""
        found = [Status.model_validate_json(one) for one in await self._ask_all("status")]
        return Status(
            ike_sas=[sa for status in found for sa in status.ike_sas],
            retries=[retry for status in found for retry in status.retries],
            draining=next((status.draining for status in found), []),
            policies=await policy_status(self._loaded, self._resources.network),
        )

    async def disconnect(self, target: str) -> list[str]:
        """Delete the IKE SAs of a connection, or the one with that id.

        Raises:
            UsageError: there is none.
        """
        known = [one for one in await self._ask_all("disconnect", target) if one is not None]
        if not known:
            raise UsageError(f"no IKE SA is called {target!r}; `ikeway status` shows them")
        return [spi for found in known for spi in found]

    async def obey(self, order: Order) -> int:
        """Have an order of a RADIUS server carried out by whoever has the sessions."""
        return sum(await self._ask_all("obey", order))

    async def depart(self, leaving: list[Leaving]) -> list[str]:
        """Delete the IKE SAs of users, in all workers; return their ids."""
        return [spi for found in await self._ask_all("depart", leaving) for spi in found]

    async def initiate(self, name: str) -> str:
        """Have the worker that keeps a connection up start it, or one Child SA of it.

        Returns the id of the IKE SA.

        Raises:
            UsageError: there is none of that name, or it cannot be started from here.
            HostError: the peer cannot be found, or the worker is just being started.
        """
        connection, _ = named(name, self._loaded.connections)
        worker = self._workers.get(keeper(connection, self._size))
        if worker is None:
            raise HostError("the worker of that connection is just being started")
        spi: str = await worker.channel.ask("initiate", name)
        return spi

    async def drain(self, order: Drain) -> Drained:
        """Have all workers send their clients to another gateway, or stop to.

        Raises:
            UsageError: there is no such connection, or nowhere to go.
        """
        answers = await self._ask_all("drain", order.model_dump_json())
        self._resources.drains.note(order)
        found = map(Drained.model_validate_json, answers)
        return Drained(ike_sas=[sa for drained in found for sa in drained.ike_sas])

    async def reload(self) -> Reloaded:
        """Heed what changed in the configuration, in all workers and those to come.

        Raises:
            ConfigError: it is wrong, or takes a restart; nothing has changed.
            HostError: the host refuses its policies.
        """
        async with self._reloading:
            self._loaded, found = await reloading.enforce(
                self._loaded, self._resources.network, self._plane, self._log.warning
            )
            self._nursery.reload()
            await self._ask_all("reload")
        self._log.info("reloaded", **found.facts())
        return found.told()

    def watch(self) -> AsyncIterator[EventLine]:
        """Return what happens from now on, in all workers."""
        lines = self._watchers.watch()
        for worker in self._workers.values():
            worker.channel.tell("watch", True)
        return lines

    def shutdown(self) -> None:
        """End the daemon in an orderly way."""
        self._ending.set()

    async def _ask_all(
        self, question: str, *values: Any, but: Colleague | None = None
    ) -> list[Any]:
        """Return the answers of all workers; one that ends meanwhile has no IKE SAs any more."""
        others = [worker for worker in self._workers.values() if worker is not but]
        asked = [worker.channel.ask(question, *values) for worker in others]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, HostError):
                raise answer
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    # What the data plane tells ----------------------------------------------------------------

    async def _plane_events(self) -> None:
        async for event in self._plane.events():
            if isinstance(event, PlaneRenewed):
                await self._plane_renewed(event)
                continue
            worker = self._workers.get(self._addressee(event))
            if worker is not None:
                worker.channel.tell("happened", event)

    async def _plane_renewed(self, event: PlaneRenewed) -> None:
        """Have the host and all workers do with a data plane that knows nothing."""
        await reopen(self._resources.network, self._log.warning)
        for worker in self._workers.values():
            worker.plane_renewed()
            worker.channel.tell("happened", event)

    def _addressee(self, event: PacketEvent) -> int:
        """Return the number of the worker whose event it is; that of nobody is the first one's."""
        match event:
            case IkeDatagram(_, peer, octets):
                message = octets.removeprefix(NON_ESP_MARKER)
                return steering.owner(message, peer.address, self._size)
            case PacketWaits(trap):
                return trap >> TRAP_BITS
            case PathNarrowed() | PlaneLost():
                return 0
            case (
                PairSpent(spi)
                | PeerMoved(spi)
                | StreamResized(spi)
                | BreakerTurned(spi)
                | PacketsRefused(_, spi)
            ):
                owners = (n for n, worker in self._workers.items() if spi in worker.spis)
                return next(owners, 0)

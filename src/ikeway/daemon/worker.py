# SPDX-License-Identifier: Apache-2.0
"""One of several processes that share the work: whole IKE SAs, and nothing that others need."""

import asyncio
import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import structlog
import uvloop

from ikeway.config.load import Loaded, load
from ikeway.control.schema import Drain
from ikeway.daemon.channel import Channel
from ikeway.daemon.distant import DistantLeases, DistantNetwork, DistantOthers, DistantPlane
from ikeway.daemon.foundation import spare_the_collector
from ikeway.daemon.instruments import Instruments
from ikeway.daemon.share import Share
from ikeway.daemon.supervisor import Supervisor
from ikeway.dataplane.null import NullDataPlane
from ikeway.dataplane.port import DataPlane, PlaneEvent
from ikeway.ike.io import RevokeTicket
from ikeway.model.address import Address
from ikeway.model.errors import ConfigError, UsageError
from ikeway.model.secret import Secret
from ikeway.runtime import steering


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker begins with, whatever its number; `routes` is whether the host has any."""

    loaded: Loaded
    instruments: Instruments
    routes: bool
    crash_secrets: tuple[Secret, ...] = ()

    def __call__(self, number: int, sockets: list[socket.socket]) -> None:
        """Be the worker of that number until the supervisor is gone or says so.

        The sockets are the channel, then those for each address on port 500, then on 4500.
        """
        for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_work(self, number, sockets))

    def reloaded(self) -> "Job":
        """Return the job by the configuration as it is now, which the supervisor has just read."""
        try:
            return replace(self, loaded=load(self.loaded.file))
        except ConfigError as error:
            structlog.get_logger("ikeway").error(f"workers to come know what was before: {error}")
            return self


async def _work(job: Job, number: int, sockets: list[socket.socket]) -> None:
    await Worker(job, number, sockets).run()


class Worker:
    """The worker's end of the channel, and what does the work."""

    def __init__(self, job: Job, number: int, sockets: list[socket.socket]) -> None:
        channel, *others = sockets
        loaded = job.loaded
        self._channel = Channel(self, channel)
        self._plane = self._open_plane(loaded)
        on_500 = steering.QUEUES * len(loaded.host.listen)
        self._ports = others[:on_500], others[on_500:]
        self._network = DistantNetwork(self._channel) if job.routes else None
        share = Share(
            number,
            loaded.host.workers,
            DistantLeases(self._channel),
            job.crash_secrets,
            self._revoked,
            DistantOthers(self._channel),
        )
        self._supervisor = Supervisor(loaded, self._plane, self._network, job.instruments, share)
        self._watching: asyncio.Task[None] | None = None

    def _open_plane(self, loaded: Loaded) -> DataPlane:
        if loaded.dataplane.backend == "null":
            return NullDataPlane(())
        return DistantPlane(self._channel, loaded.dataplane.interface)

    async def run(self) -> None:
        """Work until told to end. Without a supervisor nobody has a use for us."""
        self._supervisor.join(*self._ports)
        spare_the_collector()
        loop = asyncio.get_running_loop()
        channel = loop.create_task(self._channel.run())
        await self._channel.opened()
        work = loop.create_task(self._supervisor.work())
        await asyncio.wait({channel, work}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            os._exit(0)
        await work
        await self._supervisor.close()
        self._channel.close()

    async def answer(self, question: str, *values: Any) -> Any:
        """Answer the supervisor.

        Raises:
            UsageError: there is no such question, or what it asks for is not there.
        """
        match question:
            case "status":
                return (await self._supervisor.status()).model_dump_json()
            case "initiate":
                return await self._supervisor.initiate(*values)
            case "is_up":
                return self._supervisor.is_up(*values)
            case "reload":
                await self._supervisor.reload()
                return None
            case _:
                return await self._end(question, *values)

    async def _end(self, question: str, *values: Any) -> Any:
        """Let IKE SAs go, whoever wants that."""
        match question:
            case "disconnect":
                with suppress(UsageError):
                    return await self._supervisor.disconnect(*values)
                return None
            case "drain":
                order = Drain.model_validate_json(*values)
                return (await self._supervisor.drain(order)).model_dump_json()
            case "obey":
                return await self._supervisor.obey(*values)
            case "depart":
                return await self._supervisor.depart(*values)
            case _:
                raise UsageError(f"a worker is not asked {question!r}")

    def hear(self, news: str, *values: Any) -> None:
        """Take what the supervisor tells."""
        match news:
            case "happened":
                self._happened(*values)
            case "watch":
                self._watch(*values)
            case "seal":
                self._supervisor.seal_tickets(*values)
            case "revoked":
                self._supervisor.ticket_revoked(*values)
            case "moved":
                self._moved(*values)
            case "contacted":
                self._supervisor.contacted(*values)
            case "end":
                self._supervisor.shutdown()
            case _:
                raise UsageError(f"a worker is not told {news!r}")

    def _revoked(self, event: RevokeTicket) -> None:
        self._channel.tell("revoked", event)

    def _happened(self, event: PlaneEvent) -> None:
        if isinstance(self._plane, DistantPlane):
            self._plane.happened(event)

    def _moved(self, addresses: tuple[Address, ...]) -> None:
        if self._network is not None:
            self._network.moved(addresses)

    def _watch(self, is_wanted: bool) -> None:
        if is_wanted and self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._pass_on())
        elif not is_wanted and self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _pass_on(self) -> None:
        async for line in self._supervisor.watch():
            self._channel.tell("event", line.model_dump_json())

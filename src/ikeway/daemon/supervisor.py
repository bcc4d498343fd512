# SPDX-License-Identifier: Apache-2.0
"""The daemon of one run directory: sockets, engine, endpoint and control server."""

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog
import uvloop

from ikeway.auth.radius.orders import Order
from ikeway.config.load import Loaded
from ikeway.control.rundir import RunDir
from ikeway.control.schema import Drain, Drained, EventLine, Reloaded, Status
from ikeway.daemon import foundation, reloading
from ikeway.daemon.departures import Leaving, depart
from ikeway.daemon.disconnecting import disconnect
from ikeway.daemon.draining import Draining
from ikeway.daemon.eap import open_desk
from ikeway.daemon.guarding import policy_status
from ikeway.daemon.instruments import Instruments
from ikeway.daemon.plane_events import PlaneEvents
from ikeway.daemon.radius import RadiusOffice
from ikeway.daemon.roaming import Roaming
from ikeway.daemon.share import Share
from ikeway.daemon.starter import Starter, named
from ikeway.daemon.status import (
    Clocks,
    Measured,
    connection_of,
    ike_status,
    retry_status,
)
from ikeway.daemon.teller import Teller
from ikeway.daemon.ticket_keys import TicketKeys
from ikeway.daemon.traps import TRAP_BITS, Traps
from ikeway.dataplane.port import (
    DataPlane,
)
from ikeway.ike.children import Wish
from ikeway.ike.endpoint import Endpoint as IkeEndpoint
from ikeway.ike.environment import Environment
from ikeway.ike.io import (
    AddChild,
    CheckLiveness,
    Disconnect,
    FollowRedirect,
    Report,
    RevokeTicket,
)
from ikeway.ike.reports import (
    ChildEstablished,
    Closed,
    Established,
    Event,
    Reauthenticating,
    Rekeyed,
    Warned,
)
from ikeway.ike.states import Established as Up
from ikeway.model.address import IKE_PORT, NAT_PORT
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.connection import Connection, Start
from ikeway.runtime import steering
from ikeway.runtime.driver import Driver, Ports
from ikeway.runtime.entropy import SystemRandom
from ikeway.runtime.faults import Faults
from ikeway.runtime.leases import Leases
from ikeway.runtime.network import HostNetwork
from ikeway.runtime.pki import Pki
from ikeway.runtime.tokens import Token

OF_LIFE: Final = frozenset({Established, Rekeyed, Reauthenticating, Closed, ChildEstablished})
"""The reports that change what we know of our SAs."""
FAREWELL = 2.0
"""Seconds for peers to answer our Deletes before we leave."""


def run(
    loaded: Loaded,
    run_dir: RunDir,
    network: HostNetwork | None,
    instruments: Instruments,
) -> None:
    """Be the daemon of `run_dir` until SIGTERM, SIGINT or a `shutdown` request.

    Raises:
        UsageError: another daemon has the run directory.
        HostError: a port, the engine or the network is not to be had.
    """

    def make(plane: DataPlane) -> Supervisor:
        share = Share(crash_secrets=foundation.crash_secrets(loaded, run_dir))
        return Supervisor(loaded, plane, network, instruments, share)

    with run_dir.claim(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(foundation.serve(loaded, run_dir, network, make))


class Supervisor:
    """Owns the parts of a running daemon and answers the control protocol."""

    def __init__(
        self,
        loaded: Loaded,
        plane: DataPlane,
        network: HostNetwork | None,
        instruments: Instruments,
        share: Share,
    ) -> None:
        self._loaded = loaded
        self._reloading = asyncio.Lock()
        env = Environment(
            SystemRandom(),
            loaded.connections,
            loaded.credentials,
            worker=share.worker,
            limits=loaded.limits,
            crash_secrets=share.crash_secrets,
        )
        tokens = {
            own.key: Token.open(loaded.tokens[own.key], own.leaf)
            for own in loaded.credentials.certificates
            if own.key in loaded.tokens
        }
        pki = Pki(loaded.private_keys, loaded.credentials.authorities, tokens=tokens)
        facts = {"worker": share.worker} if share.workers > 1 else {}
        self._log = structlog.get_logger("ikeway").bind(**facts)
        self._teller = Teller(self._log)
        self._plane = plane
        self._since: dict[bytes, float] = {}
        self._ending = asyncio.Event()
        leases, key_log = share.leases or Leases(loaded.pools), instruments.key_log
        faults = Faults(instruments.faults, self._struck) if instruments.faults else None
        talks, sources = open_desk(loaded, pki, self._warn_of), loaded.sources
        self._radius = self._radius_office(plane)
        ports = Ports(
            plane,
            pki,
            talks,
            leases,
            network,
            self._heard,
            key_log,
            faults,
            sources,
            share.revoked,
            follow=self._follow,
        )
        if self._radius is not None:
            ports = replace(ports, relay=self._radius.relay, leaving=self._radius.leaving)
        self._driver = Driver(IkeEndpoint(env), ports)
        self._share, self._others = share, share.others
        self._starter = Starter(self._driver, self._to_start(loaded), share.others)
        self._network, self._roaming = network, Roaming(self._driver, loaded.host.listen)
        self._traps = Traps(
            self._driver,
            self._starter,
            plane,
            network,
            self._mine(loaded),
            share.worker << TRAP_BITS,
        )
        self._draining = Draining(self._driver, loaded.connections, loaded.host.listen)
        self._plane_events = PlaneEvents(
            plane, network, self._driver, self._traps, loaded.host.listen, self._log
        )
        self._ticket_keys = TicketKeys(self.seal_tickets)
        self._is_first = share.worker == 0
        if self._is_first:
            for warning, told in instruments.warnings():
                self._log.warning(warning, **told)

    def _radius_office(self, plane: DataPlane) -> RadiusOffice | None:
        if self._loaded.radius is None:
            return None
        return RadiusOffice(self._loaded, self._loaded.radius, plane, self._end, self._log.warning)

    def _end(self, spi: bytes, reason: str) -> None:
        self._driver.command(spi, Disconnect(reason))

    def _warn_of(self, reason: str) -> None:
        self._heard(Report(b"", Warned(reason)))

    def _struck(self, what: str) -> None:
        self._log.warning(what)

    def begin(self) -> None:
        """Open port 500, and take port 4500 from the data plane.

        Raises:
            HostError: a port cannot be had.
        """
        self._driver.transport.listen(self._loaded.host.listen, IKE_PORT)
        of_nat_port = self._plane.ike_sockets()
        for sock in of_nat_port[:: steering.QUEUES]:
            steering.attach(sock, 1, is_shared=True, esp_sockets=self._plane.esp_sockets)
        self._driver.transport.adopt(of_nat_port, NAT_PORT)
        self._ticket_keys.begin()
        self._log.info("ready", **foundation.ready(self._loaded, self._plane))

    def join(self, port_500: Iterable[socket.socket], port_4500: Iterable[socket.socket]) -> None:
        """Take sockets that others have bound."""
        self._driver.transport.adopt(port_500, IKE_PORT)
        self._driver.transport.adopt(port_4500, NAT_PORT)

    async def serve(self) -> None:
        """Work until told to end, by a signal or a request."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.shutdown)
        with reloading.on_hangup(self.reload, self._warn_of):
            await self.work()

    async def work(self) -> None:
        """Work until told to end."""
        loop = asyncio.get_running_loop()
        events = loop.create_task(self._plane_events.follow())
        await self._roaming.begin(self._network)
        if self._radius is not None:
            self._radius.begin(is_first=self._is_first)
        self._starter.begin()
        self._traps.begin()
        await self._ending.wait()
        self._roaming.end()
        events.cancel()
        await self._farewell()

    async def close(self) -> None:
        """Close the sockets and stop the driver."""
        self._ticket_keys.end()
        await self._driver.close()
        if self._radius is not None:
            await self._radius.close()

    def _follow(self, redirect: FollowRedirect) -> None:
        self._starter.follow(redirect)

    # Tickets ----------------------------------------------------------------------------------

    def seal_tickets(self, secret: Secret) -> None:
        """Seal tickets with a new secret."""
        self._driver.endpoint.seal_tickets(secret)

    def ticket_revoked(self, event: RevokeTicket) -> None:
        """Take from another worker that a ticket is void."""
        self._driver.ticket_revoked(event)

    # The control protocol ---------------------------------------------------------------------

    async def status(self) -> Status:
        """Return every IKE SA with its Child SAs and their counters."""
        measured = Measured(await self._plane.usages(), await self._plane.paths())
        clocks = Clocks(self._since, time.time() - asyncio.get_running_loop().time())
        known = (ike_status(sa, measured, clocks) for sa in self._driver.endpoint.sas)
        return Status(
            ike_sas=[status for status in known if status is not None],
            retries=[retry_status(retry, clocks) for retry in self._starter.waiting],
            draining=self._draining.status,
            policies=await policy_status(self._loaded, self._network),
        )

    async def disconnect(self, target: str) -> list[str]:
        """Delete the IKE SAs of a connection, or the one with that id, or a Child SA.

        What was to stay up stays down until somebody starts it again.

        Raises:
            UsageError: there is none.
        """
        return disconnect(self._driver, self._starter, target)

    async def obey(self, order: Order) -> int:
        """Carry an order of a RADIUS server out; return how many sessions it was about."""
        return 0 if self._radius is None else self._radius.obey(order)

    async def depart(self, leaving: list[Leaving]) -> list[str]:
        """Delete the IKE SAs of users; return their ids."""
        return depart(self._driver, leaving)

    async def initiate(self, name: str) -> str:
        """Start a connection, or one Child SA of it, and return the id of its IKE SA.

        Raises:
            UsageError: there is none of that name, or it cannot be started from here.
            HostError: the peer cannot be found.
        """
        connection, child = named(name, self._loaded.connections)
        for sa in self._driver.endpoint.sas if child else ():
            if isinstance(sa.state, Up) and sa.state.connection.name == connection:
                self._driver.command(sa.spi, AddChild(Wish(child)))
                return sa.spi.hex()
        return (await self._starter.initiate(connection, Wish(child))).hex()

    async def drain(self, order: Drain) -> Drained:
        """Send clients to another gateway, or stop to; return what becomes of those that are up.

        Raises:
            UsageError: there is no such connection, or nowhere to go.
        """
        return self._draining.order(order)

    async def reload(self) -> Reloaded:
        """Heed what changed in the configuration: connections, policies and shared secrets.

        Raises:
            ConfigError: it is wrong, or takes a restart; nothing has changed.
            HostError: the host refuses its policies.
        """
        async with self._reloading:
            new, found = await reloading.enforce(
                self._loaded, self._network, self._plane, self._log.warning
            )
            self._heed(new, found)
        self._log.info("reloaded", **found.facts())
        return found.told()

    def _heed(self, new: Loaded, found: reloading.Changes) -> None:
        self._loaded = new
        endpoint = self._driver.endpoint
        endpoint.env = replace(endpoint.env, credentials=new.credentials)
        self._draining.reload(new.connections)
        self._starter.reload(self._to_start(new), found.fresh)
        self._traps.reload(self._mine(new))
        for sa in endpoint.sas:
            if connection_of(sa.state) in found.over:
                self._driver.command(sa.spi, Disconnect("its configuration has changed"))
        for name in found.over:
            endpoint.forget_ticket(name)

    def _to_start(self, loaded: Loaded) -> dict[str, Connection]:
        """Return the connections; those that other workers start are not kept up here."""
        starts = self._share.starts
        return {
            one.name: one if starts(one) else replace(one, start=Start.WAIT)
            for one in loaded.connections
        }

    def _mine(self, loaded: Loaded) -> frozenset[str]:
        return frozenset(one.name for one in loaded.connections if self._share.starts(one))

    def is_up(self, name: str) -> bool:
        """Whether an IKE SA is established with a peer that the connection is for."""
        connection = self._starter.connections.get(name)
        return connection is not None and self._driver.endpoint.peers.is_up(connection)

    def contacted(self, local: Identity, peer: Identity) -> None:
        """See whether the peer is still there on its IKE SAs: it said INITIAL_CONTACT elsewhere.

        What another worker says is not believed: a peer that lives notices a question only.
        """
        for spi in self._driver.endpoint.peers.between(local, peer):
            self._driver.command(spi, CheckLiveness())

    def watch(self) -> AsyncIterator[EventLine]:
        """Return what happens from now on."""
        return self._teller.watch()

    def shutdown(self) -> None:
        """End the daemon in an orderly way."""
        self._ending.set()

    # What happens -----------------------------------------------------------------------------

    def _heard(self, report: Report) -> None:
        """Take a report."""
        event = report.event
        if type(event) in OF_LIFE:
            self._note(report, event)
        self._teller.tell(report)

    def _note(self, report: Report, event: Event) -> None:
        if self._radius is not None:
            self._radius.heard(report)
        if isinstance(event, Established):
            self._since[report.sa] = time.time()
            self._starter.established(event.connection, report.sa)
            self._traps.established(event.connection, report.sa)
            self._draining.established(event.connection, report.sa)
            if event.replaces_others and self._others is not None:
                self._others.contacted(event.local_id, event.peer_id)
        elif isinstance(event, Rekeyed):
            self._since[event.successor] = self._since.pop(report.sa, time.time())
            self._starter.rekeyed(event.connection, report.sa, event.successor)
        elif isinstance(event, Reauthenticating):
            self._starter.reauthenticating(event.connection, event.successor)
        elif isinstance(event, Closed):
            self._since.pop(report.sa, None)
            self._starter.closed(event.connection, report.sa, event.reason)
            self._traps.closed(event.connection)

    async def _farewell(self) -> None:
        """Delete all IKE SAs and give the peers a moment to hear of it."""
        self._starter.end()
        self._traps.end()
        for sa in self._driver.endpoint.sas:
            self._driver.command(sa.spi, Disconnect("shutting down"))
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self._driver.quiet()
        await self._driver.drain()

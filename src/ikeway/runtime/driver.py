# SPDX-License-Identifier: Apache-2.0
"""Performs what the core wants: a `match` over its actions, each arm one call of a port."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from ikeway.dataplane.port import DataPlane
from ikeway.ike.admission import Admit
from ikeway.ike.cookies import Challenge
from ikeway.ike.endpoint import Endpoint as IkeEndpoint
from ikeway.ike.io import (
    Action,
    ActivateChild,
    AddressesChanged,
    Answered,
    Ask,
    Command,
    Datagram,
    FollowRedirect,
    Forget,
    Initiate,
    InstallChild,
    MigrateChild,
    PeerSeen,
    Rekey,
    RemoveChild,
    Report,
    RevokeTicket,
    Send,
    SetTimer,
    Spent,
    TimerFired,
)
from ikeway.ike.questions import (
    Answer,
    Converse,
    FindPaths,
    Lease,
    Measured,
    MeasureUsage,
    Question,
    Refused,
    Sign,
    SolvePuzzle,
    Ticket,
    VerifyCertificate,
)
from ikeway.ike.reports import Closed, Rekeyed, Warned
from ikeway.ike.states import Lingering
from ikeway.model.address import Endpoint as Place
from ikeway.model.errors import HostError
from ikeway.model.esp import Usage
from ikeway.model.time import Instant
from ikeway.policy.revocation import StatusSources
from ikeway.runtime.eap import to_verify, verified
from ikeway.runtime.eap_desk import EapDesk
from ikeway.runtime.faults import Due, Faults, Thing
from ikeway.runtime.installer import Installer
from ikeway.runtime.keylog import KeyLog
from ikeway.runtime.leases import Lender
from ikeway.runtime.network import HostNetwork
from ikeway.runtime.paths import find
from ikeway.runtime.pki import Pki
from ikeway.runtime.radius_relay import METHOD, RadiusRelay
from ikeway.runtime.references import References
from ikeway.runtime.replacing import Replacing
from ikeway.runtime.revocation import StatusDesk
from ikeway.runtime.sockets import UdpTransport
from ikeway.runtime.solver import Solver
from ikeway.runtime.stapling import Stapler
from ikeway.runtime.verifier import Verifier

Listener = Callable[[Report], None]


async def _unaccounted(_: int) -> None:
    """Let a Child SA go that nobody keeps an account of."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What the driver calls. `network` is None where the host's routes are not ours to touch.

    `key_log` and `faults` are None unless an operator, or a test, asked for them. `revoked` tells
    other workers of tickets that are void.
    """

    plane: DataPlane
    pki: Pki
    eap: EapDesk
    leases: Lender
    network: HostNetwork | None
    listener: Listener
    key_log: KeyLog | None = None
    faults: Faults | None = None
    sources: StatusSources = field(default=StatusSources())
    revoked: Callable[[RevokeTicket], None] = lambda _: None
    relay: RadiusRelay | None = None
    leaving: Callable[[int], Awaitable[None]] = _unaccounted
    """Hears the inbound SPI of a Child SA before it is removed, for what went through it."""
    follow: Callable[[FollowRedirect], None] = lambda _: None


class Driver:
    """One endpoint and the world. Everything happens on one event loop, in order."""

    def __init__(self, endpoint: IkeEndpoint, ports: Ports) -> None:
        self.endpoint = endpoint
        self.transport = UdpTransport(self._received, None if ports.faults else self)
        self._ports = ports
        self._loop = asyncio.get_running_loop()
        self._timers: dict[bytes, asyncio.TimerHandle] = {}
        self._solver = Solver()
        credentials = endpoint.env.credentials
        self._verifier = Verifier(
            ports.pki,
            StatusDesk(ports.sources),
            self.warn,
            References(credentials.certificate_urls, ports.sources.timeout),
            Stapler(ports.sources, credentials.authorities, self.warn),
        )
        self._verifier.prepare(own.chain for own in credentials.certificates)
        self._installer = Installer(
            ports.plane, ports.network, ports.leaving, self._answered, self.warn
        )
        self._replacing = Replacing(self._loop, self._replace)
        self._forgotten = asyncio.Event()

    # Inputs ---------------------------------------------------------------------------------------

    def initiate(self, command: Initiate) -> bytes:
        """Start an IKE SA and return our SPI."""
        spi, actions = self.endpoint.initiate(command, self._now())
        self._perform(actions)
        return spi

    def command(self, spi: bytes, command: Command) -> None:
        """Give a command to an IKE SA."""
        self._perform(self.endpoint.handle(spi, command, self._now()))

    def of_child(self, event: Spent | PeerSeen) -> None:
        """Take what the data plane says of a Child SA, for the IKE SA that has it."""
        self._perform(self.endpoint.of_child(event, self._now()))

    def ticket_revoked(self, event: RevokeTicket) -> None:
        """Take from another worker that a ticket is void."""
        self._perform(self.endpoint.ticket_revoked(event, self._now()))

    def addresses_changed(self, event: AddressesChanged) -> None:
        """Take the addresses that the host has now."""
        self._perform(self.endpoint.addresses_changed(event, self._now()))

    def plane_renewed(self) -> None:
        """Replace the Child SAs that a data plane had which is gone; their keys went with it."""
        self._installer.put(self._replace_lost)

    async def _replace_lost(self) -> None:
        self._replacing.add(await self._installer.lost())

    def _replace(self, spi_in: int) -> None:
        self._perform(self.endpoint.of_child(Rekey(spi_in), self._now()))

    def unknown_packet(self, spi: int, local: Place, peer: Place) -> None:
        """Tell the endpoint of an ESP packet that no Child SA is for."""
        self._perform(self.endpoint.unknown_packet(spi, (local, peer), self._now()))

    def warn(self, reason: str) -> None:
        """Report something that happened outside any IKE SA."""
        self._ports.listener(Report(b"", Warned(reason)))

    def challenge(self) -> Challenge | None:
        """Return what cookies are made of, if all first requests have to bring one now."""
        return self.endpoint.challenge(self._now())

    def asked(self, requests: int) -> None:
        """Take how many first requests were asked for a cookie before they came here."""
        self._perform(self.endpoint.asked(requests, self._now()))

    def _received(self, datagram: Datagram) -> None:
        self._enter(datagram)

    def _fired(self, spi: bytes) -> None:
        self._timers.pop(spi, None)
        self._perform(self.endpoint.handle(spi, TimerFired(), self._now()))

    def _answered(self, ticket: Ticket, answer: Answer) -> None:
        self._enter(Answered(ticket, answer))

    def _enter(self, event: Datagram | Answered) -> None:
        if self._ports.faults is None:
            self._take(event)
        else:
            self._struck(self._ports.faults.entering(event))

    def _take(self, event: Datagram | Answered) -> None:
        match event:
            case Datagram():
                self._perform(self.endpoint.receive(event, self._now()))
            case Answered(ticket):
                self._perform(self.endpoint.handle(ticket.sa, event, self._now()))

    def _now(self) -> Instant:
        return self._loop.time()

    # Actions --------------------------------------------------------------------------------------

    def _perform(self, actions: tuple[Action, ...]) -> None:
        if self._ports.key_log is not None:
            self._ports.key_log.look(self.endpoint, actions, self.warn)
        for action in actions:
            if self._ports.faults is None:
                self._do(action)
            else:
                self._struck(self._ports.faults.leaving(action))

    def _struck(self, dues: tuple[Due, ...]) -> None:
        """Do what is left of an action or an input, now or later."""
        for due in dues:
            if due.wait:
                self._loop.call_later(due.wait, self._resume, due.what)
            else:
                self._resume(due.what)

    def _resume(self, what: Thing) -> None:
        if isinstance(what, Datagram | Answered):
            self._take(what)
        else:
            self._do(what)

    def _do(self, action: Action) -> None:
        match action:  # the most frequent first
            case Report():
                self._tell(action)
            case Send(local, peer, octets):
                self._sent(self.transport.send(local, peer, octets))
            case SetTimer(sa, _, at):
                self._set_timer(sa, at)
            case Ask(ticket, question):
                self._ask(ticket, question)
            case InstallChild():
                self._installer.install(action)
            case MigrateChild() | ActivateChild():
                self._installer.change(action)
            case RemoveChild(_, spi_in):
                self._installer.change(action)
                self._replacing.gone(spi_in)
            case RevokeTicket() | FollowRedirect():
                self._pass_on(action)
            case Forget(sa):
                self._forget(sa)

    def _forget(self, sa: bytes) -> None:
        self._set_timer(sa, None)
        self._ports.leases.release(sa)
        self._ports.eap.forget(sa)
        if self._ports.relay is not None:
            self._ports.relay.forget(sa)
        self._forgotten.set()

    def _pass_on(self, action: RevokeTicket | FollowRedirect) -> None:
        """Let those do it who start connections, or know the other workers."""
        if isinstance(action, RevokeTicket):
            self._ports.revoked(action)
        else:
            self._ports.follow(action)

    def _tell(self, report: Report) -> None:
        if isinstance(report.event, Closed):
            # A peer that comes back at once gets its address again, while its old IKE SA lingers.
            self._ports.leases.release(report.sa)
        elif isinstance(report.event, Rekeyed):
            self._ports.leases.pass_on(report.sa, report.event.successor)
        self._ports.listener(report)

    def _sent(self, problem: str | None) -> None:
        if problem is not None:
            self.warn(problem)

    def _set_timer(self, sa: bytes, at: Instant | None) -> None:
        armed = self._timers.pop(sa, None)
        if armed is not None:
            armed.cancel()
        if at is not None:
            self._timers[sa] = self._loop.call_at(at, self._fired, sa)

    def _ask(self, ticket: Ticket, question: Question) -> None:
        match question:
            case Sign():
                self._verifier.sign(question, partial(self._answered, ticket))
            case VerifyCertificate():
                self._verifier.verify(question, partial(self._answered, ticket))
            case Converse():
                self._converse(ticket, question)
            case Admit():
                self._ports.eap.admit(question, partial(self._answered, ticket))
            case Lease():
                self._installer.put(partial(self._lend, ticket, question))
            case FindPaths():
                self._later(ticket, find(question, self.endpoint.env.addresses))
            case MeasureUsage(spis):
                self._installer.put(partial(self._measure, ticket, spis))
            case SolvePuzzle(puzzle):
                self._solver.solve(puzzle, partial(self._answered, ticket))

    def _converse(self, ticket: Ticket, question: Converse) -> None:
        relay = self._ports.relay
        if relay is not None and question.methods == (METHOD,):
            relay.turn(ticket, question, partial(self._answered, ticket))
            return
        self._ports.eap.turn(ticket, question, partial(self._said, ticket, question))

    def _said(self, ticket: Ticket, question: Converse, answer: Answer) -> None:
        doubt = to_verify(question, answer)
        if doubt is None:
            self._answered(ticket, answer)
        else:
            tell = partial(self._verified, ticket, answer)
            self._verifier.verify(doubt, tell)

    def _verified(self, ticket: Ticket, answer: Answer, verdict: Answer) -> None:
        self._answered(ticket, verified(answer, verdict))

    def _later(self, ticket: Ticket, answer: Answer) -> None:
        self._loop.call_soon(self._answered, ticket, answer)

    async def _lend(self, ticket: Ticket, question: Lease) -> None:
        try:
            answer = await self._ports.leases.lend(ticket.sa, question)
        except HostError as error:
            answer = Refused(str(error))
        self._answered(ticket, answer)

    async def _measure(self, ticket: Ticket, spis: tuple[int, ...]) -> None:
        total = Usage()
        for spi in spis:
            try:
                usage = await self._ports.plane.usage(spi)
            except HostError:
                continue
            total += usage
        self._answered(ticket, Measured(total))

    async def quiet(self) -> None:
        """Wait until no IKE SA is left but those that only repeat their last answer."""
        while any(not isinstance(sa.state, Lingering) for sa in self.endpoint.sas):
            self._forgotten.clear()
            await self._forgotten.wait()

    async def drain(self) -> None:
        """Wait until the data plane and the host have done what was asked of them."""
        await self._installer.drain()

    async def close(self) -> None:
        """Stop: no timers, no sockets, no work."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._installer.hurry()
        self.transport.close()
        await self._solver.close()
        await self._verifier.close()
        await self._ports.eap.close()
        await self._installer.close()

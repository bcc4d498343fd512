# SPDX-License-Identifier: Apache-2.0
"""A host of the world: the real core, and a shell that performs its actions in virtual time."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ikeway.auth.eap.accounts import Accounts
from ikeway.auth.eap.means import Means
from ikeway.crypto.puzzle import solve
from ikeway.crypto.tokens import SECRET_OCTETS
from ikeway.ike.admission import Admit, Welcome
from ikeway.ike.endpoint import Endpoint as IkeEndpoint
from ikeway.ike.environment import Environment
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
    Installed,
    Lease,
    Measured,
    MeasureUsage,
    Question,
    Refused,
    Sign,
    Solved,
    SolvePuzzle,
    Ticket,
    VerifyCertificate,
)
from ikeway.ike.reports import (
    Closed,
    Established,
    MessageReceived,
    Rekeyed,
    Retransmitted,
)
from ikeway.ike.states import AwaitAuthResponse, Candidates, State
from ikeway.ike.states import Established as EstablishedState
from ikeway.ike.tasks import AskedChild
from ikeway.model.address import Address
from ikeway.model.secret import Secret
from ikeway.runtime.eap import Conversations
from ikeway.runtime.faults import Faults, Thing
from ikeway.runtime.installer import GRACE
from ikeway.runtime.leases import Leases
from ikeway.runtime.pki import Pki
from support.shell import TODAY, find_paths
from world.identities import authority, key
from world.layout import Place, Tickets
from world.network import Packet
from world.plane import Plane
from world.prng import Prng, core_random
from world.seals import Broken
from world.starter import Starter

LATENCY = 0.002
"""How long the data plane and the keeper of keys take for an answer."""


class Surroundings(Protocol):
    """What a host needs of its world."""

    seed: int
    now: float

    def at(self, when: float, what: Callable[..., None], *args: Any) -> None:
        """Call `what` at a time."""
        ...

    def carry(self, host: "Host", packet: Packet) -> None:
        """Take a packet to wherever it is going."""
        ...

    def accepted(self, host: "Host", datagram: Datagram) -> None:
        """Hear of a datagram that had its effect."""
        ...

    def told(self, host: "Host", report: Report) -> None:
        """Hear of what happened."""
        ...


@dataclass
class Counters:
    """What happened at a host since the world began."""

    established: int = 0
    messages: int = 0
    reports: dict[str, int] = field(default_factory=dict)


class Host:
    """One host. All that it knows is lost when it is restarted, except for its configuration."""

    def __init__(self, place: Place, number: int, world: Surroundings, packet_octets: int) -> None:
        self.place, self.number, self.world = place, number, world
        self.counters = Counters()
        self.lives = 0
        self.is_up = False
        self.asleep_until = 0.0
        self.disturbed = 0.0
        self.addresses = place.addresses
        self.faults = Faults((), lambda _: None)
        self.revoked: list[RevokeTicket] = []
        self.lost: set[int] = set()
        self.plane = Plane(place.name, packet_octets=packet_octets)
        self._boot()

    # Life -----------------------------------------------------------------------------------------

    def _boot(self) -> None:
        """Come to life with nothing but the configuration."""
        place = self.place
        self.lives += 1
        random = core_random(self.world.seed, f"{place.name}/{self.lives}")
        env = Environment(
            random,
            tuple(place.connections),
            place.credentials,
            limits=place.limits,
            addresses=self.addresses if place.tells_addresses else (),
            crash_secrets=place.crash_secrets,
        )
        self.endpoint = IkeEndpoint(env)
        self._remember_tickets()
        self.timers: dict[bytes, float] = {}
        self.asked: set[Ticket] = set()
        self.working = 0
        self._free_at = 0.0
        self.plane.children.clear()
        self.fading: set[int] = set()
        self.given_up: dict[int, float] = {}
        self._taken_out: dict[bytes, set[int]] = {}
        self._ended: set[bytes] = set()
        self.leases = Leases(place.pools)
        keys = {own.key: key(own.key) for own in env.credentials.certificates}
        trusted = (authority(),) if place.certified else ()
        self.pki = Pki(keys, trusted, lambda: TODAY)
        means = Means(Accounts(env.credentials.accounts), random)
        self.eap = Conversations(means, env.limits.eap_rounds)
        self.starter = Starter(self)
        self.is_up = True
        self.starter.begin()

    def _remember_tickets(self) -> None:
        """Get what workers of the same host know of tickets, or begin anew as after a restart."""
        kept = self.place.tickets
        if kept is Tickets.NONE:
            return
        life = 0 if kept is Tickets.KEPT else self.lives
        drawn = Prng(self.world.seed, f"ticket secret/{self.place.name}/{life}")
        self.endpoint.seal_tickets(Secret(drawn.octets(SECRET_OCTETS)))
        for event in self.revoked if kept is Tickets.KEPT else ():
            self.endpoint.ticket_revoked(event, self.world.now)

    def crash(self, down: float) -> None:
        """Lose everything, and come back after a while."""
        self.is_up = False
        asked = (drafts(sa.state) for sa in self.endpoint.sas)
        self.lost = self.lost.union(self.plane.children, *asked)
        self.lives += 1
        self.timers.clear()
        self.at(down, self._boot)

    def at(self, wait: float, what: Callable[..., None], *args: Any) -> None:
        """Call `what` after a while, unless the host was restarted by then."""
        self.world.at(self.world.now + wait, self._if_alive, self.lives, what, args)

    def _if_alive(self, lives: int, what: Callable[..., None], args: tuple[Any, ...]) -> None:
        if lives == self.lives:
            what(*args)

    @property
    def hears(self) -> bool:
        """Whether what arrives is heard."""
        return self.is_up and self.world.now >= self.asleep_until

    @property
    def until_awake(self) -> float:
        """How long until it is worth a look whether the host has been woken."""
        return min(60.0, max(0.1, self.asleep_until - self.world.now))

    # Inputs ---------------------------------------------------------------------------------------

    def initiate(self, command: Initiate, started: Callable[[str, bytes], None]) -> bytes:
        """Start an IKE SA; `started` hears of it before anybody else does. Return our SPI."""
        spi: bytes
        spi, actions = self._guard(self.endpoint.initiate, command)
        started(command.connection.name, spi)
        self.perform(actions)
        return spi

    def command(self, spi: bytes, command: Command) -> None:
        """Give a command to an IKE SA."""
        if self.hears:
            self.perform(self._guard(self.endpoint.handle, spi, command))

    def arrive(self, packet: Packet) -> bool:
        """Take what comes from the network; whether it was ESP of an SA that we have."""
        if not self.hears:
            return False
        if not isinstance(packet.content, bytes):
            is_taken = self.plane.open(packet.content)
            if is_taken and self.plane.has_moved(packet.content, packet.source):
                self._work(self._hear, PeerSeen(packet.content.spi, packet.source))
            if is_taken or self.plane.is_over(packet.content.spi):
                self.look_at_limits(packet.content.spi)
            else:
                path = packet.target, packet.source
                self.perform(self._guard(self.endpoint.unknown_packet, packet.content.spi, path))
            return is_taken
        self.enter(Datagram(packet.target, packet.source, packet.content))
        return False

    def move(self, address: Address) -> None:
        """Have another address in place of the first one."""
        if address == self.addresses[0]:
            return
        self.addresses = (address, *self.addresses[1:])
        if self.is_up:
            event = AddressesChanged(self.addresses)
            self.perform(self._guard(self.endpoint.addresses_changed, event))

    def look_at_limits(self, spi_in: int) -> None:
        """Tell IKE of a Child SA that has carried what it may, as the data plane does."""
        installed = self.plane.children.get(spi_in)
        if installed is not None:
            for is_over in installed.news(self.plane.packet_octets):
                self._work(self._hear, Spent(spi_in, is_over=is_over))

    def enter(self, event: Datagram | Answered) -> None:
        """Take an input, as far as faults let it through."""
        if self.faults.is_idle:
            self._do(event)
            return
        for due in self.faults.entering(event):
            if due.wait:
                self.at(due.wait, self._do, due.what)
            else:
                self._do(due.what)

    def receive(self, datagram: Datagram) -> tuple[Action, ...]:
        """Give the core a datagram and perform what it wants."""
        actions: tuple[Action, ...] = self._guard(self.endpoint.receive, datagram)
        if any(isinstance(a, Report) and isinstance(a.event, MessageReceived) for a in actions):
            self.world.accepted(self, datagram)
        self.perform(actions)
        return actions

    def _answered(self, ticket: Ticket, answer: Answer) -> None:
        self.asked.discard(ticket)
        self.enter(Answered(ticket, answer))

    def _fire(self, spi: bytes, at: float) -> None:
        if self.timers.get(spi) != at:
            return
        if not self.hears:
            self.at(self.until_awake, self._fire, spi, at)
            return
        del self.timers[spi]
        sa = self.endpoint.find(spi)
        if sa is not None and drafts(sa.state):
            self._taken_out[spi] = self._taken_out.get(spi, set()) | drafts(sa.state)
        self.perform(self._guard(self.endpoint.handle, spi, TimerFired()))

    def _guard(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call the core; whatever it raises is a violation (I1)."""
        try:
            return call(*args, self.world.now)
        except Broken:
            raise
        except Exception as error:
            raise Broken("I1", f"{self.place.name}: {type(error).__name__}: {error}") from error

    # Actions --------------------------------------------------------------------------------------

    def perform(self, actions: tuple[Action, ...]) -> None:
        """Perform actions, as far as faults let them through."""
        if self.faults.is_idle:
            for action in actions:
                self._do(action)
            return
        for action in actions:
            for due in self.faults.leaving(action):
                if due.wait:
                    self.at(due.wait, self._do, due.what)
                else:
                    self._do(due.what)

    def _do(self, what: Thing) -> None:
        match what:
            case Datagram():
                self.receive(what)
            case Answered(ticket):
                self.asked.discard(ticket)
                self.perform(self._guard(self.endpoint.handle, ticket.sa, what))
            case Send(local, peer, octets):
                self.counters.messages += 1
                self.world.carry(self, Packet(local, peer, octets))
            case SetTimer(sa, _, at):
                self._set_timer(sa, at)
            case Ask(ticket, question):
                self._ask(ticket, question)
            case InstallChild():
                self.asked.add(what.ticket)
                self._work(self._install, what)
            case MigrateChild() | ActivateChild() | RemoveChild():
                self._change(what)
            case Report() | RevokeTicket() | FollowRedirect():
                self._tell(what)
            case Forget(sa):
                self._forget(sa)

    def _set_timer(self, sa: bytes, at: float | None) -> None:
        self.timers.pop(sa, None)
        if at is not None:
            self.timers[sa] = at
            when = max(at, self.world.now)
            self.world.at(when, self._if_alive, self.lives, self._fire, (sa, at))

    def _ask(self, ticket: Ticket, question: Question) -> None:
        self.asked.add(ticket)
        match question:
            case Sign():
                self.at(LATENCY, self._answered, ticket, self.pki.sign(question))
            case VerifyCertificate():
                self.at(LATENCY, self._answered, ticket, self.pki.verify(question))
            case Converse():
                self.at(LATENCY, self._answered, ticket, self.eap.turn(ticket, question))
            case Admit():
                self.at(LATENCY, self._answered, ticket, Welcome())
            case Lease():
                self.at(LATENCY, self._answered, ticket, self.leases.lease(ticket.sa, question))
            case FindPaths():
                found = find_paths(question, self.addresses)
                self.at(LATENCY, self._answered, ticket, found)
            case MeasureUsage(spis):
                self._work(self._measure, ticket, spis)
            case SolvePuzzle(puzzle):
                self.at(LATENCY, self._answered, ticket, Solved(solve(puzzle)))

    def _tell(self, report: Report | RevokeTicket | FollowRedirect) -> None:
        if isinstance(report, FollowRedirect):
            self.starter.follow(report)
            return
        if isinstance(report, RevokeTicket):
            self.revoked.append(report)
            return
        event = report.event
        name = type(event).__name__
        self.counters.reports[name] = self.counters.reports.get(name, 0) + 1
        if isinstance(event, Established):
            self.counters.established += 1
        elif isinstance(event, Closed):
            self.leases.release(report.sa)
            self._ended.add(report.sa)
            if event.is_failure:
                self._give_up(report.sa)
        elif isinstance(event, Retransmitted) and report.sa in self._ended:
            self._give_up(report.sa)  # the peer has not heard yet that it is over
        elif isinstance(event, Rekeyed):
            self.leases.pass_on(report.sa, event.successor)
        self.starter.tell(report)
        self.world.told(self, report)

    def _give_up(self, sa: bytes) -> None:
        gone = self._taken_out.get(sa, set())
        self.given_up |= dict.fromkeys(gone, self.world.now)

    def _forget(self, sa: bytes) -> None:
        self.timers.pop(sa, None)
        self.leases.release(sa)
        self._taken_out.pop(sa, None)
        self._ended.discard(sa)
        self.eap.forget(sa)
        self.asked = {ticket for ticket in self.asked if ticket.sa != sa}

    # The data plane, one thing after the other ----------------------------------------------------

    def _work(self, what: Callable[..., None], *args: Any) -> None:
        now = self.world.now
        self._free_at = max(now, self._free_at) + LATENCY
        self.working += 1
        self.at(self._free_at - now, self._worked, what, args)

    def _worked(self, what: Callable[..., None], args: tuple[Any, ...]) -> None:
        self.working -= 1
        what(*args)

    def _change(self, action: MigrateChild | ActivateChild | RemoveChild) -> None:
        match action:
            case MigrateChild():
                self._work(self.plane.migrate, action)
            case ActivateChild(_, spi_in):
                self._work(self.plane.activate, spi_in)
            case RemoveChild():
                self._take_out(action)

    def _take_out(self, action: RemoveChild) -> None:
        """Remove a Child SA as the driver does: one that was replaced receives a moment longer."""
        self._taken_out.setdefault(action.sa, set()).add(action.spi_in)
        if action.is_replaced:
            self.plane.retire(action.spi_in)
            self.fading.add(action.spi_in)
            self.at(GRACE, self._faded, action.spi_in)
            return
        for spi_in in tuple(self.fading):
            self._faded(spi_in)
        self._work(self.plane.remove, action.spi_in)

    def _faded(self, spi_in: int) -> None:
        if spi_in in self.fading:
            self.fading.discard(spi_in)
            self._work(self.plane.remove, spi_in)

    def _install(self, action: InstallChild) -> None:
        reason = self.plane.install(action.child, is_standby=action.is_standby)
        if action.is_standby and action.active_after < math.inf:
            self.at(action.active_after, self.plane.activate, action.child.spi_in)
        self._answered(action.ticket, Refused(reason) if reason else Installed())

    def _hear(self, event: PeerSeen | Spent) -> None:
        self.perform(self._guard(self.endpoint.of_child, event))

    def _measure(self, ticket: Ticket, spis: tuple[int, ...]) -> None:
        self._answered(ticket, Measured(self.plane.measure(spis)))


def drafts(state: State) -> set[int]:
    """Return our SPIs of the Child SAs that were asked for: a peer may have them already."""
    match state:
        case Candidates(branches=branches):
            return {spi for branch in branches for spi in drafts(branch)}
        case AwaitAuthResponse(child=child):
            return {child.spi_in}
        case EstablishedState():
            asked = *state.asking(AskedChild), *state.series.our_children
            return {each.spi_in for each in asked}
        case _:
            return set()

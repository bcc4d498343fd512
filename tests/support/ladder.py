# SPDX-License-Identifier: Apache-2.0
"""Two endpoints of the real core, a virtual clock and a link that a test can watch and disturb."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ikeway.ike.io import (
    Action,
    ActivateChild,
    AddressesChanged,
    Answered,
    Ask,
    CheckLiveness,
    Datagram,
    Disconnect,
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
    TimerFired,
)
from ikeway.ike.questions import Answer
from ikeway.ike.reports import Closed, Event, Rekeyed
from ikeway.model.address import IKE_PORT, Address, Endpoint
from ikeway.policy.connection import Connection
from ikeway.wire.message import NAT_KEEPALIVE
from support.shell import Host, Question

Fate = Callable[[Host, Datagram], list[Datagram]]


@dataclass
class Nat:
    """Stands before the left host and hides it behind `public`, each port behind another one."""

    private: Address
    public: Address
    offset: int = 20000

    def outward(self, source: Endpoint) -> Endpoint:
        return Endpoint(self.public, self.offset + source.port)

    def inward(self, target: Endpoint) -> Endpoint:
        return Endpoint(self.private, target.port - self.offset)


class Ladder:
    """Left initiates, right responds. `fate` decides what becomes of each datagram."""

    def __init__(
        self, left: Host, right: Host, addresses: tuple[Address, Address], nat: Nat | None = None
    ) -> None:
        self.left, self.right = left, right
        self.addresses = addresses
        self.nat = nat
        self.now = 1000.0
        self.wire: deque[tuple[Host, Datagram]] = deque()
        self.sent: list[tuple[Host, Datagram]] = []
        self.keepalives: list[tuple[Host, float]] = []
        self.fate: Fate = lambda _host, datagram: [datagram]

    # What a test does -----------------------------------------------------------------------------

    def initiate(self, connection: Connection | None = None, port: int = IKE_PORT) -> bytes:
        """Let the left host start, and return its SPI; nothing is delivered yet."""
        chosen = connection or self.left.endpoint.env.connections[0]
        local, peer = (Endpoint(address, port) for address in self.addresses)
        spi, actions = self.left.endpoint.initiate(Initiate(chosen, local, peer), self.now)
        self.perform(self.left, actions)
        return spi

    def connect(self, connection: Connection | None = None, port: int = IKE_PORT) -> bytes:
        """Let the left host start, and deliver until all is quiet."""
        spi = self.initiate(connection, port)
        self.settle()
        return spi

    def disconnect(self, host: Host, spi: bytes | None = None) -> None:
        """Let a host delete an IKE SA, by default its only one."""
        self._command(host, spi, Disconnect("asked to"))

    def check_liveness(self, host: Host) -> None:
        """Let a host ask whether its peer is alive."""
        self._command(host, None, CheckLiveness())

    def has(self, host: Host, *addresses: Address) -> None:
        """Give a host other addresses, the one that it prefers first, and tell it of them."""
        host.addresses = addresses
        event = AddressesChanged(addresses)
        self.perform(host, host.endpoint.addresses_changed(event, self.now))

    def esp_from(self, host: Host, peer: Endpoint) -> None:
        """Let a host's data plane tell of a fresh packet that came from there."""
        event = PeerSeen(host.child.spi_in, peer)
        self.perform(host, host.endpoint.of_child(event, self.now))

    def _command(self, host: Host, spi: bytes | None, command: Disconnect | CheckLiveness) -> None:
        target = spi or host.endpoint.sas[0].spi
        self.perform(host, host.endpoint.handle(target, command, self.now))

    def settle(self) -> None:
        """Deliver what is on the wire until nothing is."""
        while self.wire:
            host, datagram = self.wire.popleft()
            self.deliver(host, datagram)

    def deliver(self, host: Host, datagram: Datagram) -> tuple[Action, ...]:
        """Give a host a datagram."""
        actions = host.endpoint.receive(datagram, self.now)
        self.perform(host, actions)
        return actions

    def wait(self, seconds: float) -> None:
        """Let time pass, and the timers of both sides fire in order."""
        until = self.now + seconds
        self.settle()
        while (due := self._next()) is not None and due[0] <= until:
            at, host, spi = due
            self.now = max(self.now, at)
            host.timers.pop(spi)
            self.perform(host, host.endpoint.handle(spi, TimerFired(), self.now))
            self.settle()
        self.now = until

    def _next(self) -> tuple[float, Host, bytes] | None:
        due = [
            (at, host, spi) for host in (self.left, self.right) for spi, at in host.timers.items()
        ]
        return min(due, key=lambda one: one[0], default=None)

    def answer(self, host: Host, answer: Answer | None = None) -> None:
        """Answer the oldest question that a host holds, by default as its parts would."""
        asked, held = host.held.pop(0), host.holds
        host.holds = ()
        given = answer or host.answer(asked)
        host.holds = held
        assert given is not None
        self.give(host, asked, given)

    def give(self, host: Host, asked: Question, answer: Answer) -> None:
        """Give an answer to a host, whether or not it waits for it."""
        event = Answered(asked.ticket, answer)
        self.perform(host, host.endpoint.handle(asked.ticket.sa, event, self.now))

    def arrive(self, host: Host, octets: bytes) -> list[bytes]:
        """Give a host octets that come from the other one's address; return what it says."""
        before = len(self.sent)
        local, peer = self.addresses if host is self.left else self.addresses[::-1]
        datagram = Datagram(Endpoint(local, IKE_PORT), Endpoint(peer, IKE_PORT), octets)
        self.deliver(host, datagram)
        return [sent.octets for sender, sent in self.sent[before:] if sender is host]

    # The link -------------------------------------------------------------------------------------

    def other(self, host: Host) -> Host:
        return self.right if host is self.left else self.left

    def carried(self, host: Host, local: Endpoint, peer: Endpoint, octets: bytes) -> Datagram:
        """Return what the other host gets of a datagram that `host` sends."""
        if self.nat is not None and host is self.left:
            local = self.nat.outward(local)
        elif self.nat is not None and peer.address == self.nat.public:
            peer = self.nat.inward(peer)
        return Datagram(peer, local, octets)

    @staticmethod
    def _lend(host: Host, sa: bytes, event: Event) -> None:
        """Do with leases what the driver does."""
        if isinstance(event, Closed):
            host.leases.release(sa)
        elif isinstance(event, Rekeyed):
            host.leases.pass_on(sa, event.successor)

    # Performing -----------------------------------------------------------------------------------

    def perform(self, host: Host, actions: tuple[Action, ...]) -> None:
        """Do what a host wants; as in the driver, answers come after all of it is done."""
        asked = [action for action in actions if isinstance(action, Ask | InstallChild)]
        host.redirects += [one for one in actions if isinstance(one, FollowRedirect)]
        for action in actions:
            self._perform(host, action)
        for question in asked:
            answer = host.answer(question)
            if answer is not None:
                self.give(host, question, answer)

    def _perform(self, host: Host, action: Action) -> None:
        match action:
            case Send(octets=octets) if octets == NAT_KEEPALIVE:
                self.keepalives.append((host, self.now))
            case Send(local, peer, octets):
                datagram = self.carried(host, local, peer, octets)
                self.sent.append((host, datagram))
                self.wire.extend((self.other(host), one) for one in self.fate(host, datagram))
            case SetTimer(sa, _, at):
                host.timers.pop(sa, None)
                if at is not None:
                    host.timers[sa] = at
            case Ask() | InstallChild() | RevokeTicket() | FollowRedirect():
                pass
            case MigrateChild() | ActivateChild() | RemoveChild():
                host.change(action)
            case Report(sa, event):
                host.events.append(event)
                self._lend(host, sa, event)
            case Forget(sa):
                host.timers.pop(sa, None)
                host.leases.release(sa)
                host.eap.forget(sa)
                host.forgotten.append(sa)

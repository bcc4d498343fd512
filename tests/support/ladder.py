# SPDX-License-Identifier: Apache-2.0
"""Two endpoints of the real core, a virtual clock and a link that a test can watch and disturb."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address

from ikeway.crypto.keypair import PrivateKey
from ikeway.crypto.random import SeededRandom
from ikeway.ike.endpoint import Endpoint as IkeEndpoint
from ikeway.ike.environment import Environment
from ikeway.ike.io import (
    Action,
    Answer,
    Answered,
    Ask,
    Datagram,
    Disconnect,
    Forget,
    Initiate,
    InstallChild,
    Installed,
    Lease,
    Measured,
    MeasureUsage,
    Refused,
    RemoveChild,
    Report,
    Send,
    SetTimer,
    Sign,
    TimerFired,
    VerifyCertificate,
)
from ikeway.ike.reports import Event
from ikeway.ike.states import Established
from ikeway.model.address import Endpoint
from ikeway.model.esp import ChildSa, Usage
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.connection import Connection, PeerAddress, Proof, SelectorTemplate
from ikeway.policy.credentials import Credentials, IdPattern, PreSharedKey
from ikeway.policy.pools import Pool
from ikeway.runtime.leases import Leases
from ikeway.runtime.pki import Pki

LEFT, RIGHT = ip_address("192.0.2.1"), ip_address("192.0.2.2")
TODAY = datetime(2026, 6, 1, tzinfo=UTC)
PSK = Secret(b"correct horse battery staple")


@dataclass
class Host:
    """One side: its endpoint, and a shell that answers everything at once from real parts."""

    name: str
    endpoint: IkeEndpoint
    pki: Pki
    leases: Leases
    installed: dict[int, ChildSa] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    timers: dict[bytes, float] = field(default_factory=dict)
    asked: list[Ask] = field(default_factory=list)
    refuse_install: str | None = None
    usage: Usage = Usage()
    mute: bool = False

    def answer(self, ask: Ask) -> Answer:
        match ask.question:
            case Sign():
                return self.pki.sign(ask.question)
            case VerifyCertificate():
                return self.pki.verify(ask.question)
            case Lease():
                return self.leases.lease(ask.ticket.sa, ask.question)
            case MeasureUsage():
                return Measured(self.usage)

    def install(self, action: InstallChild) -> Answer:
        if self.refuse_install:
            return Refused(self.refuse_install)
        self.installed[action.child.spi_in] = action.child
        return Installed()

    def seen(self, kind: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def established(self) -> list[Established]:
        return [sa.state for sa in self.endpoint.sas if isinstance(sa.state, Established)]


Fate = Callable[[Host, Datagram], list[Datagram]]


class Ladder:
    """Left initiates, right responds. `fate` decides what becomes of each datagram."""

    def __init__(self, left: Host, right: Host) -> None:
        self.left, self.right = left, right
        self.now = 0.0
        self.wire: deque[tuple[Host, Datagram]] = deque()
        self.sent: list[tuple[str, bytes]] = []
        self.fate: Fate = lambda _host, datagram: [datagram]

    def initiate(self, connection: Connection | None = None) -> bytes:
        chosen = connection or self.left.endpoint.env.connections[0]
        command = Initiate(chosen, Endpoint(LEFT, 500), Endpoint(RIGHT, 500))
        spi, actions = self.left.endpoint.initiate(command, self.now)
        self.perform(self.left, actions)
        return spi

    def connect(self, connection: Connection | None = None) -> bytes:
        spi = self.initiate(connection)
        self.settle()
        return spi

    def disconnect(self, host: Host, spi: bytes) -> None:
        self.perform(host, host.endpoint.handle(spi, Disconnect("asked to"), self.now))

    def settle(self) -> None:
        """Deliver what is on the wire until nothing is."""
        while self.wire:
            host, datagram = self.wire.popleft()
            self.perform(host, host.endpoint.receive(datagram, self.now))

    def run(self, until: float, step: Callable[[], None] | None = None) -> None:
        """Let the timers of both sides fire in order until that time."""
        while True:
            self.settle()
            due = min(
                (
                    (at, host.name, spi)
                    for host in (self.left, self.right)
                    for spi, at in host.timers.items()
                ),
                default=None,
            )
            if due is None or due[0] > until:
                self.now = max(self.now, until)
                return
            at, name, spi = due
            self.now = max(self.now, at)
            host = self.left if name == self.left.name else self.right
            host.timers.pop(spi)
            self.perform(host, host.endpoint.handle(spi, TimerFired(), self.now))
            if step:
                step()

    def perform(self, host: Host, actions: tuple[Action, ...]) -> None:
        for action in actions:
            self._perform(host, action)

    def _perform(self, host: Host, action: Action) -> None:
        match action:
            case Send(local, peer, octets):
                self.sent.append((host.name, octets))
                other = self.right if host is self.left else self.left
                for datagram in self.fate(host, Datagram(peer, local, octets)):
                    self.wire.append((other, datagram))
            case SetTimer(sa, _, at):
                host.timers.pop(sa, None)
                if at is not None:
                    host.timers[sa] = at
            case Ask():
                host.asked.append(action)
                if not host.mute:
                    self._answer(host, action.ticket, host.answer(action))
            case InstallChild():
                if not host.mute:
                    self._answer(host, action.ticket, host.install(action))
            case RemoveChild(_, spi_in):
                host.installed.pop(spi_in, None)
            case Report(_, event):
                host.events.append(event)
            case Forget(sa):
                host.timers.pop(sa, None)
                host.leases.release(sa)

    def _answer(self, host: Host, ticket: object, answer: Answer) -> None:
        event = Answered(ticket, answer)  # type: ignore[arg-type]
        self.perform(host, host.endpoint.handle(event.ticket.sa, event, self.now))


def host(
    name: str,
    connections: tuple[Connection, ...],
    credentials: Credentials,
    keys: dict[str, PrivateKey] | None = None,
    pools: dict[str, Pool] | None = None,
) -> Host:
    """Return a host whose randomness depends on its name alone."""
    random = SeededRandom(Secret(name.encode().ljust(32, b".")))
    env = Environment(random, connections, credentials)
    pki = Pki(keys or {}, credentials.authorities, lambda: TODAY)
    return Host(name, IkeEndpoint(env), pki, Leases(pools or {}))


def template(text: str) -> SelectorTemplate:
    from ipaddress import ip_network

    return SelectorTemplate(None if text == "dynamic" else ip_network(text))


def psk_connection(local: str, peer: str, **changes: object) -> Connection:
    """Return a plain connection by pre-shared key; `changes` are fields of `Connection`."""
    plain = Connection(
        name=f"to-{peer}",
        local_id=Identity.parse(local),
        peer=PeerAddress(),
        local_auth=Proof.PSK,
        peer_auth=(Proof.PSK,),
        peer_id=IdPattern(peer),
        local_ts=(template("10.1.0.0/16" if local == "left.example" else "10.2.0.0/16"),),
        peer_ts=(template("10.2.0.0/16" if local == "left.example" else "10.1.0.0/16"),),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def psk_ladder(
    left: dict[str, object] | None = None, right: dict[str, object] | None = None
) -> Ladder:
    """Return two hosts that share a key; the arguments change their connections."""
    secrets = Credentials(secrets=(PreSharedKey(IdPattern("*"), PSK),))
    one = psk_connection("left.example", "right.example", **(left or {}))
    two = psk_connection("right.example", "left.example", **(right or {}))
    return Ladder(host("left", (one,), secrets), host("right", (two,), secrets))

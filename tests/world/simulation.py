# SPDX-License-Identifier: Apache-2.0
"""One world: hosts, a network between them, a virtual clock, and a script of what happens."""

import hashlib
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final

from ikeway.ike.io import Datagram, Report, Send
from ikeway.ike.reports import Closed, Established, Reauthenticating, Rekeyed
from ikeway.ike.states import Established as Up
from ikeway.model.address import Address, Endpoint
from ikeway.model.identity import Identity
from ikeway.wire.message import NAT_KEEPALIVE
from world import acting, actions, layout, reference, traffic, variety
from world.actions import Act
from world.forger import Forger
from world.harmless import send
from world.host import Host
from world.network import EspPacket, Nat, Network, Packet
from world.prng import Prng
from world.seals import Broken, Seals, recording

GAP: Final = 0.05
"""Seconds between two things of a script."""
INNER: Final = ip_network("172.16.0.0/12")
STEPS_MOST: Final = 1_000_000
STANDING_MOST: Final = 5_000
"""More happen, or more at one moment, only if something goes round in circles."""


@dataclass(frozen=True)
class Script:
    """What makes a world: its seed and what happens in it."""

    seed: int
    acts: tuple[Act, ...]
    generation: int = variety.PROVEN


@dataclass
class Outcome:
    """How it went. `digest` is of all that was sent; `violation` is what did not hold."""

    seed: int
    handshakes: int = 0
    messages: int = 0
    forged: int = 0
    probes: int = 0
    seconds: float = 0.0
    digest: str = ""
    violation: Broken | None = None
    reports: dict[str, int] = field(default_factory=dict)


class World:
    """All hosts, and what is going to happen, in order.

    `dismissed` are the IKE SAs, by host and SPI, of which a Child SA was closed on purpose: with
    the connection and the peer of each.
    """

    def __init__(self, seed: int, generation: int = variety.PROVEN) -> None:
        self.seed = seed
        self.now = 1000.0
        self.disturbed = self.now
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = self._standing = 0
        self._digest = hashlib.blake2b(digest_size=16)
        self.layout = variety.draw(seed, generation)
        prng = Prng(seed, "nats")
        memory = self.layout.keepalive / layout.KEEPALIVE
        nats = [
            Nat(public, memory * prng.pick((60.0, 180.0, 3600.0))) for public in self.layout.nats
        ]
        self.network = Network(seed, nats)
        self.forger = Forger(seed, Prng(seed, "forger"))
        self.dismissed: dict[tuple[int, bytes], tuple[str, Identity]] = {}
        self.probes = traffic.Probes(self)
        self.resumed: set[tuple[int, bytes]] = set()
        octets = self.layout.packet_octets
        self.hosts = [Host(place, n, self, octets) for n, place in enumerate(self.layout.places)]
        self._by_address = {
            address: host
            for host in self.hosts
            for address in (*host.place.addresses, *host.place.others)
        }

    # The clock ------------------------------------------------------------------------------------

    def at(self, when: float, what: Callable[..., None], *args: Any) -> None:
        """Call `what` at a time; of two things at one time the one asked for first comes first."""
        self._number += 1
        if self._number > STEPS_MOST:
            raise Broken("I5", f"{STEPS_MOST} steps and no end")
        heapq.heappush(self._events, (when, self._number, what, args))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        events = self._events
        while events and events[0][0] <= until:
            when, _, what, args = heapq.heappop(events)
            self._standing = self._standing + 1 if when <= self.now else 0
            if self._standing > STANDING_MOST:
                raise Broken("I5", f"{STANDING_MOST} steps, and time stands still")
            self.now = max(self.now, when)
            what(*args)
        self.now = until

    # The network ----------------------------------------------------------------------------------

    def carry(self, host: Host, packet: Packet) -> None:
        """Take a packet to wherever it is going; the attacker sees it first."""
        content = packet.content
        if isinstance(content, bytes):
            self._digest.update(content)
            self._race(host, Send(packet.source, packet.target, content))
        if self.network.is_cut(host.place.name, self.now):
            return
        if packet.source.address not in host.addresses:
            return
        on_wire = self._outward(host, packet)
        for wait in self.network.fates(host.place.name, self.now):
            self.at(self.now + wait, self._arrive, host, on_wire)

    def _outward(self, host: Host, packet: Packet) -> Packet:
        if host.place.nat is None or packet.source.address not in INNER:
            return packet
        nat = self.network.nats[host.place.nat]
        source = nat.outward(packet.source, packet.target, self.now)
        return Packet(source, packet.target, packet.content)

    def _arrive(self, sender: Host, packet: Packet) -> None:
        found = self._whose(packet)
        if found is None:
            return
        host, inner = found
        if self.network.is_cut(host.place.name, self.now):
            return
        if isinstance(packet.content, EspPacket):
            self.probes.arrived(sender, host, packet.content, is_taken=host.arrive(inner))
            return
        if packet.content == NAT_KEEPALIVE:
            return  # for the NAT alone; sockets drop it (RFC 3948 §2.3)
        host.arrive(inner)

    def _whose(self, packet: Packet) -> tuple[Host, Packet] | None:
        target: Endpoint = packet.target
        nat = self.network.nat_at(target.address)
        if nat is not None:
            inner = nat.inward(packet.source, target, self.now)
            if inner is None:
                return None
            target = inner
        host = self.host_at(target.address)
        return None if host is None else (host, Packet(packet.source, target, packet.content))

    def host_at(self, address: Address) -> Host | None:
        """Return the host with this address, seen from where it is."""
        host = self._by_address.get(address)
        return host if host is not None and address in host.addresses else None

    def _race(self, host: Host, asked: Send) -> None:
        forged = self.forger.answer(host, asked)
        if forged is not None:
            self.at(self.now + 0.001, self._raced, host, host.lives, forged)

    def _raced(self, host: Host, lives: int, forged: Datagram) -> None:
        if host.hears and host.lives == lives:
            self.forger.sent += 1
            send(host, forged, is_replay=True)

    # What is heard --------------------------------------------------------------------------------

    def accepted(self, host: Host, datagram: Datagram) -> None:
        """Hear of a datagram that had its effect: from now on it must have no other."""
        self.forger.watch(host, datagram)

    def told(self, host: Host, report: Report) -> None:
        """Hear of what happened at a host; its counters have the record."""
        event = report.event
        self._note_closed(host, report)
        if isinstance(event, Established) and event.resumed:
            if (host.number, event.resumed) in self.resumed:
                raise Broken("tickets", f"{host.place.name} takes the ticket of an SA twice")
            self.resumed.add((host.number, event.resumed))

    def _note_closed(self, host: Host, report: Report) -> None:
        """Note on which IKE SAs a Child SA stays closed: also where the peer begins another one."""
        event, one = report.event, (host.number, report.sa)
        of = self.dismissed.get(one)
        if of is not None and isinstance(event, Rekeyed | Reauthenticating):
            self.dismissed[host.number, event.successor] = of
        elif isinstance(event, Closed):
            self.dismissed.pop(one, None)
        elif isinstance(event, Established):
            new = next(sa.state for sa in host.endpoint.sas if sa.spi == report.sa)
            is_ours = not isinstance(new, Up) or new.session.link.is_initiator
            same = event.connection, event.peer_id
            closed = {of for (number, _), of in self.dismissed.items() if number == host.number}
            if same in closed and not is_ours:
                self.dismissed[one] = same

    def disturb(self) -> None:
        """Note that something happened that may cost packets."""
        self.disturbed = self.now

    @property
    def digest(self) -> str:
        """What names all that was sent, in order."""
        return self._digest.hexdigest()


def written(seed: int, hours: float, generation: int = variety.PROVEN) -> Script:
    """Return the script of a seed."""
    pace = variety.draw(seed, generation).pace
    draws = actions.LATER if generation >= variety.ABILITIES else actions.DRAWS
    return Script(seed, actions.draw(seed, hours, pace, draws), generation)


def play(script: Script) -> Outcome:
    """Let a script happen and return how it went."""
    outcome, seals = Outcome(script.seed), Seals()
    with recording(seals):
        world: World | None = None
        try:
            world = World(script.seed, script.generation)
            for act in script.acts:
                acting.act(world, act)
                world.run(GAP)
                reference.check_always(world)
            reference.check_end(world)
        except Broken as broken:
            outcome.violation = broken
    if world is not None:
        _sum_up(world, outcome)
    return outcome


def _sum_up(world: World, outcome: Outcome) -> None:
    for host in world.hosts:
        outcome.handshakes += host.counters.established
        outcome.messages += host.counters.messages
        for name, count in host.counters.reports.items():
            outcome.reports[name] = outcome.reports.get(name, 0) + count
    outcome.handshakes //= 2
    outcome.forged = world.forger.sent
    outcome.probes = world.probes.sent
    outcome.seconds = world.now - 1000.0
    outcome.digest = world.digest

# SPDX-License-Identifier: Apache-2.0
"""Inner packets: they leave through an SA or not at all (I6), and the peer has that SA too."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ikeway.ike.states import Established
from ikeway.model.address import Address
from ikeway.model.selectors import TrafficSelector
from world.host import Host
from world.network import EspPacket, Packet
from world.plane import Installed
from world.seals import Broken

if TYPE_CHECKING:
    from world.simulation import World

SETTLED: Final = 120.0
"""Seconds without any trouble after which no packet may be lost any more."""


@dataclass
class Probes:
    """Packets of the pairs of a world. `held` had no SA to leave through.

    `beside` are those that left although a newer pair waits for the peer's first packet on it.
    """

    world: "World"
    sent: int = 0
    taken: int = 0
    held: int = 0
    beside: set[tuple[int, int]] = field(default_factory=set)

    def order(self, pair: int, packets: int, gap: float) -> None:
        """Let a pair exchange packets."""
        for number in range(packets):
            for from_left in (True, False):
                when = self.world.now + number * gap
                self.world.at(when, self._one, pair, from_left)

    def _one(self, pair: int, from_left: bool) -> None:
        self.send(pair, from_left=from_left)

    def send(self, pair: int, *, from_left: bool) -> bool:
        """Send a packet; whether there was an SA for it."""
        sides = self.world.layout.pairs[pair]
        left, right = self.world.hosts[sides.left], self.world.hosts[sides.right]
        sender, receiver = (left, right) if from_left else (right, left)
        found = newest(sender, receiver)
        if found is None or not sender.hears:
            self.held += 1
            return False
        child, content = found.child, sender.plane.seal(found)
        if content is None:
            self.held += 1
            return False
        self.sent += 1
        if any(each.is_standby and _leads_to(each, receiver) for each in sender.plane.all):
            self.beside.add((content.spi, content.sequence))
        self.world.carry(sender, Packet(child.local, child.peer, content))
        sender.look_at_limits(child.spi_in)
        return True

    def arrived(self, sender: Host, host: Host, packet: EspPacket, *, is_taken: bool) -> None:
        """Judge a packet that reached a host.

        Raises:
            Broken: it was not taken, although both sides are up and nothing went wrong.
        """
        if is_taken:
            self.taken += 1
            return
        if self.is_settled and host.hears and self._should_know(host, sender, packet):
            what = f"{host.place.name} does not know the SA that {sender.place.name} sends through"
            raise Broken("traffic", f"{what} (SPI {packet.spi:#010x})")

    def _should_know(self, host: Host, sender: Host, packet: EspPacket) -> bool:
        """Whether a host has an SA with the sender, who cannot but know that this one is gone.

        What the host gave up, because the sender did not answer, the sender learns of when it asks.
        What it lost when it crashed has the traffic until there is another pair, or until it has
        sent something through one that waits for that (§2.8).
        """
        spi = packet.spi
        if spi in host.lost and (spi, packet.sequence) in self.beside:
            return False
        if host.plane.is_over(spi):
            return False
        given_up = host.given_up.get(spi)
        if given_up is not None and self.world.now - given_up < self.world.layout.silence:
            return False
        name = sender.place.identity
        states = [sa.state for sa in host.endpoint.sas if isinstance(sa.state, Established)]
        children = (child for state in states for child in state.children)
        if any(child.sa.spi_in == spi and not child.is_installed for child in children):
            # Its data plane was told and says nothing, which the sender cannot know.
            return False
        return any(state.peer_id == name and state.children for state in states)

    @property
    def is_settled(self) -> bool:
        """Whether nothing has gone wrong for a while, and nothing is going wrong."""
        world = self.world
        network = world.network
        return (
            world.now - world.disturbed > SETTLED
            and network.is_fair(world.now)
            and all(host.hears and not host.faults.rules for host in world.hosts)
        )


def newest(host: Host, peer: Host) -> Installed | None:
    """Return the pair of SAs of a host that sends to a peer.

    It is the newest that is not on standby, or the oldest that is.
    """
    found = [
        one
        for one in reversed(host.plane.children.values())
        if _leads_to(one, peer) and not one.is_retired
    ]
    return next((one for one in found if not one.is_standby), found[-1] if found else None)


def _leads_to(installed: Installed, peer: Host) -> bool:
    """Whether a pair of SAs is one with that peer: what it selects belongs to the peer."""
    there = installed.child.peer_ts
    return any(_covers(each, address) for each in there for address in inner(peer))


def inner(host: Host) -> tuple[Address, ...]:
    """Return the addresses inside: of the networks behind a host, or lent to it."""
    fixed = [
        template.network[1]
        for connection in host.place.connections
        for template in connection.local_ts
        if template.network is not None
    ]
    if fixed:
        return (*dict.fromkeys(fixed), *host.place.addresses)
    return tuple(
        selector.start
        for installed in host.plane.children.values()
        for selector in installed.child.local_ts
    )


def _covers(selector: TrafficSelector, address: Address) -> bool:
    same = selector.version == address.version
    return same and int(selector.start) <= int(address) <= int(selector.end)

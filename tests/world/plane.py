# SPDX-License-Identifier: Apache-2.0
"""A model of the data plane: which SA a packet takes, and whether the peer has that SA too.

What a connection protects leaves through an SA or not at all (I6), and no key is used by two SAs,
whose sequence numbers would both start at 1 (I7).
"""

from dataclasses import dataclass, field, replace

from ikeway.ike.io import MigrateChild
from ikeway.model.address import Endpoint
from ikeway.model.esp import ChildSa, Usage
from world.network import EspPacket
from world.seals import Broken


@dataclass
class Installed:
    """A pair of SAs and what went through it.

    One on standby receives, but does not send yet; one that is retired does not send any more.
    """

    child: ChildSa
    is_standby: bool = False
    sequence: int = 0
    received: int = 0
    newest: int = 0
    is_newest: bool = False
    is_retired: bool = False
    told: set[bool] = field(default_factory=set)

    def news(self, packet_octets: int) -> list[bool]:
        """Return which limits it has just now reached, the hard one as True; each is told once."""
        found = [hard for hard in (False, True) if self.is_at(packet_octets, is_hard=hard)]
        new = [hard for hard in found if hard not in self.told]
        self.told.update(new)
        return new

    def is_at(self, packet_octets: int, *, is_hard: bool) -> bool:
        """Whether either direction has carried what the soft, or the hard, limit says."""
        known, carried = self.child.limits, max(self.sequence, self.received)
        packets = known.hard_packets if is_hard else known.soft_packets
        octets = known.hard_octets if is_hard else known.soft_octets
        return 0 < packets <= carried or 0 < octets <= carried * packet_octets


@dataclass
class Plane:
    """Installed Child SAs by inbound SPI, the newest last. `ever` has all keys that were used."""

    host: str
    children: dict[int, Installed] = field(default_factory=dict)
    ever: set[bytes] = field(default_factory=set)
    unknown: int = 0
    packet_octets: int = 100

    def install(self, child: ChildSa, *, is_standby: bool = False) -> str | None:
        """Take a pair of SAs; return why not if it is refused."""
        if child.spi_in in self.children:
            return f"SPI {child.spi_in:#010x} is in use"
        key = child.keys_out.encr.octets + child.keys_out.integ.octets
        if key in self.ever:
            raise Broken("I7", f"{self.host} installs an outbound key for the second time")
        self.ever.add(key)
        self.children[child.spi_in] = Installed(child, is_standby)
        return None

    def activate(self, spi_in: int) -> None:
        """Let a pair on standby send; one that is gone is none."""
        if spi_in in self.children:
            self.children[spi_in].is_standby = False

    @property
    def all(self) -> tuple[Installed, ...]:
        """All pairs, the oldest first."""
        return tuple(self.children.values())

    def migrate(self, action: MigrateChild) -> None:
        """Change where a pair's ends are; its numbers stay (I7)."""
        installed = self.children.get(action.spi_in)
        if installed is not None:
            installed.child = replace(
                installed.child,
                local=action.local,
                peer=action.peer,
                encapsulation=action.encapsulation,
            )

    def retire(self, spi_in: int) -> None:
        """Send nothing more through a pair: another one has its traffic."""
        if spi_in in self.children:
            self.children[spi_in].is_retired = True

    def remove(self, spi_in: int) -> None:
        """Take out a pair; one that was never installed is none."""
        self.children.pop(spi_in, None)

    def measure(self, spis: tuple[int, ...]) -> Usage:
        """Return what came in and went out through these."""
        found = [self.children[spi] for spi in spis if spi in self.children]
        received = sum(each.received for each in found)
        sent = sum(each.sequence for each in found)
        octets = self.packet_octets
        return Usage(received, received * octets, sent, sent * octets)

    def is_over(self, spi_in: int) -> bool:
        """Whether a pair has carried all that it may, so that it carries nothing any more."""
        installed = self.children.get(spi_in)
        return installed is not None and installed.is_at(self.packet_octets, is_hard=True)

    def seal(self, installed: Installed) -> EspPacket | None:
        """Return the next packet of an outbound SA, unless it has carried all that it may."""
        if installed.is_at(self.packet_octets, is_hard=True):
            return None
        installed.sequence += 1
        child = installed.child
        return EspPacket(child.spi_out, child.keys_out.encr.octets, installed.sequence)

    def open(self, packet: EspPacket) -> bool:
        """Take a packet from the network; whether it is one of ours."""
        installed = self.children.get(packet.spi)
        if installed is None:
            self.unknown += 1
            return False
        if installed.child.keys_in.encr.octets != packet.key:
            return False
        if installed.is_at(self.packet_octets, is_hard=True):
            return False
        installed.received += 1
        installed.is_newest = packet.sequence > installed.newest
        installed.newest = max(installed.newest, packet.sequence)
        installed.is_standby = False
        return True

    def has_moved(self, packet: EspPacket, source: Endpoint) -> bool:
        """Whether a packet that was taken says that the peer is elsewhere (RFC 7296 §2.23)."""
        installed = self.children[packet.spi]
        return installed.is_newest and installed.child.peer != source

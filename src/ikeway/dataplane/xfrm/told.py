# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells by itself, as events of a data plane."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Final, TypeAlias

from ikeway.dataplane.port import PacketWaits, PairSpent, PeerMoved, PlaneEvent
from ikeway.dataplane.xfrm import messages
from ikeway.dataplane.xfrm.messages import Direction, Found, Kind, Packet
from ikeway.dataplane.xfrm.policies import Policies
from ikeway.model.selectors import PORT_MAX, TrafficSelector, Trigger

AGAIN_SECONDS: Final = 1.0
_ICMP: Final = frozenset({1, 58})
_WITH_PORTS: Final = frozenset({6, 17, 33, 132, 136, *_ICMP})

Hearer: TypeAlias = Callable[[bytes], PlaneEvent | None]


@dataclass
class Told:
    """Makes events of messages; what comes again within a second is told once.

    `ended` are the SAs that have come to a hard limit, as they were: the kernel forgets them.
    """

    policies: Policies
    ended: dict[bytes, Found] = field(default_factory=dict)
    _last: dict[object, float] = field(default_factory=dict)
    _limits: set[PairSpent] = field(default_factory=set)

    def hear(self, kind: int, octets: bytes) -> PlaneEvent | None:
        """Return the event that a message tells of, if it is one of ours and news."""
        hearers: Mapping[int, Hearer] = {
            Kind.ACQUIRE: self._wanted,
            Kind.EXPIRE: self._spent,
            Kind.MAPPING: self._moved,
        }
        hearer = hearers.get(kind)
        return hearer(octets) if hearer is not None else None

    def forget(self, spi_in: int) -> None:
        """Forget what was told of a pair that is gone."""
        self._last.pop(spi_in, None)
        self._limits -= {PairSpent(spi_in, is_over=False), PairSpent(spi_in, is_over=True)}

    def _wanted(self, octets: bytes) -> PlaneEvent | None:
        packet, met = messages.read_acquire(octets)
        for number, flows in self.policies.traps.items():
            if any(messages.selector(flow, Direction.OUT) == met for flow in flows):
                is_news = self._is_news(("trap", number))
                return PacketWaits(number, _trigger(Packet.read(packet))) if is_news else None
        return None

    def _spent(self, octets: bytes) -> PlaneEvent | None:
        found, is_over = messages.read_expiry(octets)
        for spi_in, pair in self.policies.pairs.items():
            child = pair.child
            ends = (spi_in, child.local.address), (child.spi_out, child.peer.address)
            if (found.spi, found.target) not in ends:
                continue
            if is_over:
                self.ended[found.name] = found
            event = PairSpent(spi_in, is_over)
            is_news = event not in self._limits
            self._limits.add(event)
            return event if is_news else None
        return None

    def _moved(self, octets: bytes) -> PlaneEvent | None:
        spi_in, peer = messages.read_mapping(octets)
        pair = self.policies.pairs.get(spi_in)
        if pair is None or pair.child.peer == peer or not self._is_news(spi_in):
            return None
        return PeerMoved(spi_in, peer)

    def _is_news(self, what: object) -> bool:
        now = time.monotonic()
        if now - self._last.get(what, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return False
        self._last[what] = now
        return True


def _trigger(packet: Packet) -> Trigger:
    """Return the packet's selectors; ICMP's type and code are in the places of the ports."""
    ports = packet.source_port, packet.target_port
    if packet.protocol in _ICMP:
        ports = (packet.source_port << 8 | packet.target_port,) * 2
    ends = zip((packet.source, packet.target), ports, strict=True)
    local, peer = (
        TrafficSelector.of(
            ip_network(address),
            packet.protocol,
            (port, port) if packet.protocol in _WITH_PORTS else (0, PORT_MAX),
        )
        for address, port in ends
    )
    return Trigger(local, peer)

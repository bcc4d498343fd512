# SPDX-License-Identifier: Apache-2.0
"""What the data plane tells: packets that wait, are refused or come from elsewhere, spent pairs."""

from collections.abc import Callable
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from ikeway.daemon.traps import Traps
from ikeway.dataplane.port import (
    BreakerTurned,
    DataPlane,
    IkeDatagram,
    PacketEvent,
    PacketsRefused,
    PacketWaits,
    PairSpent,
    PathNarrowed,
    PeerMoved,
    PlaneLost,
    PlaneRenewed,
    Refusal,
    StreamResized,
)
from ikeway.ike.io import PeerSeen, Spent
from ikeway.model.address import NAT_PORT, Address, Endpoint
from ikeway.model.errors import HostError
from ikeway.runtime.driver import Driver
from ikeway.runtime.network import HostNetwork


@dataclass
class PlaneEvents:
    """Brings each event to whom it concerns. `listen` are our addresses."""

    plane: DataPlane
    network: HostNetwork | None
    driver: Driver
    traps: Traps
    listen: tuple[Address, ...]
    log: FilteringBoundLogger

    async def follow(self) -> None:
        """Take all events, for ever."""
        async for event in self.plane.events():
            if isinstance(event, PlaneRenewed):
                await self._renewed()
            else:
                self._take(event)

    async def _renewed(self) -> None:
        """Have the host and the peers do with a data plane that knows nothing."""
        await reopen(self.network, self.driver.warn)
        self.driver.plane_renewed()
        self.traps.renew()

    def _take(self, event: PacketEvent) -> None:
        match event:
            case IkeDatagram(local, peer, octets):
                self.driver.transport.deliver(local, peer, octets)
            case PacketsRefused():
                self._refused(event)
            case PacketWaits():
                self.traps.sprung(event)
            case PairSpent(spi_in, is_over):
                self.driver.of_child(Spent(spi_in, is_over))
            case PathNarrowed(peer, mtu):
                self.log.info(f"the path to {peer} carries {mtu} octets", peer=str(peer), mtu=mtu)
            case PlaneLost():
                self.driver.warn(lost(event))
            case StreamResized(spi_in, octets):
                words = f"the stream's packets have {octets} octets now"
                self.log.info(words, spi=f"{spi_in:08x}", octets=octets)
            case BreakerTurned():
                self._turned(event)
            case PeerMoved(spi_in, peer):
                # Each second until IKE migrates the pair.
                self.driver.of_child(PeerSeen(spi_in, peer))

    def _turned(self, event: BreakerTurned) -> None:
        """Say what a circuit breaker did, and what was measured (RFC 8084 §4, 14)."""
        fields = {"spi": f"{event.spi_in:08x}", "per_second": round(event.per_second, 1)}
        rate = f"{event.per_second:.4g} packets a second"
        if event.is_open:
            words = f"circuit breaker: {event.lost:.0%} of the stream is lost; it falls to {rate}"
            self.log.warning(words, lost=round(event.lost, 3), **fields)
        else:
            self.log.info(f"circuit breaker: the path is good; the stream is at {rate}", **fields)

    def _refused(self, event: PacketsRefused) -> None:
        spi, peer = event.spi, event.peer
        self.log.warning(
            f"packets dropped: {event.refusal.value}",
            spi=f"{spi:08x}",
            peer=str(peer) if peer else None,
            count=event.count,
        )
        if event.refusal is Refusal.UNKNOWN_SPI and peer is not None:
            self._unknown_spi(spi, peer)

    def _unknown_spi(self, spi: int, peer: Endpoint) -> None:
        """Let the peer know; the engine tells of such packets once a second at most."""
        version = peer.address.version
        ours = next((one for one in self.listen if one.version == version), None)
        if ours is not None:
            self.driver.unknown_packet(spi, Endpoint(ours, NAT_PORT), peer)


def lost(event: PlaneLost) -> str:
    """Return what the operator is to know of it."""
    when = f"in {event.again:g} s" if event.again else "at once"
    return f"no packets are moved: {event.reason}; another engine is started {when}"


async def reopen(network: HostNetwork | None, warn: Callable[[str], None]) -> None:
    """Take the interface of a data plane that was renewed into use.

    Where that fails the interface, and so the engine, is gone again, and another one comes.
    """
    if network is None:
        return
    try:
        await network.reopen()
    except HostError as error:
        warn(f"the interface of the new engine cannot be used: {error}")

# SPDX-License-Identifier: Apache-2.0
"""What the daemon asks of a data plane, whichever moves the packets (RFC 4301 §4.4, §5)."""

import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from ikeway.model.address import NAT_PORT, Address, Endpoint
from ikeway.model.esp import ChildSa, Encapsulation, Usage
from ikeway.model.policies import TrafficPolicy
from ikeway.model.selectors import Selectors, Trigger
from ikeway.model.time import Seconds


@dataclass(frozen=True, slots=True)
class PlaneConfig:
    """Where the data plane listens for ESP in UDP, and the interface that it makes for the host.

    `ike_sockets` is how many each address has beside those of ESP. A data plane that has threads of
    its own has them for each of `queues`, and a socket for ESP. `busy_poll` is for how many
    microseconds such a thread looks for more before it sleeps. It `is_joined` if the sockets of IKE
    are there, from a data plane that is gone: only those of ESP are bound. It `compresses` where a
    pair may have to be, and says so if it cannot.
    """

    listen: tuple[Address, ...]
    port: int = NAT_PORT
    tun: str = "ikeway0"
    mtu: int = 1400
    ike_sockets: int = 1
    queues: int = 1
    busy_poll: int = 0
    is_joined: bool = False
    compresses: bool = False


class Refusal(Enum):
    """Why packets went no further."""

    MALFORMED = "malformed"
    UNKNOWN_SPI = "unknown_spi"
    REPLAYED = "replayed"
    INTEGRITY_FAILED = "integrity_failed"
    BAD_PADDING = "bad_padding"
    NOT_IP = "not_ip"
    SELECTOR_MISMATCH = "selector_mismatch"
    SEQUENCE_EXHAUSTED = "sequence_exhausted"
    SPENT = "spent"
    TOO_LONG = "too_long"
    FRAGMENT = "fragment"
    STRAY_FRAGMENT = "stray_fragment"
    BAD_FRAGMENT = "bad_fragment"
    NOT_EXPANDED = "not_expanded"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class PacketsRefused:
    """Packets of one SA, or of none, that were dropped for one reason; told once a second at most.

    `spi` is as it stood in the last of the packets, for SEQUENCE_EXHAUSTED that of the outbound SA;
    SPENT counts both halves.
    `peer` is the sender of the last one, and may be made up.
    """

    refusal: Refusal
    spi: int
    peer: Endpoint | None
    count: int


@dataclass(frozen=True, slots=True)
class IkeDatagram:
    """An IKE datagram, non-ESP marker first, that did not come out of an IKE socket.

    The kernel may receive datagrams of one peer as one, and the engine takes them apart.
    Handle it like one from the socket.
    """

    local: Endpoint
    peer: Endpoint
    octets: bytes


@dataclass(frozen=True, slots=True)
class PeerMoved:
    """A peer sends from `peer`, and not from where its pair says; told once a second at most.

    The newest packet of the pair had a valid ICV and came from there, and nothing was changed: see
    `DataPlane.migrate`. Addresses themselves are not protected: whoever is on the path can change
    them.
    """

    spi_in: int
    peer: Endpoint


@dataclass(frozen=True, slots=True)
class PairSpent:
    """A direction of a pair has carried as much as its limits say; told once for each limit.

    At its soft limit it goes on; once it `is_over` it carries nothing any more.
    """

    spi_in: int
    is_over: bool


@dataclass(frozen=True, slots=True)
class PacketWaits:
    """A packet sprang a trap and waits for its pair; told once a second at most for each trap."""

    trap: int
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class PathNarrowed:
    """The path to a peer carries outer packets of `mtu` octets at most (RFC 4301 §8.2).

    It was learnt, and is believed for ten minutes. What is longer is fragmented before it is
    sealed, or its sender is told.
    """

    peer: Address
    mtu: int


@dataclass(frozen=True, slots=True)
class PlaneLost:
    """The data plane is gone, with all that it had; another one is tried in `again` seconds."""

    reason: str
    again: Seconds


@dataclass(frozen=True, slots=True)
class PlaneRenewed:
    """Another data plane stands in the place of one that was lost; it has policies, and no pair.

    Its interface is another one of the same name. Requests wait until the reader of events has seen
    to that and looks for the next event.
    """


@dataclass(frozen=True, slots=True)
class StreamResized:
    """The packets of a pair's stream have `octets` from now on: that is what the path carries."""

    spi_in: int
    octets: int


@dataclass(frozen=True, slots=True)
class BreakerTurned:
    """The breaker of a pair's stream has opened, or opened further, or closed (RFC 8084).

    The part of packets that was `lost` before is why, and `per_second` leave from now on.
    """

    spi_in: int
    is_open: bool
    lost: float
    per_second: float


PacketEvent: TypeAlias = (
    PacketsRefused
    | IkeDatagram
    | PeerMoved
    | PairSpent
    | PacketWaits
    | PathNarrowed
    | StreamResized
    | BreakerTurned
    | PlaneLost
)
"""What is told of packets, and of their end."""

PlaneEvent: TypeAlias = PacketEvent | PlaneRenewed


class DataPlane(Protocol):
    """A place where Child SAs are installed.

    Each method raises `HostError` if the data plane says no: the machine refused, it has no such
    pair, it has that SPI already, or it cannot do what the pair asks for.
    """

    @property
    def interface(self) -> str | None:
        """The interface that routes of protected traffic point to, if there is one."""
        ...

    @property
    def esp_sockets(self) -> int:
        """How many sockets of each address are for ESP; those of IKE were bound before them.

        A datagram of ESP belongs to that which the remainder of its SPI, divided by this, names.
        """
        return 1

    def ike_sockets(self) -> tuple[socket.socket, ...]:
        """Return the UDP sockets that IKE uses on the port of ESP.

        For each listening address there is one for each worker, in their order. They do not block,
        report their destination address (IP_PKTINFO) and belong to the data plane.
        """
        ...

    async def install(self, child: ChildSa, *, standby: bool = False) -> None:
        """Install both SAs of a pair; packets flow both ways when this returns.

        Of several pairs that select a packet the newest sends it; the older go on receiving.
        A pair on `standby` receives at once, and sends nothing that another pair selects until the
        peer has used it (RFC 7296 §2.8); from then on it is the newest. Where all are on standby,
        the oldest of them takes over.
        """
        ...

    async def activate(self, spi_in: int) -> None:
        """Have a pair on standby send from now on, though the peer has not used it yet."""
        ...

    async def migrate(
        self,
        spi_in: int,
        local: Endpoint,
        peer: Endpoint,
        encapsulation: Encapsulation = Encapsulation.UDP,
    ) -> None:
        """Change where both ends of a pair are; keys, sequence numbers and counters stay.

        What arrives is taken from anywhere, before and after.
        """
        ...

    async def remove(self, spi_in: int) -> Usage:
        """Remove the pair whose inbound SPI this is, and return what it carried."""
        ...

    async def trap(self, number: int, local_ts: Selectors, peer_ts: Selectors) -> None:
        """Have packets of these selectors that no pair protects wait for one, and say so.

        Few wait, and not for long; they leave once a pair is installed that selects them, and never
        without. A trap of the same number is replaced.
        """
        ...

    async def untrap(self, number: int) -> None:
        """Take back `trap`; what waits there is dropped when its time is over."""
        ...

    async def govern(self, policies: tuple[TrafficPolicy, ...]) -> None:
        """Have these policies, in this order, stand before all pairs and traps (RFC 4301 §4.4.1).

        Those of an earlier call are taken back. What they protect goes to pairs as without them;
        all else is dropped here: to send it around is the business of the host's routes.
        """
        ...

    async def usage(self, spi_in: int) -> Usage:
        """Return what a pair carried so far."""
        ...

    async def usages(self) -> Mapping[int, Usage]:
        """Return what each pair carried so far, by inbound SPI."""
        ...

    async def paths(self) -> Mapping[Address, int]:
        """Return what outer packets the paths to peers carry, as far as that was learnt here."""
        return {}

    async def reset(self) -> None:
        """Remove every pair, every trap and every policy."""
        ...

    def events(self) -> AsyncIterator[PlaneEvent]:
        """Yield what happens, for one reader, until the data plane is closed or detached from.

        Raises:
            HostError: the data plane is gone.
        """
        ...

    async def close(self) -> None:
        """Stop moving packets and give everything back."""
        ...

    async def detach(self) -> None:
        """Leave the data plane as it is, for another daemon to take over."""
        ...

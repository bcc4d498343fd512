# SPDX-License-Identifier: Apache-2.0
"""A Child SA, of ESP or of AH, as the data plane needs it (RFC 4301 §4.4, RFC 7296 §2.17)."""

from dataclasses import dataclass
from enum import Enum

from ikeway.model.address import Address, Endpoint
from ikeway.model.outer import PLAIN_OUTER, OuterHeader
from ikeway.model.secret import Secret
from ikeway.model.selectors import Selectors
from ikeway.model.time import Seconds
from ikeway.model.traffic_flow import OPEN, TrafficFlow


class Mode(Enum):
    """How packets are wrapped (RFC 4301 §3.2)."""

    TUNNEL = "tunnel"
    TRANSPORT = "transport"


class Encapsulation(Enum):
    """What carries ESP: IP protocol 50 or UDP (RFC 3948)."""

    NONE = "none"
    UDP = "udp"


@dataclass(frozen=True, slots=True)
class EspSuite:
    """The algorithms of a Child SA, by the code points of IKEv2's transform registries.

    `key_bits` is 0 where the cipher has one key length only; `integ` is 0 for AEAD ciphers. Where
    there is no cipher, not even NULL, and `encr` is 0, the protocol is AH (RFC 4302).
    """

    encr: int
    key_bits: int
    integ: int
    esn: bool

    @property
    def is_ah(self) -> bool:
        """Whether it is AH: integrity alone, of the outer header too."""
        return not self.encr


@dataclass(frozen=True, slots=True)
class EspKeys:
    """Keys of one direction. An AEAD cipher has its salt at the end of `encr`, and no `integ`."""

    encr: Secret
    integ: Secret


@dataclass(frozen=True, slots=True)
class Limits:
    """What each direction of a pair may carry (RFC 4301 §4.4.2.1); 0 is no limit.

    At a soft limit the pair is to be replaced; from a hard one on it carries nothing. Octets are of
    inner packets.
    """

    soft_packets: int = 0
    soft_octets: int = 0
    hard_packets: int = 0
    hard_octets: int = 0


@dataclass(frozen=True, slots=True)
class OriginalAddresses:
    """The two addresses as the peer has them in its packets, before NATs (RFC 7296 §2.23.1).

    The checksums of transport mode are made with them (RFC 3948 §3.1.2).
    """

    local: Address
    peer: Address


@dataclass(frozen=True, slots=True)
class Ipcomp:
    """The indices of a pair whose packets may be compressed by DEFLATE (RFC 3173 §3.3, RFC 2394).

    `cpi_in` is ours and stands in what comes in, `cpi_out` is the peer's.
    """

    cpi_in: int
    cpi_out: int


@dataclass(frozen=True, slots=True)
class ChildSa:
    """A pair of ESP or AH SAs: `spi_in` is ours (inbound), `spi_out` the peer's (outbound).

    `replay_window` is in packets; 0 switches the anti-replay service off (RFC 4303 §3.4.3).
    `original` is for transport mode, where a NAT is between: its selectors name the addresses that
    this host sees.
    `is_of_queue` is whether it is for the queue that its inbound SPI names, where the data plane
    has queues: packets there prefer it, and others use it only if they have no other (RFC 9611).
    `later_fragments` is whether fragments without ports follow a first one that has the right ones,
    both ways (RFC 4301 §7.3); where selectors are for all ports, they need not.
    """

    spi_in: int
    spi_out: int
    local: Endpoint
    peer: Endpoint
    mode: Mode
    encapsulation: Encapsulation
    suite: EspSuite
    keys_in: EspKeys
    keys_out: EspKeys
    local_ts: Selectors
    peer_ts: Selectors
    replay_window: int = 1024
    limits: Limits = Limits()
    original: OriginalAddresses | None = None
    traffic_flow: TrafficFlow = OPEN
    ipcomp: Ipcomp | None = None
    is_of_queue: bool = False
    outer: OuterHeader = PLAIN_OUTER
    later_fragments: bool = False

    @property
    def tells_ports_apart(self) -> bool:
        """Whether a selector is for certain ports, so that a later fragment has to be followed."""
        return any(ts.tells_ports_apart for ts in (*self.local_ts, *self.peer_ts))


@dataclass(frozen=True, slots=True)
class Compression:
    """What was compressed of a Child SA's packets: how many, and their payload's octets.

    Those are `plain` without compression and `packed` with it.
    """

    packets_in: int = 0
    plain_in: int = 0
    packed_in: int = 0
    packets_out: int = 0
    plain_out: int = 0
    packed_out: int = 0


@dataclass(frozen=True, slots=True)
class StreamState:
    """What is known of the stream that a pair sends (RFC 9347).

    `per_second` is its rate, `rtt` the round trip. `loss_event_rate` is what the peer reports of it
    (RFC 5348 §5.4). `is_open` is whether its breaker has slowed it down. None is not known, or that
    there is none.
    """

    per_second: float
    rtt: Seconds | None = None
    loss_event_rate: float | None = None
    is_open: bool | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What passed through a Child SA since it was installed; octets are of inner packets.

    `compression` is that of a pair of which a packet was compressed, `stream` that of one that has
    sent a stream; sums have none.
    """

    packets_in: int = 0
    octets_in: int = 0
    packets_out: int = 0
    octets_out: int = 0
    compression: Compression | None = None
    stream: StreamState | None = None

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.packets_in + other.packets_in,
            self.octets_in + other.octets_in,
            self.packets_out + other.packets_out,
            self.octets_out + other.octets_out,
        )

# SPDX-License-Identifier: Apache-2.0
"""Traffic selectors and their arithmetic (RFC 7296 §2.9, §3.13)."""

from dataclasses import dataclass
from ipaddress import ip_network, summarize_address_range
from typing import TypeAlias, cast

from typing_extensions import override

from ikeway.model.address import Address, Network

ANY_PROTOCOL = 0
ANY_PORT = 0
PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class TrafficSelector:
    """Inclusive ranges of addresses and ports of one address family.

    `protocol` 0 is any. OPAQUE ports are 65535 to 0 (RFC 7296 §3.13.1). ICMP puts its type into the
    high and its code into the low octet of the ports.
    """

    protocol: int
    port_start: int
    port_end: int
    start: Address
    end: Address

    @classmethod
    def of(
        cls,
        network: Network | str,
        protocol: int = ANY_PROTOCOL,
        ports: tuple[int, int] = (0, PORT_MAX),
    ) -> "TrafficSelector":
        """Return the selector of a whole network, by default of all its traffic."""
        net = ip_network(network) if isinstance(network, str) else network
        return cls(protocol, ports[0], ports[1], net[0], net[-1])

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.start.version

    @property
    def is_opaque(self) -> bool:
        """Whether the ports are OPAQUE: the protocol has ports, but they cannot be seen."""
        return self.port_start == PORT_MAX and self.port_end == 0

    @property
    def tells_ports_apart(self) -> bool:
        """Whether a fragment without ports is not covered (RFC 4301 §7: "non-trivial")."""
        return not self.is_opaque and (self.port_start, self.port_end) != (ANY_PORT, PORT_MAX)

    def networks(self) -> tuple[Network, ...]:
        """Return the prefixes that make up the address range, smallest address first."""
        return tuple(cast("list[Network]", list(summarize_address_range(self.start, self.end))))

    def intersect(self, other: "TrafficSelector") -> "TrafficSelector | None":
        """Return what both cover, or None if that is nothing."""
        if type(self.start) is not type(other.start):
            return None
        if other.covers(self):
            return self
        if ANY_PROTOCOL not in {self.protocol, other.protocol} and self.protocol != other.protocol:
            return None
        ports = _common_ports(self, other)
        start = max(self.start, other.start)
        end = min(self.end, other.end)
        if ports is None or int(start) > int(end):
            return None
        return TrafficSelector(self.protocol or other.protocol, *ports, start, end)

    def covers(self, other: "TrafficSelector") -> bool:
        """Whether every packet that `other` selects is selected here too."""
        return (
            type(self.start) is type(other.start)
            and self.protocol in {ANY_PROTOCOL, other.protocol}
            and _has_ports(self, other)
            and int(self.start) <= int(other.start)
            and int(other.end) <= int(self.end)
        )

    @override
    def __str__(self) -> str:
        networks = self.networks()
        where = str(networks[0]) if len(networks) == 1 else f"{self.start}-{self.end}"
        if self.protocol == ANY_PROTOCOL and (self.port_start, self.port_end) == (0, PORT_MAX):
            return where
        ports = "opaque" if self.is_opaque else f"{self.port_start}-{self.port_end}"
        return f"{where}[{self.protocol}/{ports}]"


Selectors: TypeAlias = tuple[TrafficSelector, ...]


@dataclass(frozen=True, slots=True)
class Trigger:
    """What a packet that wants an SA is: our side of it, and the peer's (RFC 7296 §2.9)."""

    local: TrafficSelector
    peer: TrafficSelector


def _has_ports(whole: TrafficSelector, part: TrafficSelector) -> bool:
    """Whether a selector has all ports of another; those of ranges are compared quickly."""
    if whole.port_start == ANY_PORT and whole.port_end == PORT_MAX:
        return True
    return _common_ports(whole, part) == (part.port_start, part.port_end)


def _common_ports(one: TrafficSelector, two: TrafficSelector) -> tuple[int, int] | None:
    everything = (ANY_PORT, PORT_MAX)
    if one.is_opaque or two.is_opaque:
        other = two if one.is_opaque else one
        whole = other.is_opaque or (other.port_start, other.port_end) == everything
        return (PORT_MAX, 0) if whole else None
    ports = max(one.port_start, two.port_start), min(one.port_end, two.port_end)
    return ports if ports[0] <= ports[1] else None

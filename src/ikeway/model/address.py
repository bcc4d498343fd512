# SPDX-License-Identifier: Apache-2.0
"""Addresses of the outer network."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

from typing_extensions import override

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

IKE_PORT = 500
NAT_PORT = 4500
OUTER_MARK = 4500
"""The mark (SO_MARK) of packets that never belong into a tunnel."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and a UDP port."""

    address: Address
    port: int

    @override
    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Path:
    """A pair of addresses between which packets may go."""

    local: Address
    peer: Address

    @override
    def __str__(self) -> str:
        return f"{self.local} to {self.peer}"

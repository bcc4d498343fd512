# SPDX-License-Identifier: Apache-2.0
"""The host's network as a tunnel needs it: a port, and what it is told (RFC 4301 §4.4.1)."""

import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from ikeway.model.address import IKE_PORT, OUTER_MARK, Address
from ikeway.model.errors import HostError
from ikeway.model.policies import TrafficPolicy
from ikeway.model.selectors import Selectors


@dataclass(frozen=True, slots=True)
class TunnelPlan:
    """What a Child SA asks of the host; `child_spi` is its inbound SPI and names it.

    `virtual_ips` are lent to us, and so belong on the tunnel's interface. Only the addresses of the
    selectors matter to routes; protocols and ports are the data plane's business.
    """

    connection: str
    interface: str
    child_spi: int
    virtual_ips: tuple[Address, ...]
    local_ts: Selectors
    peer_ts: Selectors
    outer_local: Address
    outer_peer: Address
    dns: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Guard:
    """What never leaves in clear, what does, and what goes nowhere; the first that fits decides.

    `connections` come after `policies`; of those in `open` our side is not known before they are
    up. With `holds` all stays closed when we end in good order, as it does when we do not. What is
    not `is_asked_for` is done where the host can.
    """

    interface: str
    policies: tuple[TrafficPolicy, ...] = ()
    connections: tuple[TrafficPolicy, ...] = ()
    open: frozenset[str] = frozenset()
    holds: bool = False
    is_asked_for: bool = True


class HostNetwork(Protocol):
    """Addresses and routes of the tunnel: whatever is done is undone, also after a crash."""

    async def recover(self) -> None:
        """Undo what an earlier process left behind when it ended without `close`.

        Raises:
            HostError: the kernel refuses.
        """

    async def open(self, interface: str, mtu: int) -> None:
        """Take the tunnel's interface into use; it has to exist.

        Raises:
            HostError: there is no such interface, or the kernel refuses.
        """

    async def reopen(self) -> None:
        """Take another interface of that name into use; nothing of what was added is there.

        What is guarded stays so.

        Raises:
            HostError: there is no such interface, or the kernel refuses.
        """

    async def govern(self, guard: Guard, /) -> tuple[str, ...]:
        """Have the host's routes and its packet filter heed policies; return what it cannot do.

        What an earlier process left is in force until then.

        Raises:
            HostError: the kernel refuses, or nftables is not installed.
        """

    async def dropped(self) -> Mapping[str, int]:
        """Return how many packets went no further, by the name of their policy."""
        ...

    async def add(self, plan: TunnelPlan) -> tuple[str, ...]:
        """Send the traffic of a Child SA through the tunnel; return what the operator should know.

        Raises:
            HostError: the kernel refuses; nothing of the plan remains.
        """

    async def remove(self, child_spi: int) -> None:
        """Take back what `add` did for this Child SA, unless another one needs it too."""

    def changes(self) -> AsyncIterator[tuple[Address, ...]]:
        """Yield the host's addresses outside tunnels: now, and whenever they or routes change.

        Raises:
            HostError: the kernel does not tell.
        """
        ...

    async def close(self) -> None:
        """Take back everything."""


def source_for(peer: Address) -> Address:
    """Return the address of this host from which packets to `peer` leave, outside any tunnel.

    Raises:
        HostError: there is no way to `peer`.
    """
    family = socket.AF_INET if peer.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            _mark(probe)
            probe.connect((str(peer), IKE_PORT))  # sends nothing
            return ip_address(probe.getsockname()[0].split("%")[0])
    except OSError as error:
        raise HostError(f"there is no way to {peer}: {error.strerror}") from error


def _mark(probe: socket.socket) -> None:
    """Have the lookup pass by the rules of tunnels; without the right to do so there are none."""
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, OUTER_MARK)
    except PermissionError:
        return

# SPDX-License-Identifier: Apache-2.0
"""What one policy of the kernel is for: a prefix and a port, or block of ports, of each side.

The traffic selectors of a Child SA are ranges (RFC 7296 §3.13), so one pair may need several.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, summarize_address_range
from typing import Final, TypeAlias

from ikeway.model.address import Network
from ikeway.model.errors import HostError
from ikeway.model.selectors import PORT_MAX, Selectors, TrafficSelector

MOST: Final = 256
"""Policies of one direction for one pair: more are a mistake, or an attack."""
ANY: Final = (0, 0)
_ICMP: Final = frozenset({1, 58})

Block: TypeAlias = tuple[int, int]
"""A port and the bits of it that count."""


@dataclass(frozen=True, slots=True)
class Flow:
    """As this host sees it."""

    local: Network
    peer: Network
    protocol: int = 0
    local_port: Block = ANY
    peer_port: Block = ANY


def flows(local_ts: Selectors, peer_ts: Selectors) -> tuple[Flow, ...]:
    """Return the flows of a pair.

    Raises:
        HostError: the kernel has no policy for these selectors.
    """
    found = tuple(dict.fromkeys(flow for one in local_ts for flow in _with(one, peer_ts)))
    if not found:
        raise HostError("the traffic selectors of both sides have no packet in common")
    if len(found) > MOST:
        raise HostError(f"{len(found)} policies for one Child SA; use the engine for these ports")
    return found


def _with(local: TrafficSelector, peer_ts: Selectors) -> Iterator[Flow]:
    for peer in peer_ts:
        protocols = {local.protocol, peer.protocol} - {0}
        if local.version != peer.version or len(protocols) > 1:
            continue
        protocol = next(iter(protocols), 0)
        for ports in _ports(protocol, local, peer):
            for here in local.networks():
                for there in peer.networks():
                    yield Flow(here, there, protocol, *ports)


def _ports(
    protocol: int, local: TrafficSelector, peer: TrafficSelector
) -> tuple[tuple[Block, Block], ...]:
    if local.is_opaque or peer.is_opaque:
        raise HostError("the kernel has no policy for OPAQUE ports")
    if protocol in _ICMP:
        return (_icmp(local, peer),)
    return tuple((here, there) for here in blocks(local) for there in blocks(peer))


def _icmp(local: TrafficSelector, peer: TrafficSelector) -> tuple[Block, Block]:
    """Return type and code in the places where the kernel has them."""
    one = next((each for each in (local, peer) if blocks(each) != (ANY,)), None)
    if one is None:
        return ANY, ANY
    kind, code = divmod(one.port_start, 256)
    if one.port_start == one.port_end:
        return (kind, PORT_MAX), (code, PORT_MAX)
    if (code, one.port_end) == (0, kind << 8 | 255):
        return (kind, PORT_MAX), ANY
    raise HostError("the kernel has no policy for a range of ICMP types")


def blocks(selector: TrafficSelector) -> tuple[Block, ...]:
    """Return a range of ports as ports and masks, by the arithmetic of prefixes."""
    first, last = selector.port_start << 16, selector.port_end << 16 | 0xFFFF
    found = summarize_address_range(IPv4Address(first), IPv4Address(last))
    return tuple((int(net[0]) >> 16, int(net.netmask) >> 16) for net in found)

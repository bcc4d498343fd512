# SPDX-License-Identifier: Apache-2.0
"""NAT detection in IKE_SA_INIT (RFC 7296 §2.23)."""

import hashlib
from dataclasses import dataclass
from ipaddress import IPv4Address

from typing_extensions import override

from ikeway.ike.features.context import Context
from ikeway.model.address import IKE_PORT, Endpoint
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

_NOBODY = Endpoint(IPv4Address(0), 0)


@dataclass(frozen=True, slots=True)
class Nat:
    """Who is behind a NAT. `is_spoken` is whether the peer does NAT traversal at all.

    `is_forced` when we pretend to be behind one, so that ESP goes into UDP.
    """

    is_spoken: bool
    local: bool
    peer: bool
    is_forced: bool

    @property
    def is_present(self) -> bool:
        """Whether traffic has to go through UDP port 4500."""
        return self.is_spoken and (self.local or self.peer or self.is_forced)

    @override
    def __str__(self) -> str:
        if not self.is_spoken:
            return "not supported by the peer"
        sides = [name for name, found in (("here", self.local), ("peer", self.peer)) if found]
        text = " and ".join(sides) if sides else "none"
        return f"{text} (encapsulation forced)" if self.is_forced else text


def endpoint_hash(spi_i: bytes, spi_r: bytes, endpoint: Endpoint) -> bytes:
    """Return SHA-1(SPIi | SPIr | address | port) in network order, 20 octets."""
    octets = spi_i + spi_r + endpoint.address.packed + endpoint.port.to_bytes(2)
    return hashlib.sha1(octets, usedforsecurity=False).digest()


def announce(context: Context) -> tuple[Notify, ...]:
    """Return NAT_DETECTION_SOURCE_IP and _DESTINATION_IP for a message that we send.

    To force encapsulation the source is nobody's address, which looks like a NAT to both sides.
    """
    source = _NOBODY if context.force_encapsulation else context.local
    spis = context.spi_i, context.spi_r
    return (
        Notify(NotifyType.NAT_DETECTION_SOURCE_IP, endpoint_hash(*spis, source)),
        Notify(NotifyType.NAT_DETECTION_DESTINATION_IP, endpoint_hash(*spis, context.peer)),
    )


def learn(message: Message, context: Context) -> Nat:
    """Return what the peer's notifies tell. Several sources are allowed: any may match."""
    notifies = [body for body in message.payloads if isinstance(body, Notify)]
    sources = [n.data for n in notifies if n.type is NotifyType.NAT_DETECTION_SOURCE_IP]
    destinations = [n.data for n in notifies if n.type is NotifyType.NAT_DETECTION_DESTINATION_IP]
    spis = message.header.spi_i, message.header.spi_r
    is_spoken = bool(sources and destinations)
    return Nat(
        is_spoken=is_spoken,
        local=is_spoken and endpoint_hash(*spis, context.local) not in destinations,
        peer=is_spoken and endpoint_hash(*spis, context.peer) not in sources,
        is_forced=is_spoken and context.force_encapsulation,
    )


def float_port(endpoint: Endpoint, nat_port: int) -> Endpoint:
    """Return the endpoint after the move to port 4500; other ports are somebody's mapping."""
    return Endpoint(endpoint.address, nat_port) if endpoint.port == IKE_PORT else endpoint

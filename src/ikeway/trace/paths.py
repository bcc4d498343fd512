# SPDX-License-Identifier: Apache-2.0
"""Where the sides of an IKE SA are: port 4500, NATs and moves (RFC 7296 §2.23, RFC 4555)."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from hashlib import sha1
from typing import Final

from ikeway.model.address import NAT_PORT, Endpoint
from ikeway.trace.chain import Part
from ikeway.trace.datagrams import Where
from ikeway.wire.message import Header
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

SAS_MOST: Final = 16384


class Paths:
    """The last known endpoints of initiator and responder, for each IKE SA by its SPIi."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[Endpoint, Endpoint]] = OrderedDict()

    def follow(self, header: Header, where: Where) -> Iterator[str]:
        """Yield what a message shows about its SA's path that was otherwise before."""
        ends = (where.source, where.destination)
        now = ends if header.is_from_initiator else ends[::-1]
        before = self._known.get(header.spi_i)
        self._known[header.spi_i] = now
        self._known.move_to_end(header.spi_i)
        if len(self._known) > SAS_MOST:
            self._known.popitem(last=False)
        if before is None or before == now:
            return
        floats = before[1].port != now[1].port == NAT_PORT
        if floats:
            other = now[0].port
            known = (
                "both sides move" if other == NAT_PORT else f"the initiator, {other} here, moves"
            )
            yield f"{known} to port {NAT_PORT}"
        for role, old, new in zip(("initiator", "responder"), before, now, strict=True):
            if old.address != new.address:
                yield f"the {role} was {old}, now it is {new}"
            elif old.port != new.port and not floats:
                yield f"the {role}'s port was {old.port}, now it is {new.port}"


def nats(header: Header, where: Where, parts: Sequence[Part]) -> Iterator[str]:
    """Yield which side the NAT_DETECTION notifies show behind a NAT, seen from the capture."""
    checks = (
        (NotifyType.NAT_DETECTION_SOURCE_IP, where.source, "sender is behind a NAT, or wants UDP"),
        (NotifyType.NAT_DETECTION_DESTINATION_IP, where.destination, "receiver is behind a NAT"),
    )
    for kind, end, what in checks:
        hashes = [one.data for one in parts if isinstance(one, Notify) and one.type is kind]
        if hashes and detection_hash(header, end) not in hashes:
            yield f"{kind.name} is not that of {end}: the {what}"


def detection_hash(header: Header, end: Endpoint) -> bytes:
    """Return the content of a NAT_DETECTION notify (RFC 7296 §2.23)."""
    octets = header.spi_i + header.spi_r + end.address.packed + end.port.to_bytes(2)
    return sha1(octets, usedforsecurity=False).digest()

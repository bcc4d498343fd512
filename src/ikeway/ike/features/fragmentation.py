# SPDX-License-Identifier: Apache-2.0
"""IKEV2_FRAGMENTATION_SUPPORTED, and how large a datagram may be (RFC 7383 §2.3, §2.5.1, §2.5.2).

Sizes are those of IP datagrams. `None` is an IKE SA without fragmentation.
"""

from itertools import dropwhile
from typing import Final

from ikeway.ike.features.context import Context
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

IP_OCTETS: Final = {4: 20, 6: 40}
UDP_OCTETS: Final = 8
MARKER_OCTETS: Final = 4
SMALLEST: Final = {4: 576, 6: 1280}
"""What every path carries, or is expected to (§2.5.1)."""
LEAST: Final = 576
"""No datagram of ours is smaller because the peer's are (§2.5.1)."""
STEPS: Final = (1280, 576)
"""Sizes to fall back to: "only a few fragmentation thresholds" (§2.5.2)."""


def announce(context: Context) -> tuple[Notify, ...]:
    """Return the notify, where the connection wants fragments."""
    wanted = context.connection.fragment_size > 0
    return (Notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),) if wanted else ()


def learn(message: Message, context: Context) -> int | None:
    """Return the largest datagram that is sent whole, or None: "both peers" have to want it."""
    is_supported = message.notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) is not None
    size = context.connection.fragment_size
    return size if is_supported and size else None


def room(size: int, version: int) -> int:
    """Return how long an IKE message may be in a datagram of this size."""
    return size - IP_OCTETS[version] - UDP_OCTETS - MARKER_OCTETS


def datagram(octets: int, version: int) -> int:
    """Return the size of the datagram that carries an IKE message."""
    return octets + IP_OCTETS[version] + UDP_OCTETS + MARKER_OCTETS


def smaller(size: int, version: int) -> tuple[int, ...]:
    """Return the sizes to try after this one, the largest first."""
    steps = tuple(step for step in STEPS if step >= SMALLEST[version])
    return tuple(dropwhile(lambda step: step >= size, steps))

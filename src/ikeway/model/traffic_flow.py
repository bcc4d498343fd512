# SPDX-License-Identifier: Apache-2.0
"""How the packets of a Child SA hide the shape of what they carry (RFC 4303 §2.6, §2.7)."""

from dataclasses import dataclass
from typing import Final

PAD_TO_MTU: Final = 65535
"""More than any MTU: data planes pad no further than to theirs."""


@dataclass(frozen=True, slots=True)
class Dummies:
    """Packets without content that leave while there is nothing to send (RFC 4303 §2.6).

    So many come in a second, on average if they come at random.
    """

    per_second: float
    is_random: bool = True


@dataclass(frozen=True, slots=True)
class TrafficFlow:
    """What is done to the packets that leave.

    Inner packets are padded up to `pad_to` octets, or the MTU if that is less (RFC 4303 §2.7).
    """

    pad_to: int = 0
    dummies: Dummies | None = None


OPEN: Final = TrafficFlow()
"""Nothing is hidden: how long and how many packets are, everybody sees."""

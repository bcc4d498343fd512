# SPDX-License-Identifier: Apache-2.0
"""How outer headers are made of inner ones (RFC 4301 §5.1.2, §8)."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class DontFragment(Enum):
    """Whether routers may fragment outer packets: never, as the inner packet says, or always."""

    SET = "set"
    COPY = "copy"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class OuterHeader:
    """What a pair does to the outer headers of its packets.

    `dscp` is a number for all of them; None copies the inner one's (RFC 2983). ECN is always that
    of the inner header (RFC 6040). `df` None is what the data plane does best. `path_mtu` is the
    longest outer packet as an operator knows it; 0 is learnt.
    """

    dscp: int | None = None
    df: DontFragment | None = None
    path_mtu: int = 0


PLAIN_OUTER: Final = OuterHeader()
"""Nothing is asked for."""

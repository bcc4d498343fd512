# SPDX-License-Identifier: Apache-2.0
"""Policies for traffic, whatever Child SAs there are: an ordered database (RFC 4301 §4.4.1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from ikeway.model.selectors import Selectors, TrafficSelector


class Action(Enum):
    """What becomes of the packets of a policy."""

    BYPASS = "bypass"
    DISCARD = "discard"
    PROTECT = "protect"


@dataclass(frozen=True, slots=True)
class TrafficPolicy:
    """One entry: packets from our side to the peer's, and back. The first that fits decides."""

    name: str
    action: Action
    local_ts: Selectors
    peer_ts: Selectors

    @property
    def pairs(self) -> Iterator[tuple[TrafficSelector, TrafficSelector]]:
        """The selectors of both sides that a packet can meet together."""
        for local in self.local_ts:
            for peer in self.peer_ts:
                protocols = {local.protocol, peer.protocol} - {0}
                if local.version == peer.version and len(protocols) <= 1:
                    yield local, peer

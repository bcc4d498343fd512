# SPDX-License-Identifier: Apache-2.0
"""Child SAs become packets: the port of the data plane and its adapters (RFC 4301 §5)."""

from ikeway.dataplane.engine import EngineDataPlane
from ikeway.dataplane.null import NullDataPlane
from ikeway.dataplane.port import (
    BreakerTurned,
    DataPlane,
    IkeDatagram,
    PacketsRefused,
    PacketWaits,
    PairSpent,
    PathNarrowed,
    PeerMoved,
    PlaneConfig,
    PlaneEvent,
    PlaneLost,
    PlaneRenewed,
    Refusal,
    StreamResized,
)
from ikeway.dataplane.select import open_plane

__all__ = [
    "BreakerTurned",
    "DataPlane",
    "EngineDataPlane",
    "IkeDatagram",
    "NullDataPlane",
    "PacketWaits",
    "PacketsRefused",
    "PairSpent",
    "PathNarrowed",
    "PeerMoved",
    "PlaneConfig",
    "PlaneEvent",
    "PlaneLost",
    "PlaneRenewed",
    "Refusal",
    "StreamResized",
    "open_plane",
]

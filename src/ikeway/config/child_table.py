# SPDX-License-Identifier: Apache-2.0
"""The keys of one of several Child SAs of a connection."""

from pydantic import Field

from ikeway.config.lifetime_tables import ChildLifetimesTable
from ikeway.config.terms import (
    AhProposal,
    Duration,
    EspProposal,
    ModeWord,
    Selector,
    StartWord,
    Table,
)
from ikeway.config.traffic_flow import TrafficFlowTable


class ChildTable(Table):
    """`[connections.NAME.children.CHILD]`: one of several Child SAs.

    What is left out is as the connection says.
    """

    local_ts: list[Selector] | None = Field(default=None, min_length=1)
    """Our side of its traffic."""

    peer_ts: list[Selector] | None = Field(default=None, min_length=1)
    """The peer's side."""

    esp: list[EspProposal] | None = Field(default=None, min_length=1)
    """Its proposals, best first."""

    ah: list[AhProposal] | None = Field(default=None, min_length=1)
    """Its proposals for AH, best first, in place of `esp`."""

    mode: ModeWord | None = None
    """How its packets are wrapped."""

    start: StartWord | None = None
    """When it starts: `now` is with the connection, and again when it is lost, but not after
    `ikeway disconnect`."""

    idle: Duration | None = None
    """A child on demand that carried nothing for so long is closed."""

    traffic_flow: TrafficFlowTable | None = None
    """How the shape of its traffic is hidden."""

    replay_window: int | None = Field(default=None, ge=0, le=65536)
    """How many of its packets may overtake one another."""

    ipcomp: bool | None = None
    """Compress its packets."""
    per_cpu_children: int | None = Field(default=None, ge=0, le=16)
    """How many more carry the same traffic."""

    lifetimes: ChildLifetimesTable = ChildLifetimesTable()
    """When it is replaced."""

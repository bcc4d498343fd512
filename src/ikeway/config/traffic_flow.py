# SPDX-License-Identifier: Apache-2.0
"""The keys of `traffic_flow`: hiding how long and how many packets are (RFC 4303 §2.6, §2.7)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from ikeway.config.terms import Table
from ikeway.model.esp import Mode
from ikeway.model.traffic_flow import OPEN, PAD_TO_MTU, Dummies, TrafficFlow

_MTU: Final = "mtu"

Padding: TypeAlias = Literal["mtu"] | Annotated[int, Field(ge=0, le=65535)]


class TrafficFlowTable(Table):
    """Hiding the shape of traffic from who watches it. All of it costs bandwidth."""

    padding: Padding = 0
    """Pad packets that are shorter up to so many octets, or to the MTU of the tunnel with `mtu`, so
    that their lengths say nothing. Only in tunnel mode, and where the peer takes it."""

    dummies: float = Field(default=0.0, ge=0.0, le=10000.0)
    """Packets without content that leave in a second, while there is nothing to send. They are as
    long as `padding` makes others."""

    dummy_times: Literal["random", "regular"] = "random"
    """Whether these come at random, or one every so often."""


def build_traffic_flow(table: TrafficFlowTable) -> TrafficFlow:
    """Return what a table says."""
    pad_to = PAD_TO_MTU if table.padding == _MTU else int(table.padding)
    is_random = table.dummy_times == "random"
    return TrafficFlow(pad_to, Dummies(table.dummies, is_random) if table.dummies else None)


def complaints(flow: TrafficFlow, mode: Mode) -> Iterator[tuple[str, str]]:
    """Yield the keys that cannot work in a Child SA of this mode, and why."""
    if flow != OPEN and mode is Mode.TRANSPORT:
        yield "traffic_flow", 'transport mode has no padding: it is for mode = "tunnel"'
    elif flow.dummies is not None and flow.pad_to == 0:
        yield "traffic_flow", "dummies need padding: they are known by their length without"


def shown(flow: TrafficFlow) -> Mapping[str, str | float] | None:
    """Return it as the configuration writes it; None where it hides nothing."""
    if flow == OPEN:
        return None
    rate = flow.dummies.per_second if flow.dummies else 0.0
    is_random = flow.dummies is None or flow.dummies.is_random
    return {
        "padding": _MTU if flow.pad_to == PAD_TO_MTU else flow.pad_to,
        "dummies": rate,
        "dummy_times": "random" if is_random else "regular",
    }

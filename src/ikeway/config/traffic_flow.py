# SPDX-License-Identifier: Apache-2.0
"""The keys of `traffic_flow`: hiding the shape of traffic (RFC 4303 §2.6, §2.7, RFC 9347)."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from ikeway.config import values
from ikeway.config.parsed import Parsed, written
from ikeway.config.terms import Table
from ikeway.model.errors import ConfigError
from ikeway.model.esp import Mode
from ikeway.model.time import Seconds
from ikeway.model.traffic_flow import OPEN, PAD_TO_MTU, Breaker, Dummies, Stream, TrafficFlow

_MTU: Final = "mtu"

_BITS: Final = {"bit": 1, "kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9}


def bandwidth(text: str) -> float:
    """Return how many bits a second `10Mbit` are.

    Raises:
        ConfigError: it is no bandwidth.
    """
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([kMG]?bit)", text)
    if match is None or not 1000 <= float(match[1]) * _BITS[match[2]] <= 10**11:
        raise ConfigError(f'{text!r} is no bandwidth; write "500kbit", "10Mbit", up to "100Gbit"')
    return float(match[1]) * _BITS[match[2]]


Bandwidth: TypeAlias = Annotated[float, Parsed(bandwidth, "a bandwidth")]
Persistence: TypeAlias = Annotated[Seconds, Parsed(values.duration(5.0, 3600.0), "a time")]
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

    iptfs: Literal["off", "prefer", "require"] = "off"
    """Instead, send packets of one size at a constant rate, whatever there is to send (IP-TFS, RFC
    9347): both sides have to want it. `require` has no Child SA without; `prefer` then does what
    the keys above say. Only where the network on the way is yours, or with `congestion`."""

    packet_size: int = Field(default=1400, ge=256, le=65535)
    """With IP-TFS, how many octets the IP packets that leave have, unless the path turns out to
    carry less; smaller inner packets share one, and longer ones are cut."""

    packet_rate: float = Field(default=100.0, ge=0.1, le=100000.0)
    """With IP-TFS, how many of them leave in a second."""

    bandwidth: Bandwidth | None = None
    """Instead of `packet_rate`, what leaves in a second: `10Mbit`, `500kbit`."""

    congestion: bool = False
    """With IP-TFS, whether the rate follows what the path carries: the peer reports losses, and no
    more leaves than TCP would send there, nor more than `packet_rate` or `bandwidth`. A peer that
    does not report has no stream with us."""

    breaker: bool = True
    """With IP-TFS and without `congestion`, whether a stream that loses too much for too long falls
    to a tenth of its rate, and again, to no less than a packet a second, until the path is good."""

    breaker_loss: float = Field(default=0.2, ge=0.01, le=1.0)
    """The part of packets that is too much to lose."""

    breaker_time: Persistence = written("30s")
    """For how long that has to be lost."""

    fragments: bool = True
    """With IP-TFS, whether we take packets that the peer has cut."""

    reorder: int = Field(default=3, ge=0, le=64)
    """With IP-TFS, how many packets may overtake one that we wait for."""


def build_traffic_flow(table: TrafficFlowTable) -> TrafficFlow:
    """Return what a table says."""
    pad_to = PAD_TO_MTU if table.padding == _MTU else int(table.padding)
    is_random = table.dummy_times == "random"
    dummies = Dummies(table.dummies, is_random) if table.dummies else None
    return TrafficFlow(pad_to, dummies, None if table.iptfs == "off" else _stream(table))


def _stream(table: TrafficFlowTable) -> Stream:
    by_bits = None if table.bandwidth is None else table.bandwidth / 8 / table.packet_size
    breaker = Breaker(table.breaker_loss, table.breaker_time) if table.breaker else None
    return Stream(
        packet_octets=table.packet_size,
        per_second=table.packet_rate if by_bits is None else by_bits,
        reorder=table.reorder,
        takes_fragments=table.fragments,
        is_required=table.iptfs == "require",
        is_controlled=table.congestion,
        breaker=None if table.congestion else breaker,
    )


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
    plain: dict[str, str | float] = {
        "padding": _MTU if flow.pad_to == PAD_TO_MTU else flow.pad_to,
        "dummies": rate,
        "dummy_times": "random" if is_random else "regular",
    }
    return plain if flow.stream is None else plain | _shown(flow.stream)


def _shown(stream: Stream) -> dict[str, str | float]:
    return _shown_breaker(stream.breaker) | {
        "iptfs": "require" if stream.is_required else "prefer",
        "packet_size": stream.packet_octets,
        "packet_rate": stream.per_second,
        "congestion": stream.is_controlled,
        "fragments": stream.takes_fragments,
        "reorder": stream.reorder,
    }


def _shown_breaker(breaker: Breaker | None) -> dict[str, str | float]:
    if breaker is None:
        return {"breaker": False}
    return {
        "breaker": True,
        "breaker_loss": breaker.lost,
        "breaker_time": values.span(breaker.seconds),
    }

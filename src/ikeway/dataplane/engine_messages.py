# SPDX-License-Identifier: Apache-2.0
"""The engine's control messages: values of the model as JSON and back."""

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

from ikeway.dataplane.port import (
    BreakerTurned,
    IkeDatagram,
    PacketsRefused,
    PacketWaits,
    PairSpent,
    PathNarrowed,
    PeerMoved,
    PlaneConfig,
    PlaneEvent,
    Refusal,
    StreamResized,
)
from ikeway.model.address import Address, Endpoint
from ikeway.model.esp import (
    ChildSa,
    Compression,
    EspKeys,
    Ipcomp,
    Limits,
    OriginalAddresses,
    StreamState,
    Usage,
)
from ikeway.model.outer import OuterHeader
from ikeway.model.policies import TrafficPolicy
from ikeway.model.selectors import PORT_MAX, Selectors, TrafficSelector, Trigger
from ikeway.model.traffic_flow import OPEN, TrafficFlow

PROTOCOL_VERSION: Final = 20

Json: TypeAlias = dict[str, Any]


def configuration(config: PlaneConfig) -> Json:
    """Return what `configure` asks for."""
    return {
        "listen": [str(address) for address in config.listen],
        "port": config.port,
        "workers": config.ike_sockets,
        "is_joined": config.is_joined,
        "queues": config.queues,
        "busy_poll": config.busy_poll,
        "tun": config.tun,
        "mtu": config.mtu,
    }


def child_sa(child: ChildSa) -> Json:
    """Return a pair of SAs, keys included: it goes to the engine and nowhere else."""
    return {
        "spi_in": child.spi_in,
        "spi_out": child.spi_out,
        "local": endpoint(child.local),
        "peer": endpoint(child.peer),
        "mode": child.mode.value,
        "encapsulation": child.encapsulation.value,
        "suite": {
            "encr": int(child.suite.encr),
            "key_bits": child.suite.key_bits,
            "integ": int(child.suite.integ),
            "esn": child.suite.esn,
        },
        "keys_in": _keys(child.keys_in),
        "keys_out": _keys(child.keys_out),
        "local_ts": selectors(child.local_ts),
        "peer_ts": selectors(child.peer_ts),
        "replay_window": child.replay_window,
        "original": _original(child.original),
        "limits": _limits(child.limits),
        "traffic_flow": _traffic_flow(child.traffic_flow),
        "ipcomp": _ipcomp(child.ipcomp),
        "is_of_queue": child.is_of_queue,
        "outer": _outer(child.outer),
        "later_fragments": child.later_fragments and child.tells_ports_apart,
    }


def policies_of(policies: tuple[TrafficPolicy, ...]) -> list[Json]:
    """Return policies in their order; the engine does not know their names."""
    return [
        {
            "action": policy.action.value,
            "local_ts": selectors(policy.local_ts),
            "peer_ts": selectors(policy.peer_ts),
        }
        for policy in policies
    ]


def endpoint(value: Endpoint) -> Json:
    """Return an address and a port."""
    return {"address": str(value.address), "port": value.port}


def read_endpoint(value: Json) -> Endpoint:
    """Return the endpoint that a message names."""
    return Endpoint(ip_address(value["address"]), value["port"])


def read_usages(reply: Json) -> Mapping[int, Usage]:
    """Return the counters of a reply, by inbound SPI."""
    return {
        sa["spi_in"]: Usage(
            packets_in=sa["packets_in"],
            octets_in=sa["octets_in"],
            packets_out=sa["packets_out"],
            octets_out=sa["octets_out"],
            compression=Compression(**sa["compression"]) if "compression" in sa else None,
            stream=StreamState(**sa["stream"]) if "stream" in sa else None,
        )
        for sa in reply["sas"]
    }


def read_paths(reply: Json) -> Mapping[Address, int]:
    """Return the MTU of the paths of a reply, by the peer's address."""
    return {ip_address(peer): mtu for peer, mtu in reply["paths"].items()}


def read_event(message: Json) -> PlaneEvent:
    """Return the event that a message tells of."""
    read = _EVENTS.get(message["event"], _refused)
    return read(message)


def _datagram(message: Json) -> PlaneEvent:
    local, peer = read_endpoint(message["local"]), read_endpoint(message["peer"])
    return IkeDatagram(local, peer, bytes.fromhex(message["octets"]))


def _refused(message: Json) -> PlaneEvent:
    peer = message["peer"]
    return PacketsRefused(
        refusal=Refusal(message["event"]),
        spi=message["spi"],
        peer=None if peer is None else read_endpoint(peer),
        count=message["count"],
    )


_EVENTS: Final[Mapping[str, Callable[[Json], PlaneEvent]]] = {
    "ike_datagram": _datagram,
    "wanted": lambda said: PacketWaits(said["trap"], _trigger(said)),
    "peer_moved": lambda said: PeerMoved(said["spi_in"], read_endpoint(said["peer"])),
    "path_mtu": lambda said: PathNarrowed(ip_address(said["peer"]), said["mtu"]),
    "stream_resized": lambda said: StreamResized(said["spi_in"], said["octets"]),
    "breaker_turned": lambda said: BreakerTurned(
        said["spi_in"], said["is_open"], said["lost"], said["per_second"]
    ),
    "pair_spent": lambda said: PairSpent(said["spi_in"], is_over=said["is_over"]),
}
"""How each event is read; all others are refusals, by the name of the reason."""


def _original(original: OriginalAddresses | None) -> Json | None:
    if original is None:
        return None
    return {"local": str(original.local), "peer": str(original.peer)}


def _ipcomp(ipcomp: Ipcomp | None) -> Json | None:
    if ipcomp is None:
        return None
    return {"cpi_in": ipcomp.cpi_in, "cpi_out": ipcomp.cpi_out}


def _trigger(message: Json) -> Trigger:
    """Return the packet's selectors; a port that it does not show is any."""
    sides = zip((message["source"], message["destination"]), message["ports"], strict=True)
    local, peer = (
        TrafficSelector.of(
            address, message["protocol"], (0, PORT_MAX) if port is None else (port, port)
        )
        for address, port in sides
    )
    return Trigger(local, peer)


def _keys(keys: EspKeys) -> Json:
    return {"encr": keys.encr.octets.hex(), "integ": keys.integ.octets.hex()}


def _limits(limits: Limits) -> Json:
    return {
        "soft_packets": limits.soft_packets,
        "soft_octets": limits.soft_octets,
        "hard_packets": limits.hard_packets,
        "hard_octets": limits.hard_octets,
    }


def _traffic_flow(flow: TrafficFlow) -> Json | None:
    if flow == OPEN:
        return None
    dummies = flow.dummies and {
        "per_second": flow.dummies.per_second,
        "is_random": flow.dummies.is_random,
    }
    stream = flow.stream and {
        "packet_octets": flow.stream.packet_octets,
        "per_second": flow.stream.per_second,
        "reorder": flow.stream.reorder,
        "may_fragment": flow.stream.may_fragment,
        "reports": flow.stream.reports,
        "is_controlled": flow.stream.is_controlled,
        "breaker": flow.stream.breaker
        and {
            "lost": flow.stream.breaker.lost,
            "seconds": flow.stream.breaker.seconds,
        },
    }
    return {"pad_to": flow.pad_to, "dummies": dummies, "stream": stream}


def _outer(outer: OuterHeader) -> Json:
    df = None if outer.df is None else outer.df.value
    return {"dscp": outer.dscp, "df": df, "path_mtu": outer.path_mtu}


def selectors(values: Selectors) -> list[Json]:
    """Return the selectors of a side."""
    return [
        {
            "protocol": int(selector.protocol),
            "port_start": selector.port_start,
            "port_end": selector.port_end,
            "start": str(selector.start),
            "end": str(selector.end),
        }
        for selector in values
    ]

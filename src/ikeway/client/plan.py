# SPDX-License-Identifier: Apache-2.0
"""What a Child SA changes on the host, as values: addresses, routes and rules (RFC 4301 §4.4.1).

Traffic for the tunnel is looked up in a table of its own, before the main one. The packets that
the tunnel itself sends, from UDP ports 500 and 4500 of this host or with our mark, jump over that
table, so that they never go round in circles, whatever the traffic selectors cover:

    4500  with mark 4500                              goto 5601
    4501  from this host, UDP source port 500 or 4500 goto 5601
    4510  and on: what policies send around it        goto 5601, or 5600 (`steering`)
    5600  everything                                  lookup the tunnel's table
    5601  UDP source port 4500                        go on with the host's own rules, as all do

Every rule carries the number of the table, which is made from the index of the interface: so
several instances live side by side, and all that is ours is found again after a crash.
The port rules also answer reverse path filters, which ask for the way back to the peer: in that
direction the kernel looks at ports only if some rule wants them that is not about this host's own
packets, which is why the last rule has one.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ikeway.model.address import IKE_PORT, NAT_PORT, OUTER_MARK, Address, Network
from ikeway.model.errors import HostError
from ikeway.model.selectors import ANY_PROTOCOL, PORT_MAX, Selectors, TrafficSelector
from ikeway.runtime.network import TunnelPlan

TABLES: Final = 450_000
"""The table of an interface is this plus its index, which a namespace never uses twice."""
_MARKED, _FROM_PORT, _TUNNEL, _HOST = 4500, 4501, 5600, 5601
POLICIES: Final = 4510
"""The priority of the first policy; those behind it have the next ones."""
Version: TypeAlias = Literal[4, 6]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is so on this host.

    `addresses` are of global scope; `known` are the IP versions that the kernel has, `carried`
    those that the tunnel's interface can have, `forwarded` those that this host forwards. `strict`
    are the addresses on interfaces with a strict reverse path filter, and those interfaces.
    """

    addresses: tuple[Address, ...]
    known: frozenset[int]
    carried: frozenset[int]
    forwarded: frozenset[int]
    strict: tuple[tuple[Address, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Put an address on the tunnel's interface."""

    address: Address

    @property
    def key(self) -> object:
        """What there can only be one of."""
        return self.address


@dataclass(frozen=True, slots=True)
class AddRoute:
    """Send traffic to `network` into the tunnel, from `source`; or refuse it."""

    network: Network
    source: Address | None = None
    is_refusal: bool = False

    @property
    def key(self) -> object:
        """What there can only be one of."""
        return self.network


@dataclass(frozen=True, slots=True)
class AddRule:
    """A rule about which table is asked; `mark` and `source_port` 0 mean any.

    A jump is for packets that this host itself sends: those that it forwards belong to the tunnel.
    """

    version: Version
    priority: int
    action: Literal["lookup", "goto", "pass"]
    mark: int = 0
    source_port: int = 0


Step: TypeAlias = AddAddress | AddRoute


def rules(version: Version) -> tuple[AddRule, ...]:
    """Return the rules of an interface, in the order in which they may come into force."""
    return (
        AddRule(version, _HOST, "pass", source_port=NAT_PORT),
        AddRule(version, _MARKED, "goto", mark=OUTER_MARK),
        AddRule(version, _FROM_PORT, "goto", source_port=IKE_PORT),
        AddRule(version, _FROM_PORT, "goto", source_port=NAT_PORT),
        AddRule(version, _TUNNEL, "lookup"),
    )


JUMP_TARGET: Final = _HOST
TUNNEL: Final = _TUNNEL


def plan(tunnel: TunnelPlan, facts: Facts) -> tuple[Step, ...]:
    """Return what is to be done for a Child SA, in order; undone in the opposite order.

    Raises:
        HostError: the peer lends an address that no host can have.
    """
    for address in tunnel.virtual_ips:
        _check_lent(address, tunnel)
    addresses = [
        AddAddress(address) for address in tunnel.virtual_ips if address.version in facts.carried
    ]
    routes = [
        _route(network, tunnel, facts)
        for selector in tunnel.peer_ts
        for network in selector.networks()
        if network.version in facts.known
    ]
    return tuple(dict.fromkeys([*addresses, *routes]))


def warnings(tunnel: TunnelPlan, facts: Facts) -> tuple[str, ...]:
    """Return what the operator should know, because nobody will notice it otherwise."""
    found = [
        *_uncarried(tunnel, facts),
        *_unforwarded(tunnel, facts),
        *_filtered(tunnel, facts),
        *(_narrow(selector) for selector in tunnel.peer_ts if _is_narrow(selector)),
    ]
    if tunnel.dns:
        servers = ", ".join(map(str, tunnel.dns))
        found.append(f"the peer names DNS servers ({servers}); this release does not set them")
    return tuple(dict.fromkeys(found))


def source(tunnel: TunnelPlan, facts: Facts, version: int) -> Address | None:
    """Return the address that our own packets into the tunnel bear, if we have a fitting one.

    A virtual address comes first, and the outer address last.
    """
    lent = [address for address in tunnel.virtual_ips if address.version in facts.carried]
    own = sorted(facts.addresses, key=lambda address: address == tunnel.outer_local)
    fitting = (
        address
        for address in (*lent, *own)
        if address.version == version and _is_within(address, tunnel.local_ts)
    )
    return next(fitting, None)


def _check_lent(address: Address, tunnel: TunnelPlan) -> None:
    """A peer that we trust with our traffic is not trusted with our loopback or its own place."""
    is_odd = (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
        or address == tunnel.outer_peer
    )
    if is_odd:
        raise HostError(f"the peer lends {address}, which is no address for a tunnel")


def _route(network: Network, tunnel: TunnelPlan, facts: Facts) -> AddRoute:
    if network.version not in facts.carried:
        return AddRoute(network, is_refusal=True)
    return AddRoute(network, source(tunnel, facts, network.version))


def _is_within(address: Address, selectors: Selectors) -> bool:
    return any(
        selector.version == address.version
        and int(selector.start) <= int(address) <= int(selector.end)
        for selector in selectors
    )


def _uncarried(tunnel: TunnelPlan, facts: Facts) -> list[str]:
    wanted = {selector.version for selector in tunnel.peer_ts}
    return [
        f"IPv{version} is switched off on {tunnel.interface}: what should go through the tunnel"
        " in it is refused, not sent around it"
        for version in sorted((wanted & facts.known) - facts.carried)
    ]


def _unforwarded(tunnel: TunnelPlan, facts: Facts) -> list[str]:
    """A selector of more than one address speaks for other hosts, whose packets we must forward."""
    switches = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
    behind = {selector.version for selector in tunnel.local_ts if selector.start != selector.end}
    return [
        f"{switches[version]} is 0, so the peer reaches this host only and nothing behind it;"
        f" if it should: sysctl -w {switches[version]}=1"
        for version in sorted((behind & facts.carried) - facts.forwarded)
    ]


def _filtered(tunnel: TunnelPlan, facts: Facts) -> list[str]:
    """Neighbours that the selectors cover cannot ask for our address where the filter is strict."""
    return [
        f"net.ipv4.conf.{interface}.rp_filter is strict, so neighbours on {interface} get no answer"
        f" to ARP while the tunnel has their addresses; sysctl -w net.ipv4.conf.{interface}"
        ".rp_filter=2"
        for address, interface in facts.strict
        if address == tunnel.outer_local and _is_within(address, tunnel.peer_ts)
    ]


def _is_narrow(selector: TrafficSelector) -> bool:
    ports = (selector.port_start, selector.port_end)
    return selector.protocol != ANY_PROTOCOL or ports != (0, PORT_MAX)


def _narrow(selector: TrafficSelector) -> str:
    return (
        f"the tunnel carries {selector} only; other traffic to these addresses is dropped,"
        " not sent around it"
    )

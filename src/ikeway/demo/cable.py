# SPDX-License-Identifier: Apache-2.0
"""The network of the demo: a laptop, a gateway, a cable, and what is behind the gateway."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from ikeway.client.plan import TABLES
from ikeway.demo.namespaces import Place
from ikeway.model.errors import HostError

CABLE: Final = "wire0"
LAPTOP: Final = "192.0.2.2"
GATEWAY: Final = "192.0.2.1"
SERVER: Final = ("10.1.0.1", "fd01::1")
"""Addresses of the network behind the gateway, which the laptop reaches through the tunnel only."""

_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
_NODAD: Final = 0x02


@dataclass(frozen=True, slots=True)
class World:
    """The two hosts."""

    laptop: Place
    gateway: Place


@contextmanager
def world() -> Iterator[World]:
    """Make both hosts and the cable; they are gone afterwards.

    Raises:
        HostError: the kernel refuses.
    """
    laptop = Place("laptop")
    try:
        gateway = Place("gateway")
        try:
            _build(laptop, gateway)
            yield World(laptop, gateway)
        finally:
            gateway.close()
    finally:
        laptop.close()


def leftovers() -> list[str]:
    """Return what tunnels left in the calling thread's namespace: interfaces, rules and routes."""
    with IPRoute() as netlink:
        links = [str(link.get_attr("IFLA_IFNAME")) for link in netlink.get_links()]
        rules = [rule for family in _FAMILIES for rule in netlink.get_rules(family=family)]
        found = [name for name in links if name.startswith("ikeway")]
        found += [f"rule {rule.get_attr('FRA_PRIORITY')}" for rule in rules if _is_ours(rule)]
        found += [f"route in {route['table']}" for route in netlink.get_routes() if _is_ours(route)]
    return found


def _build(laptop: Place, gateway: Place) -> None:
    try:
        laptop.inside(lambda: _lay_cable(gateway.descriptor))
        laptop.inside(lambda: _configure((f"{LAPTOP}/24",), ()))
        gateway.inside(
            lambda: _configure((f"{GATEWAY}/24",), (f"{SERVER[0]}/32", f"{SERVER[1]}/128"))
        )
    except NetlinkError as error:
        raise HostError(
            f"joining two namespaces with a cable: {error.args[-1]};"
            " the kernel needs veth (modprobe veth) and IPv6 for this"
        ) from error


def _lay_cable(other: int) -> None:
    with IPRoute() as netlink:
        end = {"ifname": CABLE, "net_ns_fd": other}
        netlink.link("add", ifname=CABLE, kind="veth", peer=end)


def _configure(outer: tuple[str, ...], inner: tuple[str, ...]) -> None:
    with IPRoute() as netlink:
        for interface, addresses in (("lo", inner), (CABLE, outer)):
            index = netlink.link_lookup(ifname=interface)[0]
            netlink.link("set", index=index, state="up")
            for text in addresses:
                _add_address(netlink, index, text)


def _add_address(netlink: IPRoute, index: int, text: str) -> None:
    address = ip_interface(text)
    netlink.addr(
        "add",
        index=index,
        family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
        address=str(address.ip),
        prefixlen=address.network.prefixlen,
        flags=_NODAD if address.version == 6 else 0,
    )


def _is_ours(message: Any) -> bool:
    table = message.get_attr("FRA_TABLE") or message.get_attr("RTA_TABLE") or 0
    return int(table) >= TABLES

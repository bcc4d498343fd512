# SPDX-License-Identifier: Apache-2.0
"""Two hosts with networks behind them and a cable, or a NAT, between them, in namespaces."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_interface
from itertools import count
from pathlib import Path
from typing import Final

from support.netns import Namespace

OUTER: Final = "outer0"
PREFIX: Final = "ikx"
"""Namespaces are called by it and by the process that made them, so that leftovers are known."""

_NUMBERS = count()
_NAME = re.compile(rf"{PREFIX}(\d+)-.*")
_MASQUERADE: Final = """
table inet nat {
  chain postrouting {
    type nat hook postrouting priority 100;
    oifname "wan0" masquerade random
  }
}
"""
_FORWARD: Final = """
table ip forward {
  chain prerouting {
    type nat hook prerouting priority -100;
    iifname "wan0" udp dport { 500, 4500 } dnat to 10.78.0.2
  }
}
"""


@dataclass(frozen=True, slots=True)
class Host:
    """One end: addresses on the cable, and those of the network behind it, by IP version."""

    namespace: Namespace
    outer: dict[int, str]
    inner: dict[int, str]
    networks: dict[int, str]


@dataclass(frozen=True, slots=True)
class Link:
    """Both ends. `seen_as` is how the other end knows each: behind a NAT by another address."""

    ours: Host
    peer: Host
    seen_as: dict[str, dict[int, str]]


OURS_INNER: Final = {4: "10.1.0.1", 6: "fd01::1"}
OURS_NETWORKS: Final = {4: "10.1.0.0/16", 6: "fd01::/64"}
PEER_INNER: Final = {4: "10.2.0.1", 6: "fd02::1"}
PEER_NETWORKS: Final = {4: "10.2.0.0/16", 6: "fd02::/64"}
FIRST: Final = {4: "10.77.0.1", 6: "fd77::1"}
SECOND: Final = {4: "10.77.0.2", 6: "fd77::2"}
INSIDE: Final = {4: "10.78.0.2", 6: "fd78::2"}


@contextmanager
def cable() -> Iterator[Link]:
    """Two hosts that reach each other over IPv4 and IPv6."""
    with hosts("ours", "peer") as (ours, peer):
        _join(ours, OUTER, peer, OUTER)
        _addresses(ours, OUTER, "10.77.0.1/24", "fd77::1/64")
        _addresses(peer, OUTER, "10.77.0.2/24", "fd77::2/64")
        _networks(ours, peer)
        yield linked(ours, peer)


def linked(ours: Namespace, peer: Namespace) -> Link:
    """Return the link of two hosts that know each other by their own addresses."""
    return Link(
        Host(ours, FIRST, OURS_INNER, OURS_NETWORKS),
        Host(peer, SECOND, PEER_INNER, PEER_NETWORKS),
        {"ours": FIRST, "peer": SECOND},
    )


@contextmanager
def nat(inside: str, *, forward: bool = False) -> Iterator[Link]:
    """As `cable`, with `inside` (ours or peer) behind a router that changes addresses and ports.

    `forward` sends what arrives at the router's IKE ports to the host behind it.
    """
    with hosts("ours", "peer", "router") as (ours, peer, router):
        hidden, open_ = (ours, peer) if inside == "ours" else (peer, ours)
        _join(hidden, OUTER, router, "lan0")
        _join(router, "wan0", open_, OUTER)
        _addresses(router, "lan0", "10.78.0.1/24", "fd78::1/64")
        _addresses(router, "wan0", "10.77.0.1/24", "fd77::1/64")
        _addresses(hidden, OUTER, "10.78.0.2/24", "fd78::2/64")
        _addresses(open_, OUTER, "10.77.0.2/24", "fd77::2/64")
        _route(router, hidden, rules=_MASQUERADE + (_FORWARD if forward else ""))
        _networks(ours, peer)
        outer = {hidden.name: INSIDE, open_.name: SECOND}
        seen = {hidden.name: FIRST, open_.name: SECOND}
        yield Link(
            Host(ours, outer[ours.name], OURS_INNER, OURS_NETWORKS),
            Host(peer, outer[peer.name], PEER_INNER, PEER_NETWORKS),
            {"ours": seen[ours.name], "peer": seen[peer.name]},
        )


def sweep() -> None:
    """Delete what a killed run left: namespaces whose maker is gone, and their processes."""
    for path in Path("/run/netns").glob(f"{PREFIX}*"):
        named = _NAME.fullmatch(path.name)
        if named is not None and not Path(f"/proc/{named[1]}").exists():
            _delete(Namespace(path.name))


def processes(namespace: Namespace) -> list[int]:
    """Return the processes that run in a namespace."""
    listed = subprocess.run(
        ["ip", "netns", "pids", namespace.name], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in listed.stdout.split()]


@contextmanager
def hosts(*roles: str) -> Iterator[list[Namespace]]:
    """Make a namespace for each role, called by it."""
    number = next(_NUMBERS)
    made: list[Namespace] = []
    try:
        for role in roles:
            namespace = Namespace(f"{PREFIX}{os.getpid()}-{number}-{role}")
            subprocess.run(["ip", "netns", "add", namespace.name], check=True)
            made.append(namespace)
        yield made
    finally:
        for namespace in made:
            _delete(namespace)


def _delete(namespace: Namespace) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes(namespace):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        for _ in range(50):
            if not processes(namespace):
                break
            time.sleep(0.02)
    subprocess.run(["ip", "netns", "delete", namespace.name], check=False)


def _join(one: Namespace, interface: str, other: Namespace, name: str) -> None:
    one.ip("link", "add", interface, "type", "veth", "peer", "name", name, "netns", other.name)
    for namespace, end in ((one, interface), (other, name)):
        namespace.ip("link", "set", end, "up")
        namespace.ip("link", "set", "lo", "up")


def _addresses(namespace: Namespace, interface: str, *addresses: str) -> None:
    for address in addresses:
        namespace.add_address(interface, address)


def _networks(ours: Namespace, peer: Namespace) -> None:
    for namespace, inner in ((ours, OURS_INNER), (peer, PEER_INNER)):
        _addresses(namespace, "lo", *(str(ip_interface(address)) for address in inner.values()))


def _route(router: Namespace, hidden: Namespace, rules: str) -> None:
    def forward() -> None:
        for path in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            Path("/proc/sys/net", path).write_text("1")

    router.inside(forward)
    router.run("nft", "-f", "-", input=rules)
    hidden.ip("route", "add", "default", "via", "10.78.0.1")
    hidden.ip("-6", "route", "add", "default", "via", "fd78::1")

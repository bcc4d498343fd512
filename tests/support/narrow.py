# SPDX-License-Identifier: Apache-2.0
"""Two hosts with a router between them, whose second link is narrow."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.netns import Namespace, namespaces
from support.tunnel import OUTER, Host, Hosts

MTU = 1300
ROUTER = ("192.0.2.254", "2001:db8::fe")


@contextmanager
def narrow_hosts(folder: Path) -> Iterator[tuple[Hosts, Namespace]]:
    """Make them, with an idle engine each; `far0` is the router's narrow link."""
    with namespaces(3) as (near, router, far):
        for namespace, link in ((near, "near0"), (far, "far0")):
            peer = ("peer", "name", "outer0", "netns", namespace.name)
            router.ip("link", "add", link, "type", "veth", *peer)
        for end, link in ((router, "far0"), (far, "outer0")):
            end.ip("link", "set", link, "mtu", str(MTU))
        for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            router.run("sysctl", "-qw", f"{name}=1")
        for side, (namespace, link) in enumerate(((near, "near0"), (far, "far0"))):
            _join(namespace, router, link, OUTER[side])
        hosts: list[Host] = []
        try:
            for side, namespace in enumerate((near, far)):
                run_dir = folder / str(side)
                run_dir.mkdir()
                hosts.append(Host(namespace, run_dir, side))
            yield (hosts[0], hosts[1]), router
        finally:
            for host in hosts:
                host.close()


def _join(host: Namespace, router: Namespace, link: str, addresses: tuple[str, str]) -> None:
    host.ip("link", "set", "outer0", "up")
    router.ip("link", "set", link, "up")
    for address, gateway in zip(addresses, ROUTER, strict=True):
        length = 128 if ":" in address else 32
        host.add_address("outer0", f"{address}/{length}")
        router.add_address(link, f"{gateway}/{length}")
        router.ip("route", "add", f"{address}/{length}", "dev", link)
        host.ip("route", "add", f"{gateway}/{length}", "dev", "outer0")
        host.ip("route", "add", "default", "via", gateway, "dev", "outer0")

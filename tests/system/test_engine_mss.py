# SPDX-License-Identifier: Apache-2.0
"""TCP through a tunnel announces segments that fit into it (RFC 9293 §3.7.1, RFC 4821 §1)."""

import socket

import pytest

from support.suites import BY_NAME
from support.tunnel import INNER, PROTECTED, Hosts, child_pair

pytestmark = pytest.mark.system

TIMESTAMPS = 12


@pytest.mark.parametrize(("family", "headers"), [(0, 40), (1, 60)], ids=["ipv4", "ipv6"])
def test_a_peer_that_believes_in_larger_packets_is_told_better(
    hosts: Hosts, family: int, headers: int
) -> None:
    """As a host behind a gateway, whose own network has an MTU of 1500."""
    near, far = hosts
    for host, child in zip(hosts, child_pair(BY_NAME["aes256gcm16"]), strict=True):
        host.install(child)
    route = (PROTECTED[1][family], "dev", "ikeway0")
    near.namespace.ip("route", "change", *route, "advmss", "1460")
    far.namespace.ip("link", "set", "ikeway0", "mtu", "1500")
    kind = socket.AF_INET6 if family else socket.AF_INET
    address = (INNER[1][family], 7100)
    listening = far.namespace.inside(lambda: socket.create_server(address, family=kind))
    with listening, near.namespace.inside(lambda: socket.create_connection(address, 5)):
        listening.settimeout(5)
        with listening.accept()[0] as accepted:
            largest = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    near.namespace.ip("route", "change", *route)
    far.namespace.ip("link", "set", "ikeway0", "mtu", "1400")
    assert largest == 1400 - headers - TIMESTAMPS

# SPDX-License-Identifier: Apache-2.0
"""TCP through a tunnel announces segments that fit into it (RFC 9293 §3.7.1, RFC 4821 §1)."""

import socket
from dataclasses import replace

import pytest

from ikeway.model.outer import OuterHeader
from support.suites import AH_SUITES, BY_NAME, Suite
from support.tunnel import INNER, PROTECTED, Hosts, child_pair, without_udp

pytestmark = pytest.mark.system

GCM = BY_NAME["aes256gcm16"]
AH = next(suite for suite in AH_SUITES if suite.name == "sha256")
TIMESTAMPS = 12


BACK = 1280
"""What the path back to the peer carries, its operator says."""
AROUND = 20 + 73
"""The outer IP header, and more than ESP and AH add with any suite."""


@pytest.mark.parametrize(("family", "headers"), [(0, 40), (1, 60)], ids=["ipv4", "ipv6"])
def test_a_peer_that_believes_in_larger_packets_is_told_better(
    hosts: Hosts, family: int, headers: int
) -> None:
    """As a host behind a gateway, whose own network has an MTU of 1500."""
    for host, child in zip(hosts, child_pair(GCM), strict=True):
        host.install(child)
    assert _told(hosts, family) == 1400 - headers - TIMESTAMPS


@pytest.mark.parametrize(("family", "headers"), [(0, 40), (1, 60)], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("suite", [GCM, AH], ids=["esp", "ah"])
def test_whoever_answers_is_told_what_the_operator_knows_of_the_way_back(
    hosts: Hosts, suite: Suite, family: int, headers: int
) -> None:
    """Only the engine of who answers knows of the narrow path, and only by hand: `path_mtu`."""
    near, far = hosts
    to_near, to_far = map(without_udp, child_pair(suite))
    near.install(to_near)
    far.install(replace(to_far, outer=OuterHeader(path_mtu=BACK)))
    assert _told(hosts, family) == BACK - AROUND - headers - TIMESTAMPS


def _told(hosts: Hosts, family: int) -> int:
    """Return the segment size that who answers believes in, where who asks believes in more."""
    near, far = hosts
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
    return largest

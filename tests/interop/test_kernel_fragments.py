# SPDX-License-Identifier: Apache-2.0
"""Fragments of datagrams to one port, between our engine and the Linux kernel (RFC 4301 §7)."""

import secrets
import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Final

import pytest

from ikeway.model.address import NAT_PORT, Endpoint
from support.echoed import Echoed, echoed
from support.guest import Guest
from support.kernel import ECHO, ECHO_PORT, MODULES
from support.link import FIRST, SECOND
from support.suites import BY_NAME
from support.tunnel import INNER, Host, child_pair

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]

PORT: Final = 20_000
TABLE: Final = "77"
OUTER: Final = (FIRST[4], SECOND[4])
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0


def case() -> Echoed:
    """Return a pair for what one port of ours sends to the peer's echo, and the answers."""
    suite = BY_NAME["aes256gcm16"]
    pair = [
        replace(
            child,
            local=Endpoint(ip_address(OUTER[side]), NAT_PORT),
            peer=Endpoint(ip_address(OUTER[1 - side]), NAT_PORT),
            later_fragments=True,
        )
        for side, child in enumerate(child_pair(suite))
    ]
    return echoed(pair, suite, 1, PORT, (INNER[0][0], INNER[1][0]))


@pytest.fixture
def engine(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Our engine beside the guest; what the port of the case sends goes into its interface."""
    host = Host(guest.namespace, tmp_path_factory.mktemp("e"), 0)
    guest.namespace.ip("route", "add", INNER[1][0], "dev", "ikeway0", "table", TABLE)
    guest.namespace.ip("rule", "add", "ipproto", "udp", "sport", str(PORT), "lookup", TABLE)
    yield host
    host.close()


def test_fragments_of_a_datagram_reach_the_port_behind_the_kernel(
    guest: Guest, engine: Host
) -> None:
    """The kernel checks a datagram against its policy once it is whole, and seals before it cuts:
    ours come as inner fragments, its answers in one packet each.
    """
    one = case()
    guest.run("sh", "-c", f"modprobe -a {' '.join(MODULES)} 2>/dev/null; true")
    guest.start("echo", "python3", "-c", ECHO, str(ECHO_PORT))
    (guest.folder / "sas").write_text("\n".join(one.lines) + "\n")
    guest.run("ip", "-batch", "/out/sas")
    engine.install(one.ours)
    with guest.namespace.inside(opened) as mine:
        for size in (100, 3000, 9000):
            octets = secrets.token_bytes(size)
            mine.sendto(octets, (INNER[1][0], ECHO_PORT))
            assert mine.recv(1 << 16) == octets
    usage = engine.call(lambda: engine.plane.usage(one.ours.spi_in))
    assert usage.packets_out == 1 + 3 + 7
    assert usage.packets_in == 3


def opened() -> socket.socket:
    mine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mine.settimeout(5)
    # Linux would set DF.
    mine.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    mine.bind((INNER[0][0], PORT))
    return mine

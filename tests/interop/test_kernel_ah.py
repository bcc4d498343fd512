# SPDX-License-Identifier: Apache-2.0
"""Every algorithm of AH between our engine and the Linux kernel, whose keys the test chose.

One guest, all pairs at once, over IPv4 and IPv6: each carries the datagrams of one port (RFC 4302).
"""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from itertools import product
from typing import Final

import pytest

from ikeway.model.address import IKE_PORT, Endpoint
from ikeway.model.esp import Encapsulation, Mode
from support.echoed import FAMILIES, Echoed, all_come_back, echoed
from support.guest import Guest
from support.kernel import ECHO_PORT, KERNEL_AH_SUITES, MODULES
from support.link import FIRST, SECOND
from support.suites import Suite
from support.tunnel import INNER, Host, child_pair

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]

FIRST_PORT: Final = 21_000
TABLE: Final = "78"
SIZES: Final = (1, 38, 1200)
ECHO: Final = """
import socket, sys
echo = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
echo.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
echo.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
echo.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, b"\\0\\0\\x1e\\4stay")
echo.bind(("::", int(sys.argv[1])))
while True:
    octets, control, _, source = echo.recvmsg(65535, 64)
    echo.sendmsg([octets], control, 0, source)
"""
"""It answers from where it was asked, over either; in IPv6 with hop-by-hop options, before AH."""


def cases() -> list[Echoed]:
    """Return a pair for every algorithm, mode, length of sequence numbers and outer IP version."""
    wanted = product(KERNEL_AH_SUITES, Mode, (False, True), FAMILIES)
    return [case(number, *one) for number, one in enumerate(wanted, 1)]


def case(number: int, suite: Suite, mode: Mode, esn: bool, version: int) -> Echoed:
    """Return a pair that carries what our port of that number sends, and the answers."""
    outer = FIRST[version], SECOND[version]
    inner = INNER[0][version == 6], INNER[1][version == 6]
    pair = [
        replace(
            child,
            local=Endpoint(ip_address(outer[side]), IKE_PORT),
            peer=Endpoint(ip_address(outer[1 - side]), IKE_PORT),
            encapsulation=Encapsulation.NONE,
            mode=mode,
        )
        for side, child in enumerate(child_pair(suite, esn=esn, spi=0x3000 + 2 * number))
    ]
    addresses = outer if mode is Mode.TRANSPORT else inner
    return echoed(pair, suite, number, FIRST_PORT + number, addresses)


@pytest.fixture
def engine(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Our engine beside the guest; what the ports of the cases send goes into its interface."""
    host = Host(guest.namespace, tmp_path_factory.mktemp("a"), 0)
    ports = f"{FIRST_PORT}-{FIRST_PORT + 999}"
    for version, inner in ((4, INNER[1][0]), (6, INNER[1][1])):
        family = f"-{version}"
        for target in (SECOND[version], inner):
            guest.namespace.ip(family, "route", "add", target, "dev", "ikeway0", "table", TABLE)
        rule = ("rule", "add", "ipproto", "udp", "sport", ports, "lookup", TABLE)
        guest.namespace.ip(family, *rule)
    yield host
    host.close()


@pytest.mark.conformance("CF-U04", "CF-U11")
def test_the_kernel_answers_in_every_algorithm(guest: Guest, engine: Host) -> None:
    """RFC 4302 whole: what either makes, the other opens."""
    guest.run("sh", "-c", f"modprobe -a ah4 ah6 {' '.join(MODULES)} 2>/dev/null; true")
    guest.run("ip", "-6", "route", "replace", f"{INNER[0][1]}/128", "via", FIRST[6])
    guest.start("echo-ah", "python3", "-c", ECHO, str(ECHO_PORT))
    all_come_back(guest, engine, cases(), SIZES)

# SPDX-License-Identifier: Apache-2.0
"""Every algorithm of ESP between our engine and the Linux kernel, whose keys the test chose.

One guest, all pairs at once: each carries the datagrams of one port (RFC 8221, RFC 4303).
"""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from itertools import product
from typing import Final

import pytest

from ikeway.model.address import NAT_PORT, Endpoint
from ikeway.model.esp import Mode
from support.echoed import Echoed, all_come_back, echoed
from support.guest import Guest
from support.kernel import ECHO, ECHO_PORT, KERNEL_SUITES, MODULES
from support.link import FIRST, SECOND
from support.suites import Suite
from support.tunnel import INNER, Host, child_pair

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]

FIRST_PORT: Final = 20_000
TABLE: Final = "77"
OUTER: Final = (FIRST[4], SECOND[4])
SIZES: Final = (1, 37, 1200)


def cases() -> list[Echoed]:
    """Return a pair for every algorithm, mode and length of sequence numbers."""
    wanted = product(KERNEL_SUITES, Mode, (False, True))
    return [case(number, *one) for number, one in enumerate(wanted, 1)]


def case(number: int, suite: Suite, mode: Mode, esn: bool) -> Echoed:
    """Return a pair that carries what our port of that number sends, and the answers."""
    pair = [
        replace(
            child,
            local=Endpoint(ip_address(OUTER[side]), NAT_PORT),
            peer=Endpoint(ip_address(OUTER[1 - side]), NAT_PORT),
            mode=mode,
        )
        for side, child in enumerate(child_pair(suite, esn=esn, spi=0x1000 + 2 * number))
    ]
    addresses = OUTER if mode is Mode.TRANSPORT else (INNER[0][0], INNER[1][0])
    return echoed(pair, suite, number, FIRST_PORT + number, addresses)


@pytest.fixture
def engine(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Our engine beside the guest; what the ports of the cases send goes into its interface."""
    host = Host(guest.namespace, tmp_path_factory.mktemp("e"), 0)
    ports = f"{FIRST_PORT}-{FIRST_PORT + 4 * len(KERNEL_SUITES)}"
    for target in (SECOND[4], INNER[1][0]):
        guest.namespace.ip("route", "add", target, "dev", "ikeway0", "table", TABLE)
    guest.namespace.ip("rule", "add", "ipproto", "udp", "sport", ports, "lookup", TABLE)
    yield host
    host.close()


@pytest.mark.conformance("CF-U04", "CF-U11", "CF-U14", "CF-U18", "CF-U19", "CF-J24")
def test_the_kernel_answers_in_every_algorithm(guest: Guest, engine: Host) -> None:
    guest.run("sh", "-c", f"modprobe -a {' '.join(MODULES)} 2>/dev/null; true")
    guest.start("echo", "python3", "-c", ECHO, str(ECHO_PORT))
    all_come_back(guest, engine, cases(), SIZES)

# SPDX-License-Identifier: Apache-2.0
"""Every algorithm of ESP between our engine and the Linux kernel, whose keys the test chose.

One guest, all pairs at once: each carries the datagrams of one port (RFC 8221, RFC 4303).
"""

import asyncio
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final

import pytest

from ikeway.model.address import NAT_PORT, Endpoint
from ikeway.model.esp import ChildSa, Mode
from ikeway.model.selectors import TrafficSelector
from support.guest import Guest
from support.kernel import ECHO, ECHO_PORT, KERNEL_SUITES, MODULES, pair_lines
from support.link import FIRST, SECOND
from support.suites import Suite
from support.tunnel import INNER, Host, child_pair

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]

FIRST_PORT: Final = 20_000
TABLE: Final = "77"
OUTER: Final = (FIRST[4], SECOND[4])
SIZES: Final = (1, 37, 1200)
UDP: Final = 17


@dataclass(frozen=True)
class Case:
    """One pair of SAs: ours, and the kernel's lines."""

    suite: Suite
    mode: Mode
    esn: bool
    port: int
    ours: ChildSa
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        """As a failure calls it."""
        return f"{self.suite.name} {self.mode.value}{' esn' if self.esn else ''}"


def cases() -> list[Case]:
    """Return a pair for every algorithm, mode and length of sequence numbers."""
    wanted = [
        (suite, mode, esn) for suite in KERNEL_SUITES for mode in Mode for esn in (False, True)
    ]
    return [case(number, *one) for number, one in enumerate(wanted, 1)]


def case(number: int, suite: Suite, mode: Mode, esn: bool) -> Case:
    """Return a pair that carries what our port of that number sends, and the answers."""
    addresses = OUTER if mode is Mode.TRANSPORT else (INNER[0][0], INNER[1][0])
    port = FIRST_PORT + number
    selectors = tuple(
        TrafficSelector(UDP, at, at, ip_address(address), ip_address(address))
        for address, at in zip(addresses, (port, ECHO_PORT), strict=True)
    )
    ours, theirs = (
        replace(
            child,
            local=Endpoint(ip_address(OUTER[side]), NAT_PORT),
            peer=Endpoint(ip_address(OUTER[1 - side]), NAT_PORT),
            mode=mode,
            local_ts=(selectors[side],),
            peer_ts=(selectors[1 - side],),
        )
        for side, child in enumerate(child_pair(suite, esn=esn, spi=0x1000 + 2 * number))
    )
    return Case(suite, mode, esn, port, ours, pair_lines(theirs, suite, number))


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
    every = cases()
    lines = [line for one in every for line in one.lines]
    (guest.folder / "sas").write_text("\n".join(lines) + "\n")
    guest.run("sh", "-c", f"modprobe -a {' '.join(MODULES)} 2>/dev/null; true")
    guest.start("echo", "python3", "-c", ECHO, str(ECHO_PORT))
    guest.run("ip", "-batch", "/out/sas")
    for one in every:
        engine.install(one.ours)
    wrong = guest.namespace.inside(lambda: asyncio.run(answers(every)))
    assert not wrong
    usages = engine.call(engine.plane.usages)
    for one in every:
        usage = usages[one.ours.spi_in]
        assert (usage.packets_out, usage.packets_in) == (len(SIZES), len(SIZES)), one.name


async def answers(every: list[Case]) -> list[str]:
    """Return the pairs in which a datagram does not come back as it went."""
    lanes = asyncio.Semaphore(16)

    async def judged(one: Case) -> str:
        async with lanes:
            return "" if await is_echoed(one) else one.name

    return [name for name in await asyncio.gather(*map(judged, every)) if name]


async def is_echoed(one: Case) -> bool:
    """Whether each datagram comes back unchanged; some of several ways to pad are among them."""
    loop = asyncio.get_running_loop()
    here, there = one.ours.local_ts[0].start, one.ours.peer_ts[0].start
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
        mine.setblocking(False)
        mine.bind((str(here), one.port))
        for size in SIZES:
            octets = secrets.token_bytes(size)
            mine.sendto(octets, (str(there), ECHO_PORT))
            try:
                back = await asyncio.wait_for(loop.sock_recv(mine, 2048), 5.0)
            except TimeoutError:
                return False
            if back != octets:
                return False
    return True

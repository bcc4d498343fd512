# SPDX-License-Identifier: Apache-2.0
"""Pairs of SAs between our engine and a guest's kernel that each carry what one port sends."""

import asyncio
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final

from ikeway.model.esp import ChildSa, Mode
from ikeway.model.selectors import TrafficSelector
from support.guest import Guest
from support.kernel import ECHO_PORT, pair_lines
from support.suites import Suite
from support.tunnel import Host

UDP: Final = 17
FAMILIES: Final = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True)
class Echoed:
    """One pair: ours, and the kernel's lines. `port` is ours, the peer's is that of the echo."""

    suite: Suite
    mode: Mode
    esn: bool
    port: int
    ours: ChildSa
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        """As a failure calls it."""
        version = self.ours.local.address.version
        return f"{self.suite.name} {self.mode.value} ipv{version}{' esn' if self.esn else ''}"


def echoed(
    pair: Sequence[ChildSa],
    suite: Suite,
    number: int,
    port: int,
    addresses: tuple[str, str],
) -> Echoed:
    """Return a pair, ours first, that carries what our port sends, and the answers."""
    selectors = tuple(
        TrafficSelector(UDP, at, at, ip_address(address), ip_address(address))
        for address, at in zip(addresses, (port, ECHO_PORT), strict=True)
    )
    ours, theirs = (
        replace(child, local_ts=(selectors[side],), peer_ts=(selectors[1 - side],))
        for side, child in enumerate(pair)
    )
    lines = pair_lines(theirs, suite, number)
    return Echoed(suite, ours.mode, ours.suite.esn, port, ours, lines)


def all_come_back(
    guest: Guest, engine: Host, every: Sequence[Echoed], sizes: Sequence[int]
) -> None:
    """Install the pairs at both ends; each has to carry every datagram and its answer."""
    lines = [line for one in every for line in one.lines]
    (guest.folder / "sas").write_text("\n".join(lines) + "\n")
    guest.run("ip", "-batch", "/out/sas")
    for one in every:
        engine.install(one.ours)
    wrong = guest.namespace.inside(lambda: asyncio.run(_wrong(every, sizes)))
    assert not wrong
    usages = engine.call(engine.plane.usages)
    for one in every:
        usage = usages[one.ours.spi_in]
        assert (usage.packets_out, usage.packets_in) == (len(sizes), len(sizes)), one.name


async def _wrong(every: Sequence[Echoed], sizes: Sequence[int]) -> list[str]:
    """Return the pairs in which a datagram does not come back as it went."""
    lanes = asyncio.Semaphore(16)

    async def judged(one: Echoed) -> str:
        async with lanes:
            return "" if await _is_echoed(one, sizes) else one.name

    return [name for name in await asyncio.gather(*map(judged, every)) if name]


async def _is_echoed(one: Echoed, sizes: Sequence[int]) -> bool:
    """Whether each datagram comes back unchanged; some of several ways to pad are among them."""
    loop = asyncio.get_running_loop()
    here, there = one.ours.local_ts[0].start, one.ours.peer_ts[0].start
    with socket.socket(FAMILIES[here.version], socket.SOCK_DGRAM) as mine:
        mine.setblocking(False)
        mine.bind((str(here), one.port))
        for size in sizes:
            octets = secrets.token_bytes(size)
            mine.sendto(octets, (str(there), ECHO_PORT))
            try:
                back = await asyncio.wait_for(loop.sock_recv(mine, 2048), 5.0)
            except TimeoutError:
                return False
            if back != octets:
                return False
    return True

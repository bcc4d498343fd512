# SPDX-License-Identifier: Apache-2.0
"""An engine with many Child SAs: `python bench/esp_scale.py --pairs 100000` as root.

A pair of SAs carries TCP between two namespaces, alone, while the others are installed beside it,
when all are there, and while they are removed. Of the others it is told how many come and go in a
second over the control socket, and what each takes of the engine's memory.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]

from esp_load.measure import Plan, build, packets, spent, tcp  # noqa: E402
from esp_load.tunnels import Tunnel  # noqa: E402

from ikeway.model.esp import ChildSa  # noqa: E402
from ikeway.model.selectors import TrafficSelector  # noqa: E402
from support.suites import SUITES  # noqa: E402
from support.tunnel import INNER, Host, child_pair, ping, two_hosts  # noqa: E402

TOGETHER: Final = 256
FIRST: Final = 0x10_0000
# A prime below 2^32 - FIRST, and a number that is none of its factors.
LAST: Final = 4_293_918_689
SCATTER: Final = 2_654_435_761
PEERS: Final = int(ip_address("100.64.0.0"))
OWN: Final = TrafficSelector.of(ip_network("10.1.0.0/16"))


def main() -> None:
    """Measure what the arguments ask for and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--suite", default="aes256gcm16")
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    suite = next(one for one in SUITES if one.name == options.suite)
    with tempfile.TemporaryDirectory() as folder, two_hosts(Path(folder)) as hosts:
        plan = Plan(Path(folder), options.seconds)
        build(plan.folder)
        ends = child_pair(suite)
        for host, child in zip(hosts, ends, strict=True):
            host.install(child)
        ping(*hosts)
        print("| | Gbit/s | CPU s/GB | 64 octets: CPU µs a packet |\n|---|---|---|---|", flush=True)
        tunnel = opened(hosts)
        carry("alone", tunnel, plan)
        many = [another(ends[0], number) for number in range(options.pairs)]
        results = beside(hosts, tunnel, many)
        carry(f"{options.pairs:,} pairs beside it", tunnel, plan)
        results += leaving(hosts, tunnel, many)
        print("\n".join(["", *results]))


def opened(hosts: tuple[Host, Host]) -> Tunnel:
    """Return the tunnel of the pair that carries."""
    near, far = hosts
    engines = tuple(host.call(host.plane.process_id) for host in hosts)
    return Tunnel(near.namespace, far.namespace, INNER[1][0], "ikeway0", engines)


def another(child: ChildSa, number: int) -> ChildSa:
    """Return a Child SA with an SPI and a peer of its own."""
    peer = TrafficSelector.of(ip_network((PEERS + number, 32)))
    # Scattered, as those are that IKE gives.
    spi = FIRST + number * SCATTER % LAST
    return replace(child, spi_in=spi, spi_out=spi, local_ts=(OWN,), peer_ts=(peer,))


def carry(what: str, tunnel: Tunnel, plan: Plan) -> None:
    """Print what the pair carries now."""
    figures = tcp(tunnel, 1, plan.seconds)
    before = spent(tunnel.processes)
    count, _ = packets(tunnel, 64, plan, 512)
    cost = (spent(tunnel.processes) - before) / count * 1e6
    row = f"{figures['tcp1_gbps']:.2f} | {figures['tcp1_cpu_s_per_gb']:.2f} | {cost:.2f}"
    print(f"| {what} | {row} |", flush=True)


def beside(hosts: tuple[Host, Host], tunnel: Tunnel, many: list[ChildSa]) -> list[str]:
    """Install the pairs, half of them in silence and half while TCP runs."""
    near, engine = hosts[0], tunnel.processes[0]
    half = len(many) // 2
    quiet, busy = many[:half], many[half:]
    before, cost = memory(engine), spent([engine])
    seconds = all_of(near, (lambda child=child: near.plane.install(child) for child in quiet))
    each = (spent([engine]) - cost) / half * 1e6
    grown = (memory(engine) - before) / half
    results = [
        f"- installed: {half / seconds:,.0f} a second, {each:.0f} µs of the engine's CPU each"
    ]
    results += [f"- memory of the engine: {grown:,.0f} octets a pair"]
    work = (lambda child=child: near.plane.install(child) for child in busy)
    return [*results, during("installed", tunnel, len(busy), lambda: all_of(near, work))]


def leaving(hosts: tuple[Host, Host], tunnel: Tunnel, many: list[ChildSa]) -> list[str]:
    """Remove the pairs, half of them while TCP runs."""
    near = hosts[0]
    half = len(many) // 2
    removals = [lambda spi=child.spi_in: near.plane.remove(spi) for child in many]
    busy = during("removed", tunnel, half, lambda: all_of(near, removals[:half]))
    seconds = all_of(near, removals[half:])
    return [busy, f"- removed: {(len(many) - half) / seconds:,.0f} a second"]


def during(what: str, tunnel: Tunnel, count: int, work: Callable[[], float]) -> str:
    """Run some work while TCP runs, and say how both fared."""
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(work)
        figures: list[float] = []
        while not running.done():
            figures.append(tcp(tunnel, 1, 1)["tcp1_gbps"])
        rate = count / running.result()
    shown = ", ".join(f"{one:.2f}" for one in figures)
    return f"- {what} while TCP runs: {rate:,.0f} a second; TCP second by second: {shown} Gbit/s"


def all_of(host: Host, work: Iterable[Callable[[], Awaitable[object]]]) -> float:
    """Do all of it, so many requests at a time; return the seconds that it took."""

    async def run() -> None:
        waiting = list(work)
        for start in range(0, len(waiting), TOGETHER):
            await asyncio.gather(*(one() for one in waiting[start : start + TOGETHER]))

    start = time.monotonic()
    asyncio.run_coroutine_threadsafe(run(), host.loop).result(600)
    return time.monotonic() - start


def memory(process: int) -> int:
    """Return the octets of a process that are its own."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    fields = {line.split(":")[0]: line.split()[1] for line in text.splitlines()[1:]}
    return int(fields["Private_Dirty"]) * 1024


if __name__ == "__main__":
    main()

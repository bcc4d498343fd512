# SPDX-License-Identifier: Apache-2.0
"""An engine with many Child SAs: `python bench/esp_scale.py --pairs 100000` as root.

A pair of SAs carries TCP between two namespaces: alone, while others are installed beside it, when
all are there, while they are rekeyed at a steady rate, and while they are removed. It is told who
used the processors meanwhile, how many pairs come and go in a second over the control socket, and
what each takes of the engine's memory. `--still` carries nothing and tells the last two alone.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]

from esp_load.measure import Plan, build, packets, spent  # noqa: E402
from esp_load.pairs import Requester  # noqa: E402
from esp_load.shares import HEAD, row  # noqa: E402
from esp_load.tunnels import Tunnel  # noqa: E402

from support.suites import SUITES  # noqa: E402
from support.tunnel import INNER, Host, child_pair, ping, two_hosts  # noqa: E402

RATES: Final = (500, 2000)
"""Pairs rekeyed in a second: 100,000 in 200 seconds and in 50."""


def main() -> None:
    """Measure what the arguments ask for and print it in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--suite", default="aes256gcm16")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--queues", type=int, default=1)
    parser.add_argument("--still", action="store_true")
    options = parser.parse_args()
    suite = next(one for one in SUITES if one.name == options.suite)
    with tempfile.TemporaryDirectory() as folder, two_hosts(Path(folder), options.queues) as hosts:
        ends = child_pair(suite)
        for host, child in zip(hosts, ends, strict=True):
            host.install(child)
        ping(*hosts)
        tunnel, requester = opened(hosts), Requester(hosts[0], ends[0], options.pairs)
        if options.still:
            results = arriving(requester, tunnel, options.pairs)
        else:
            results = carrying(requester, tunnel, Plan(Path(folder), options.seconds))
        left = len(requester.installed)
        results.append(f"- removed: {left / requester.remove(left):,.0f} a second")
        print("\n".join(["", *results]))


def opened(hosts: tuple[Host, Host]) -> Tunnel:
    """Return the tunnel of the pair that carries."""
    near, far = hosts
    engines = tuple(host.call(host.plane.process_id) for host in hosts)
    return Tunnel(near.namespace, far.namespace, INNER[1][0], "ikeway0", engines)


def carrying(requester: Requester, tunnel: Tunnel, plan: Plan) -> list[str]:
    """Print a table of TCP beside pairs that come, stay, are rekeyed and go; tell the rest."""
    build(plan.folder)
    half = len(requester.waiting) // 2
    results = [small("alone", tunnel, plan)]
    print(HEAD, row("alone", tunnel, plan), sep="\n", flush=True)
    results += arriving(requester, tunnel, half)
    under_way(requester, tunnel, plan)
    results.append(small(f"{len(requester.installed):,} pairs beside it", tunnel, plan))
    with requester.removing(len(requester.installed) // 2):
        print(row("removed as fast as can be", tunnel, plan, lambda: requester.done), flush=True)
    return results


def arriving(requester: Requester, tunnel: Tunnel, count: int) -> list[str]:
    """Install pairs in silence; tell how fast, and what they take."""
    engine = tunnel.processes[0]
    before, cost = memory(engine), spent([engine])
    seconds = requester.install(count)
    each = (spent([engine]) - cost) / count * 1e6
    grown = (memory(engine) - before) / count
    return [
        f"- installed: {count / seconds:,.0f} a second, {each:.0f} µs of the engine's CPU each",
        f"- memory of the engine: {grown:,.0f} octets a pair",
    ]


def under_way(requester: Requester, tunnel: Tunnel, plan: Plan) -> None:
    """Print a row for each of the things that may happen while TCP runs."""

    def tell(what: str) -> None:
        print(row(what, tunnel, plan, lambda: requester.done), flush=True)

    with requester.installing(len(requester.waiting)):
        tell("installed as fast as can be")
    tell(f"{len(requester.installed):,} pairs beside it")
    for rate in RATES:
        with requester.rekeying(rate):
            tell(f"{rate:,} a second rekeyed")
    with requester.burning():
        tell("nothing asked for, as much of the requester's time")
    tell(f"{len(requester.installed):,} pairs beside it, again")


def small(what: str, tunnel: Tunnel, plan: Plan) -> str:
    """Tell what a small packet costs."""
    before = spent(tunnel.processes)
    count, _ = packets(tunnel, 64, plan, 512)
    cost = (spent(tunnel.processes) - before) / count * 1e6
    return f"- 64 octets, {what}: {cost:.2f} µs of the engines' CPU a packet"


def memory(process: int) -> int:
    """Return the octets of a process that are its own."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    fields = {line.split(":")[0]: line.split()[1] for line in text.splitlines()[1:]}
    return int(fields["Private_Dirty"]) * 1024


if __name__ == "__main__":
    main()

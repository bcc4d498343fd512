# SPDX-License-Identifier: Apache-2.0
"""Who uses the processors while a tunnel carries: the engines, who asks them, or the rest."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from esp_load.measure import Plan, busy, ping, tcp
from esp_load.tunnels import Tunnel

COLUMNS: Final = (
    "",
    "pairs a second",
    "TCP Gbit/s",
    "packet threads, s/GB",
    "packet threads",
    "control threads",
    "requester",
    "iperf3, rest",
    "ping, median",
    "longest",
)
HEAD: Final = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


@dataclass(frozen=True)
class Spent:
    """Seconds of processors' time until now; `done` is what the requester has done."""

    at: float
    packets: float
    control: float
    requester: float
    machine: float
    done: int


def spent(tunnel: Tunnel, done: int) -> Spent:
    """Return what was spent until now; this process is the requester."""
    control = sum(_thread(number, number) for number in tunnel.processes)
    threads = sum(_all_threads(number) for number in tunnel.processes)
    return Spent(time.monotonic(), threads - control, control, time.process_time(), busy(), done)


def row(what: str, tunnel: Tunnel, plan: Plan, done: Callable[[], int] = lambda: 0) -> str:
    """Return a row of the table: TCP, who had how many processors meanwhile, and then pings."""
    before = spent(tunnel, done())
    gigabits = tcp(tunnel, 1, plan.seconds)["tcp1_gbps"]
    after = spent(tunnel, done())
    seconds = after.at - before.at
    packets, control, requester, machine = (
        (getattr(after, name) - getattr(before, name))
        for name in ("packets", "control", "requester", "machine")
    )
    rest = machine - packets - control - requester
    shares = (f"{share / seconds:.2f}" for share in (packets, control, requester, rest))
    each = packets / (gigabits / 8 * plan.seconds)
    rate = (after.done - before.done) / seconds
    times = sorted(ping(tunnel, plan.seconds * 500, 0.002))
    middle, longest = times[len(times) // 2], times[-1]
    cells = f"{rate:,.0f}", f"{gigabits:.2f}", f"{each:.2f}", *shares
    delays = f"{middle:,.0f} µs", f"{longest / 1000:.1f} ms"
    return " | ".join([f"| {what}", *cells, *delays]) + " |"


def _all_threads(process: int) -> float:
    tasks = Path(f"/proc/{process}/task").iterdir()
    return sum(_thread(process, int(task.name)) for task in tasks)


def _thread(process: int, thread: int) -> float:
    """Return the seconds of a thread; the control thread has the number of its process."""
    nanoseconds = Path(f"/proc/{process}/task/{thread}/schedstat").read_text().split()[0]
    return int(nanoseconds) / 1e9

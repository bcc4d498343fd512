# SPDX-License-Identifier: Apache-2.0
"""What processes have used, as the kernel counts it (proc(5))."""

from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc")


def family(process: int) -> tuple[int, ...]:
    """Return a process and all that it started."""
    found = [process]
    for task in (_PROC / str(process) / "task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return tuple(found)


def cpu_seconds(processes: Iterable[int]) -> float:
    """Return the time that all their threads ran, to the nanosecond."""
    return sum(
        int((task / "schedstat").read_text().split()[0]) / 1e9
        for process in processes
        for task in (_PROC / str(process) / "task").iterdir()
    )


def memory_octets(processes: Iterable[int]) -> int:
    """Return the memory that they have, each with its share of what they have together."""
    total = 0
    for process in processes:
        lines = (_PROC / str(process) / "smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024

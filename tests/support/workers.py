# SPDX-License-Identifier: Apache-2.0
"""The processes of a daemon with workers."""

from pathlib import Path

from support.daemon import Daemon


def worker_process(daemon: Daemon, number: int) -> int:
    """Return the process of a worker: they are forked in the order of their numbers."""
    assert daemon._process is not None
    (nursery,) = children(daemon._process.pid)
    return sorted(children(nursery))[number]


def children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").iterdir()
    return [int(one) for task in tasks for one in (task / "children").read_text().split()]


def is_alive(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"

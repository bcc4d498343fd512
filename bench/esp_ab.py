# SPDX-License-Identifier: Apache-2.0
"""Builds of our engine, one against the other: `esp_ab.py --build a=FILE --build b=FILE` as root.

A build is an `_engine.abi3.so`, or a folder with one; what follows after commas are variables of
its environment. All take their turn in each round, so that a busy machine is as busy for each, and
`--nice -10` has it favour them, the load as well as the engines. `--engines together` keeps both
ends of the tunnel on one processor, and `apart` each on its own: what the kernel chooses stays for
the life of a tunnel, and small packets cost half as much more when it chooses two.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]

from esp_load import programs  # noqa: E402
from esp_load.measure import (  # noqa: E402
    CONGESTION,
    Figures,
    Plan,
    build,
    control,
    idle_delay,
    loaded_delay,
    tcp,
    udp,
)
from esp_load.tunnels import Maker, Tunnel, environment, ikeway, veth  # noqa: E402
from esp_load.wireguard import wireguard  # noqa: E402

EXTENSION: Final = "_engine.abi3.so"
OTHERS: Final[dict[str, Maker]] = {
    "veth": veth,
    "wireguard-go": wireguard(programs.wireguard_go, "-f"),
}
KINDS: Final = ("ping", "tcp", "udp", "loaded")
PLACES: Final = {"together": (0, 0), "apart": (0, 1)}
"""The processor of each end's engine."""


def main() -> None:
    """Measure what the arguments ask for; print the median of each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", action="append", default=[], metavar="NAME=PATH[,KEY=VALUE...]")
    parser.add_argument("--beside", action="append", default=[], choices=list(OTHERS))
    parser.add_argument("--what", action="append", choices=KINDS, help="may be repeated")
    parser.add_argument("--suite", default="aes256gcm16")
    parser.add_argument("--busy-poll", type=int, default=0)
    parser.add_argument("--bare", action="store_true", help="ESP in no UDP")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--congestion", default=CONGESTION, help="of TCP")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--engines", choices=list(PLACES), help="processors of both ends")
    options = parser.parse_args()
    favour((os.getpid(),), options.nice)
    builds = options.build or [f"this={ROOT / 'src/ikeway' / EXTENSION}"]
    with tempfile.TemporaryDirectory(prefix="bench-esp-") as folder:
        plan = Plan(Path(folder), options.seconds, congestion=options.congestion)
        build(plan.folder)
        carried = ikeway(options.suite, bare=options.bare, busy_poll=options.busy_poll)
        makers = {name: OTHERS[name] for name in options.beside}
        makers |= dict(variant(plan.folder, text, carried) for text in builds)
        results: dict[str, list[Figures]] = {name: [] for name in makers}
        for _ in range(options.rounds):
            for name, make in makers.items():
                with tempfile.TemporaryDirectory() as place, make(Path(place)) as tunnel:
                    favour(tunnel.processes, options.nice)
                    bind(tunnel.processes, PLACES.get(options.engines, ()))
                    results[name].append(figures(tunnel, plan, options.what or KINDS))
        sys.stdout.writelines(line + "\n" for line in table(results))


def variant(folder: Path, text: str, plain: Maker) -> tuple[str, Maker]:
    """Return a build's name and what makes a tunnel with it: a package of its own comes first."""
    name, _, rest = text.partition("=")
    path, *variables = rest.split(",")
    package = folder / name / "ikeway"
    shutil.copytree(ROOT / "src/ikeway", package, ignore=shutil.ignore_patterns("*.so"))
    found = Path(path) / EXTENSION if Path(path).is_dir() else Path(path)
    shutil.copy(found, package / EXTENSION)
    words = {"PYTHONPATH": str(package.parent)} | dict(one.split("=", 1) for one in variables)

    @contextmanager
    def make(place: Path) -> Iterator[Tunnel]:
        with environment(words), plain(place) as tunnel:
            yield tunnel

    return name, make


def favour(processes: Iterable[int], nice: int) -> None:
    """Set the priority of processes, and of the sessions that the scheduler takes for groups."""
    for process in processes:
        group = Path(f"/proc/{process}/autogroup")
        if nice and group.exists():
            group.write_text(str(nice))
        for thread in Path(f"/proc/{process}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)


def bind(processes: Iterable[int], processors: Iterable[int]) -> None:
    """Keep each process on its processor, or all where they may be if there are none."""
    for process, processor in zip(processes, processors, strict=False):
        for thread in Path(f"/proc/{process}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {processor})


def figures(tunnel: Tunnel, plan: Plan, kinds: tuple[str, ...]) -> Figures:
    """Return the figures of these kinds."""
    control(tunnel, plan)
    seen: Figures = {}
    if "ping" in kinds:
        seen["idle_us"], seen["idle_p99_us"] = idle_delay(tunnel, plan.pings)
    if "tcp" in kinds:
        seen |= tcp(tunnel, 1, plan.seconds) | tcp(tunnel, 4, plan.seconds)
    if "loaded" in kinds:
        seen["loaded_us"], seen["loaded_p99_us"] = loaded_delay(tunnel, plan)
    if "udp" in kinds:
        seen |= udp(tunnel, 64, plan)
    return seen


def table(results: dict[str, list[Figures]]) -> Iterator[str]:
    """Yield the rows of a table in Markdown: medians, a column for each build."""
    yield "| |" + "".join(f" {name} |" for name in results)
    yield "|---|" + "---|" * len(results)
    rounds = next(iter(results.values()))
    for key in rounds[0]:
        cells = (statistics.median(one[key] for one in rows) for rows in results.values())
        yield f"| {key} |" + "".join(f" {cell:.2f} |" for cell in cells)


if __name__ == "__main__":
    main()

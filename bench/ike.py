# SPDX-License-Identifier: Apache-2.0
"""What a handshake and an IKE SA cost, ours and strongSwan's: `python bench/ike.py` as root.

One load of initiators drives both responders, one after the other, in a namespace with a loopback
and nothing else. Counted is the processor time of the responder's processes, which other work on
the machine stretches but little; the rate is what one second of processor time would give. With
several processes the busiest one says what they would do with a core for each; by the clock they
share the cores that there are with the load and whatever else runs.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

from ike_load.initiator import Load
from ike_load.papers import Papers
from ike_load.process import cpu_seconds, family, memory_octets
from ike_load.responders import ADDRESS, charon, ikeway, lab_folder

Responder = Callable[[Path, Papers | None], AbstractContextManager[int]]
INSIDE: Final = "IKEWAY_BENCH_INSIDE"
WARM: Final = 300


@dataclass(frozen=True)
class Result:
    """One responder, started anew: seconds of processor time a handshake, octets an SA."""

    first: float
    loaded: float
    busiest: float
    wall: float
    memory: float


def main() -> None:
    """Measure what the arguments ask for and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sas", type=int, default=10_000, help="how many are up in the end")
    parser.add_argument("--count", type=int, default=3_000, help="handshakes that are measured")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=["ikeway", "charon"])
    parser.add_argument("--auth", choices=["psk", "ecdsa"])
    parser.add_argument("--workers", type=int, action="append", help="of ikeway; default 1")
    options = parser.parse_args()
    if INSIDE not in os.environ:
        sys.exit(_inside())
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print(f"{processor()}, {os.cpu_count()} cores, kernel {platform.release()}\n")
    print(
        "| responder | proof | CPU ms a handshake | the same, all SAs up | handshakes a CPU second"
        " | a second, a core for each process | by the clock | kB an SA |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for proof in [options.auth] if options.auth else ["psk", "ecdsa"]:
        compare(proof, responders(options), options)


def responders(options: argparse.Namespace) -> dict[str, Responder]:
    """Return what is to be measured, by name."""
    found: dict[str, Responder] = {}
    if options.only != "charon":
        for workers in options.workers or [1]:
            name = "ikeway" if workers == 1 else f"ikeway, {workers} workers"
            found[name] = lambda folder, papers, n=workers: ikeway(folder, papers, n)
    lab = lab_folder()
    if lab is None:
        print("no IKEWAY_LAB with peer-strongswan: charon is not measured", file=sys.stderr)
    elif options.only != "ikeway":
        found["charon"] = lambda folder, papers: charon(folder, papers, lab)
    return found


def compare(proof: str, all_of: dict[str, Responder], options: argparse.Namespace) -> None:
    """Measure every responder in turn, as often as asked, and print medians."""
    papers = Papers.fresh() if proof == "ecdsa" else None
    results: dict[str, list[Result]] = {name: [] for name in all_of}
    for _ in range(options.runs):
        for name, responder in all_of.items():
            with tempfile.TemporaryDirectory(prefix="bench-ike-") as folder:
                results[name].append(measure(responder, Path(folder) / "r", papers, options))
    for name, runs in results.items():
        first, loaded, busiest, wall, memory = (
            statistics.median(getattr(run, field) for run in runs)
            for field in ("first", "loaded", "busiest", "wall", "memory")
        )
        spread = f"{min(r.first for r in runs) * 1e3:.2f}-{max(r.first for r in runs) * 1e3:.2f}"
        each = f"{1 / busiest:,.0f}" if name != "charon" else "threads of one"
        print(
            f"| {name} | {proof} | {first * 1e3:.3f} ({spread}) | {loaded * 1e3:.3f} |"
            f" {1 / first:,.0f} | {each} | {wall:,.0f} | {memory / 1e3:.1f} |",
            flush=True,
        )


def measure(
    responder: Responder, folder: Path, papers: Papers | None, options: argparse.Namespace
) -> Result:
    """Start a responder and bring IKE SAs up, each with a Child SA, until all are."""
    count, total = options.count, options.sas
    with responder(folder, papers) as process:
        load = Load(ADDRESS, papers)
        load.prepare(range(total + count))
        load.run(range(WARM))
        at_first = memory_octets(family(process))
        first, seconds = spent(process, lambda: load.run(range(WARM, WARM + count)))
        load.run(range(WARM + count, total))
        at_last = memory_octets(family(process))
        loaded, _ = spent(process, lambda: load.run(range(total, total + count)))
        load.close()
    return Result(
        sum(first) / count,
        sum(loaded) / count,
        max(first) / count,
        count / seconds,
        (at_last - at_first) / (total - WARM),
    )


def spent(process: int, work: Callable[[], float]) -> tuple[list[float], float]:
    """Return the processor time of each process of a responder during some work, and its result."""
    every = family(process)
    before = [cpu_seconds([one]) for one in every]
    result = work()
    return [cpu_seconds([one]) - b for one, b in zip(every, before, strict=True)], result


def processor() -> str:
    """Return the name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))


def _inside() -> int:
    """Run again in a network namespace of our own."""
    command = ["unshare", "--net", "--", sys.executable, *sys.argv]
    return subprocess.run(command, check=False, env=os.environ | {INSIDE: "1"}).returncode


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Runs many seeds: `python -m world --seeds 1000 --first 0 --hours 50`, on all processors.

A seed that fails is shrunk and written to `found/`, where a test replays it; the exit status is 1.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import Pool
from pathlib import Path

from world import found, variety
from world.quick import quicken
from world.shrinking import shrink
from world.simulation import Outcome, play, written


@dataclass
class Tally:
    """What all worlds together did."""

    started: float = field(default_factory=time.monotonic)
    seeds: int = 0
    handshakes: int = 0
    messages: int = 0
    forged: int = 0
    hours: float = 0.0
    hurried: int = 0
    processor: float = 0.0
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome, processor: float, hours: float) -> None:
        """Count one world, and the seconds of a processor that it took.

        `hurried` are those that never rest, whose pauses are shorter than was asked for.
        """
        self.processor += processor
        self.seeds += 1
        self.handshakes += outcome.handshakes
        self.messages += outcome.messages
        self.forged += outcome.forged
        self.hours += outcome.seconds / 3600
        self.hurried += outcome.seconds < hours * 3600
        if outcome.violation is not None:
            self.failed.append(outcome)

    def line(self) -> str:
        """Return how far it is, in a line."""
        spent = max(time.monotonic() - self.started, 1e-9)
        worked = max(self.processor, 1e-9)
        return (
            f"{self.seeds} seeds ({self.hurried} hurried), {self.hours:,.0f} simulated hours,"
            f" {self.handshakes:,} handshakes, {self.messages:,} messages, {self.forged:,} forged,"
            f" {len(self.failed)} failed;"
            f" {self.seeds / spent:.1f} seeds/s; by a processor's second {self.seeds / worked:.1f}"
            f" seeds, {self.handshakes / worked:.0f} handshakes,"
            f" {self.messages / worked:,.0f} messages"
        )


def run_seed(seed: int, hours: float, generation: int) -> tuple[Outcome, float]:
    """Let the world of a seed happen; return how long a processor took."""
    began = time.process_time()
    return play(written(seed, hours, generation)), time.process_time() - began


def main() -> int:
    """Run what the command line asks for."""
    options = _options()
    if not options.frozen:
        quicken()
    seeds = range(options.first, options.first + options.seeds)
    tally = Tally()
    work = partial(run_seed, hours=options.hours, generation=options.generation)
    if options.jobs == 1:
        _follow(map(work, seeds), tally, options)
    else:
        with Pool(options.jobs) as pool:
            _follow(pool.imap_unordered(work, seeds, chunksize=2), tally, options)
    print(f"\r{tally.line()}")
    if tally.failed:
        _explain(min(tally.failed, key=lambda outcome: outcome.seed), options)
    return 1 if tally.failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="world", description=__doc__)
    parser.add_argument("--seeds", "-n", type=int, default=100, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this seed alone")
    parser.add_argument("--hours", type=float, default=50.0, help="simulated hours of each")
    known = range(variety.FIRST, variety.NEWEST + 1)
    parser.add_argument("--generation", type=int, choices=known, default=variety.PROVEN)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--most", type=int, default=10, help="stop after so many failures")
    parser.add_argument("--shrink", type=float, default=120.0, help="seconds for shrinking")
    parser.add_argument("--frozen", action="store_true", help="values as they are, see quick.py")
    parser.add_argument("--found", type=Path, default=found.FOLDER, help="where scripts go")
    options = parser.parse_args()
    if options.seed is not None:
        options.first, options.seeds, options.jobs = options.seed, 1, 1
    return options


def _follow(
    outcomes: Iterable[tuple[Outcome, float]], tally: Tally, options: argparse.Namespace
) -> None:
    told = 0.0
    for outcome, processor in outcomes:
        tally.add(outcome, processor, options.hours)
        if outcome.violation is not None:
            print(f"\rseed {outcome.seed}: {outcome.violation}", flush=True)
        if time.monotonic() - told > (1 if sys.stdout.isatty() else 30):
            told = time.monotonic()
            print(f"\r{tally.line()}", end="" if sys.stdout.isatty() else "\n", flush=True)
        if len(tally.failed) >= options.most:
            return


def _explain(outcome: Outcome, options: argparse.Namespace) -> None:
    """Shrink the first failure, show it and write it down."""
    assert outcome.violation is not None
    script = written(outcome.seed, options.hours, options.generation)
    least = shrink(script, outcome.violation.rule, options.shrink)
    violation = str(play(least).violation)
    print(f"\nseed {least.seed} with {len(least.acts)} of {len(script.acts)} actions: {violation}")
    for act in least.acts:
        print(f"  {act}")
    print(f"written to {found.save(least, violation, options.found)}")


if __name__ == "__main__":
    sys.exit(main())

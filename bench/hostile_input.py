# SPDX-License-Identifier: Apache-2.0
"""How long hostile messages take (processor time): prefixes, flips, mutations, chains.

`python bench/hostile_input.py [COUNT]` tries COUNT random mutations, by default 100,000, and checks
that none of them changes what it may not (the tests do the same with fewer).
"""

import gc
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.forge import sealed_octets, session_in
from support.hostile import HOSTILE, MOST
from support.hosts import CBC, GCM
from support.stages import HEADS, STAGES, WAYS, Stage, check, flips, mutations, prefixes, stage

GOAL = 0.001
CASES = [(row, way, name) for row in (GCM, CBC) for way in WAYS for name in STAGES]


def timed(at: Stage, attempts: Iterator[bytes], *, is_stranger: bool = True) -> list[float]:
    """Return how long each of the octets took."""
    times = []
    for octets in attempts:
        if octets == at.genuine.octets:
            continue
        begin = process_time()
        actions = at.receive(octets)
        times.append(process_time() - begin)
        if is_stranger:
            check(at, octets, actions)
        at.restore()
    return times


def chains(at: Stage) -> Iterator[bytes]:
    """Return long chains in the clear, under the SPIs and as the kind that is waited for."""
    genuine = at.genuine.octets
    for octets in HOSTILE.values():
        yield genuine[:16] + octets[16:18] + genuine[18:24] + octets[24:]


def sealed_chains(at: Stage) -> Iterator[bytes]:
    """Return the longest chains of empty payloads, sealed by the peer itself."""
    (sender,) = at.ladder.other(at.host).endpoint.sas
    session = session_in(sender.state)
    number = int.from_bytes(at.genuine.octets[20:24])
    exchange, is_response = HEADS[at.name]
    for kind in (33, 40, 41, 42, 43, 44, 47, 48, 200):
        plaintext = bytes([kind, 0, 0, 4]) * ((MOST - 100) // 4)
        yield sealed_octets(session, kind, plaintext, number, exchange, is_response=is_response)


def report(title: str, times: list[float]) -> None:
    """Print how long they took, in microseconds."""
    times = sorted(times)
    count = len(times)
    parts = [times[count // 2], times[int(count * 0.99)], times[-1]]
    middle, most, longest = (f"{1e6 * part:8.0f}" for part in parts)
    late = sum(time > GOAL for time in times)
    print(f"{title:34} {count:7} {middle} {most} {longest} {late:6}")


def main() -> None:
    """Measure all kinds at all stages."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    gc.freeze()
    print(
        f"{'microseconds':34} {'count':>7} {'median':>8} {'99 %':>8} {'longest':>8} {'> 1 ms':>6}"
    )
    totals: dict[str, list[float]] = {}
    for seed, (row, way, name) in enumerate(CASES):
        at = stage(row, way, name)
        octets = at.genuine.octets
        kinds = {
            "prefixes and flips": timed(at, chain(prefixes(octets), flips(octets))),
            "random mutations": timed(at, mutations(octets, count // len(CASES), seed)),
            "65,535 octets in the clear": timed(at, chains(at)),
        }
        if name in HEADS:
            kinds["65,535 octets sealed by the peer"] = timed(
                at, sealed_chains(at), is_stranger=False
            )
        for kind, times in kinds.items():
            totals.setdefault(f"{kind}", []).extend(times)
            totals.setdefault(f"  {name}", []).extend(times)
    for title in sorted(totals, key=lambda one: (one.startswith(" "), one)):
        report(title, totals[title])


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Results as JSON for programs and as Markdown for people, with the ratios that are judged."""

import statistics
from dataclasses import asdict, dataclass, field
from typing import Final

from esp_load.measure import Figures

COLUMNS: Final = (
    ("TCP 1 stream, Gbit/s", "tcp1_gbps", 2),
    ("4 streams", "tcp4_gbps", 2),
    ("CPU s/GB", "tcp1_cpu_s_per_gb", 2),
    ("4 streams", "tcp4_cpu_s_per_gb", 2),
    ("UDP 64, kpps", "udp64_kpps", 0),
    ("512", "udp512_kpps", 0),
    ("1400", "udp1400_kpps", 0),
    ("flood of 64", "flood64_kpps", 0),
    ("CPU µs a packet of 64", "udp64_cpu_us", 1),
    ("ping idle, µs", "idle_us", 0),
    ("p99", "idle_p99_us", 0),
    ("loaded", "loaded_us", 0),
    ("p99", "loaded_p99_us", 0),
    ("MTU", "mtu", 0),
)
OURS: Final = "ikeway aes256gcm16"
CEILING: Final = "veth, in clear"
GOALS: Final = (
    ("TCP 1 stream", "tcp1_gbps", "wireguard-go", 3.0),
    ("TCP 4 streams", "tcp4_gbps", "wireguard-go", 3.0),
    ("TCP 1 stream", "tcp1_gbps", "strongSwan libipsec", 15.0),
    ("TCP 4 streams", "tcp4_gbps", "strongSwan libipsec", 15.0),
    ("TCP 1 stream", "tcp1_gbps", CEILING, 0.5),
    ("TCP 4 streams", "tcp4_gbps", CEILING, 0.5),
    ("UDP of 64 octets", "udp64_kpps", "wireguard-go", 2.0),
)
"""Ours divided by another's has to be at least so much, in one run (issue 5)."""
ADDED_US: Final = 60.0
AWAKE: Final = "ikeway busy_poll 10000"
"""Ours with threads that stay awake between the pings."""


@dataclass
class Results:
    """One run: where, when and how, the figures of each round, and what could not be had."""

    date: str
    machine: str
    command: str
    versions: dict[str, str] = field(default_factory=dict)
    rounds: dict[str, list[Figures]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def medians(self) -> dict[str, Figures]:
        """Return the median of each figure, by tunnel."""
        return {
            name: {key: statistics.median(figures[key] for figures in rounds) for key in rounds[0]}
            for name, rounds in self.rounds.items()
            if rounds
        }

    def as_json(self) -> dict[str, object]:
        """Return everything, with the medians."""
        return asdict(self) | {"medians": self.medians()}


def markdown(results: Results) -> str:
    """Return the page of a run."""
    count = max((len(rounds) for rounds in results.rounds.values()), default=0)
    lines = [f"# ESP in user space, {results.date}", "", f"{results.machine}; `{results.command}`"]
    lines += [f"Medians of {count} rounds; all that is compared takes turns in each round.", ""]
    lines += _table(results.medians())
    lines += ["", *(f"- {name}: {version}" for name, version in results.versions.items())]
    lines += [f"- {name} was skipped: {reason}" for name, reason in results.skipped.items()]
    return "\n".join([*lines, "", *_goals(results.medians())]) + "\n"


def _table(medians: dict[str, Figures]) -> list[str]:
    titles = ["", *(title for title, _, _ in COLUMNS)]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for name, figures in medians.items():
        cells = [f"{figures[key]:,.{digits}f}" for _, key, digits in COLUMNS]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return lines


def _goals(medians: dict[str, Figures]) -> list[str]:
    ours = medians.get(OURS)
    if ours is None:
        return []
    lines = [f"| {OURS} | beside | is | goal | |", "|---|---|---|---|---|"]
    for title, key, other, goal in GOALS:
        if other in medians and medians[other][key] > 0:
            ratio = ours[key] / medians[other][key]
            lines.append(f"| {title} | {other} | {ratio:.2f} | {goal:g} | {_met(ratio >= goal)} |")
    for name in (OURS, AWAKE):
        if CEILING in medians and name in medians:
            added = medians[name]["idle_us"] - medians[CEILING]["idle_us"]
            cells = (f"{added:.0f}", f"{ADDED_US:g}", _met(added <= ADDED_US))
            title = f"added to an idle ping by {name}, µs"
            lines.append(f"| {title} | {CEILING} | {' | '.join(cells)} |")
    for name, figures in medians.items():
        if name not in {OURS, CEILING} and not name.startswith("ikeway"):
            ratio = ours["tcp4_cpu_s_per_gb"] / figures["tcp4_cpu_s_per_gb"]
            met = _met(ratio < 1)
            lines.append(f"| CPU s/GB, 4 streams | {name} | {ratio:.2f} | below 1 | {met} |")
    return lines


def _met(is_met: bool) -> str:
    return "met" if is_met else "**missed**"

# SPDX-License-Identifier: Apache-2.0
"""Draws a run of `bench/esp.py`: `python bench/esp_load/plot.py RESULTS.json PICTURE.svg`.

Three panels of bars, one bar for a tunnel. The picture is a few rectangles and words, so it is
written as such.
"""

import json
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, Final

PANELS: Final = (
    ("TCP, 1 stream, Gbit/s", "tcp1_gbps", 1),
    ("Packets of 64 octets, thousands a second", "udp64_kpps", 0),
    ("Processor time of both ends, seconds a gigabyte", "tcp1_cpu_s_per_gb", 2),
)
WIDTH: Final = 760
LABEL: Final = 190
VALUE: Final = 70
ROW: Final = 20
GAP: Final = 44
OURS: Final = "#7a1fa2"
OTHERS: Final = "#90a4ae"


def main() -> None:
    """Read a run and write its picture."""
    results, picture = (Path(word) for word in sys.argv[1:3])
    picture.write_text(svg(json.loads(results.read_text())))


def svg(run: dict[str, Any]) -> str:
    """Return the picture of a run."""
    medians: dict[str, dict[str, float]] = run["medians"]
    height = len(PANELS) * (GAP + ROW * len(medians)) + 30
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
    lines = [head + ' font-family="sans-serif" font-size="12" role="img">']
    lines += [f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>']
    top = 0
    for title, key, digits in PANELS:
        lines += panel(title, {name: row[key] for name, row in medians.items()}, digits, top)
        top += GAP + ROW * len(medians)
    words = escape(f"{run['machine']}; {run['date']}")
    lines += [
        f'<text x="8" y="{height - 8}" fill="#607d8b" font-size="10">{words}</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def panel(title: str, figures: dict[str, float], digits: int, top: int) -> Iterator[str]:
    """Yield the title and the bars of one figure."""
    yield f'<text x="8" y="{top + 26}" font-weight="bold">{escape(title)}</text>'
    most = max(*figures.values(), 1e-9)
    for number, (name, figure) in enumerate(figures.items()):
        y = top + GAP - 10 + number * ROW
        length = figure / most * (WIDTH - LABEL - VALUE)
        colour = OURS if name.startswith("ikeway") else OTHERS
        yield f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
        yield f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{ROW - 4}" fill="{colour}"/>'
        yield f'<text x="{LABEL + length + 6:.1f}" y="{y + 13}">{figure:,.{digits}f}</text>'


if __name__ == "__main__":
    main()

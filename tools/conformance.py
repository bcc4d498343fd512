# SPDX-License-Identifier: Apache-2.0
"""Prints which lines of the conformance checklist have tests, and makes docs/conformance.md.

A line without a test may say why in `reason`; one that has got a test must not any more.
"""

import argparse
import contextlib
import io
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tags import gather, listed, settle

ROOT = Path(__file__).resolve().parent.parent
CHECKLIST = ROOT / "tests" / "house" / "conformance.toml"
PAGE = ROOT / "docs" / "conformance.md"
INTRO = """\
<!-- Written by tools/conformance.py from the checklist and the markers of the tests. -->
# Conformance

What the RFCs ask for, as behaviours that a test can show, and the tests that show them.
Level: **M** must or must not, **S** should, **P** our policy where the RFC leaves it open.
Role: **I** exchange initiator, **R** responder, **B** both.
"""

Covered = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the checklist."""

    id: str
    level: str
    role: str
    source: str
    text: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Checklist:
    """The checklist: its sections by letter, and its lines in order."""

    sections: dict[str, str]
    lines: tuple[Line, ...]

    def of(self, letter: str) -> tuple[Line, ...]:
        """Return the lines of one section."""
        return tuple(line for line in self.lines if line.id[3] == letter)


class Collector:
    """A pytest plugin that notes which tests name which ids."""

    def __init__(self) -> None:
        self.covered: defaultdict[str, set[str]] = defaultdict(set)
        self.broken: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note the ids of every test, one name for all its parameters."""
        for item in items:
            name = item.nodeid.split("[", maxsplit=1)[0].removeprefix("tests/")
            for marker in item.iter_markers("conformance"):
                for checklist_id in marker.args:
                    self.covered[checklist_id].add(name)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected, whose tests would be missing."""
        if report.failed:
            self.broken.append(f"{report.nodeid}: {report.longreprtext.splitlines()[-1]}")


def load() -> Checklist:
    """Return the checklist that the repository keeps."""
    with CHECKLIST.open("rb") as file:
        table = tomllib.load(file)
    sections = table.pop("sections")
    return Checklist(sections, tuple(Line(id=key, **row) for key, row in table.items()))


def collect() -> tuple[Covered, list[str]]:
    """Return the tests by id, and what pytest could not collect."""
    collector = Collector()
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(
            ["--collect-only", "-qq", "--continue-on-collection-errors", "-p", "no:cacheprovider",
             f"--rootdir={ROOT}", str(ROOT / "tests")],
            plugins=[collector],
        )  # fmt: skip
    return {key: sorted(names) for key, names in collector.covered.items()}, collector.broken


def table(checklist: Checklist, covered: Covered) -> Iterator[str]:
    """Yield what `make conformance` prints: the tests of each id, then a count of each section."""
    for line in checklist.lines:
        first, *others = covered.get(line.id, [f"- {line.reason}".rstrip()])
        yield f"{line.id} {line.level} {line.role}  {first}"
        yield from (" " * 12 + name for name in others)
    yield ""
    for letter, title in checklist.sections.items():
        lines = checklist.of(letter)
        explained = sum(bool(line.reason) for line in lines)
        rest = f" (why not: {explained})" if explained else ""
        tested = sum(line.id in covered for line in lines)
        yield f"{tested:4} of {len(lines):3}  {letter}. {title}{rest}"
    yield ""
    yield f"{sum(line.id in covered for line in checklist.lines)} of {len(checklist.lines)}"


def page(checklist: Checklist, covered: Covered) -> str:
    """Return docs/conformance.md."""
    total = sum(line.id in covered for line in checklist.lines)
    parts = [INTRO, f"**{total} of {len(checklist.lines)}** lines have a test.\n"]
    parts += ["## Where ikeway deviates on purpose\n"]
    parts += [*listed(gather("DEVIATION")), ""]
    for letter, title in checklist.sections.items():
        parts += [
            f"## {letter}. {title}\n",
            "| id | level | role | behaviour | tests |",
            "|---|---|---|---|---|",
        ]
        parts += [row(line, covered.get(line.id, [])) for line in checklist.of(letter)]
        parts.append("")
    return "\n".join(parts)


def row(line: Line, tests: list[str]) -> str:
    """Return one line of the checklist as a row of a Markdown table."""
    text = f"{line.text} ({line.source})".replace("|", "\\|").replace("<", "&lt;")
    names = "<br>".join(f"`{name}`" for name in tests) or line.reason
    return f"| {line.id} | {line.level} | {line.role} | {text} | {names} |"


def main() -> int:
    """Print the table; with `--write` or `--check` settle the page instead."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/conformance.md")
    parser.add_argument("--check", action="store_true", help="fail if docs/conformance.md is old")
    args = parser.parse_args()
    checklist = load()
    covered, broken = collect()
    unknown = sorted(covered.keys() - {line.id for line in checklist.lines})
    problems = [f"not collected: {name}" for name in broken]
    problems += [f"not in the checklist: {key} ({', '.join(covered[key])})" for key in unknown]
    problems += [
        f"{line.id} has a test, so its reason goes: {line.reason}"
        for line in checklist.lines
        if line.reason and line.id in covered
    ]
    print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
    status = 1 if problems else 0
    known = {key: names for key, names in covered.items() if key not in unknown}
    if args.write or args.check:
        return settle(PAGE, page(checklist, known), write=args.write) or status
    print(*table(checklist, known), sep="\n")
    return status


if __name__ == "__main__":
    sys.exit(main())

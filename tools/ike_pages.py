# SPDX-License-Identifier: Apache-2.0
"""Draws the states of an IKE SA and the shapes of its exchanges from the modules."""

import argparse
import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import get_args

from ikeway.ike import states
from ikeway.ike.exchanges import EXCHANGES
from ikeway.ike.shape import Item, Shape
from ikeway.ike.timers import TIMERS
from ikeway.wire.notation import name_of

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "ikeway" / "ike"
REFERENCE = ROOT / "docs" / "reference"
NAMES = frozenset(one.__name__ for one in get_args(states.State))
BRANCHES = frozenset(one.__name__ for one in get_args(states.Branch)) - {"Deleting", "Lingering"}
NO_STATE = ""
MARK = "<!-- Written by tools/ike_pages.py from the modules of ikeway.ike. -->\n"

STATES_INTRO = f"""{MARK}# States of an IKE SA

Each state is named by what it awaits and holds only what is known then. The table says which
functions make a step. Where our IKE_SA_INIT was answered, each answer is a branch of its own until
one of them proves its identity.

"""
EXCHANGES_INTRO = f"""{MARK}# Exchanges

What each message needs, in any order. Notify and Vendor ID payloads are always allowed, payloads
that are not known are skipped unless they are critical (RFC 7296 §2.5).

| exchange | message | exactly one | at most one | any number |
|---|---|---|---|---|
"""
TIMERS_INTRO = """
## Timers

One is set at a time: the earliest. Where no length stands here, the connection says.

| timer | seconds | why |
|---|---|---|
"""


@dataclass
class Uses:
    """What some code makes of states, and what it calls."""

    makes: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)


@dataclass
class Function:
    """A function of the core: the states that it takes, and what it does with each."""

    name: str
    takes: frozenset[str]
    by_state: defaultdict[str, Uses] = field(default_factory=lambda: defaultdict(Uses))


# Reading the modules ------------------------------------------------------------------------------


def functions() -> dict[str, Function]:
    """Return every function of the core by `module.name`."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        reader = Reader(path.stem, tree)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                one = reader.function(node)
                found[one.name] = one
    return found


class Reader:
    """Reads the functions of one module."""

    def __init__(self, module: str, tree: ast.Module) -> None:
        self.module = module
        self.imported = {
            alias.asname or alias.name: (node.module or "").split(".")[-1]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        self.aliases = dict(_alias(node) for node in tree.body)

    def function(self, node: ast.FunctionDef) -> Function:
        """Return what a function does, state by state."""
        annotations = [one.annotation for one in node.args.args if one.arg == "state"]
        takes = self._taken(*(one for one in annotations if one is not None))
        made = Function(f"{self.module}.{node.name}", takes)
        self._read(node.body, made, takes or frozenset({NO_STATE}))
        return made

    def _taken(self, *annotations: ast.expr) -> frozenset[str]:
        words = {
            one.id for node in annotations for one in ast.walk(node) if isinstance(one, ast.Name)
        }
        return frozenset(words & NAMES).union(*(self.aliases.get(word, ()) for word in words))

    def _read(self, body: list[ast.stmt], made: Function, here: frozenset[str]) -> None:
        """Note what statements do where the state is one of `here`."""
        for statement in body:
            cases = list(_cases(statement, here))
            whole = here
            for narrowed, inner in cases:
                self._read(inner, made, narrowed)
                if narrowed != whole and inner and isinstance(inner[-1], ast.Return | ast.Raise):
                    here -= narrowed
            if not cases:
                self._use(statement, made, here)

    def _use(self, statement: ast.stmt, made: Function, here: frozenset[str]) -> None:
        for node in ast.walk(statement):
            if not isinstance(node, ast.Call):
                continue
            target = self._target(node.func)
            for state in here:
                uses = made.by_state[state]
                (uses.makes if target in NAMES else uses.calls).add(target)

    def _target(self, called: ast.expr) -> str:
        if isinstance(called, ast.Name):
            name = called.id
            return name if name in NAMES else f"{self.imported.get(name, self.module)}.{name}"
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
            return f"{called.value.id}.{called.attr}"
        return ""


def _names(*nodes: ast.AST) -> frozenset[str]:
    """Return the states that are named somewhere in these nodes."""
    found = {one.id for node in nodes for one in ast.walk(node) if isinstance(one, ast.Name)}
    return frozenset(found & NAMES)


def _alias(node: ast.stmt) -> tuple[str, frozenset[str]]:
    """Return the name and the states of a union, or nothing."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return ast.unparse(node.target), _names(node.value)
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
        return ast.unparse(node.targets[0]), _names(node.value)
    return "", frozenset()


def _cases(
    statement: ast.stmt, here: frozenset[str]
) -> Iterator[tuple[frozenset[str], list[ast.stmt]]]:
    """Yield the parts of a statement, with the states that are possible in each."""
    if isinstance(statement, ast.Match) and ast.unparse(statement.subject) == "state":
        left = here
        for case in statement.cases:
            named = _names(case.pattern)
            yield left & named if named else left, case.body
            left -= named
    elif isinstance(statement, ast.If):
        test = ast.unparse(statement.test)
        named = _names(statement.test) if test.startswith("isinstance(state, ") else frozenset()
        yield here & named if named else here, statement.body
        yield here - named, statement.orelse
    elif isinstance(statement, ast.For | ast.Try | ast.With):
        yield here, [*statement.body, *getattr(statement, "orelse", [])]
        for handler in getattr(statement, "handlers", []):
            yield here, handler.body


def transitions() -> dict[tuple[str, str], set[str]]:
    """Return which functions lead from one state to another."""
    known = functions()
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for one in known.values():
        for source in one.takes:
            for target in _reached(one, source, known):
                if source != target and not _is_inside(source, target):
                    found[source, target].add(one.name)
    return {edge: _innermost(edge, names, known) for edge, names in found.items()}


def _reached(one: Function, source: str, known: dict[str, Function]) -> set[str]:
    """Return the states that a function makes of one, itself or by what it calls for it."""
    made: set[str] = set()
    waiting, seen = [one], {one.name}
    while waiting:
        function = waiting.pop()
        uses = function.by_state[source if function.takes else NO_STATE]
        made |= uses.makes
        for callee in (known[name] for name in sorted(uses.calls - seen) if name in known):
            seen.add(callee.name)
            if not callee.takes or source in callee.takes:
                waiting.append(callee)
    return made


def _innermost(edge: tuple[str, str], names: set[str], known: dict[str, Function]) -> set[str]:
    """Return the functions that call none of the others."""
    return {name for name in names if not known[name].by_state[edge[0]].calls & names} or names


def _is_inside(source: str, target: str) -> bool:
    """Whether an arrow would lead into the branches from outside."""
    return target in BRANCHES and source not in BRANCHES


# Pages --------------------------------------------------------------------------------------------


def states_page() -> str:
    """Return the state diagram, the arrows in words, and the table of timers."""
    found = transitions()
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> AwaitInitResponse: initiate"]
    lines.append("    [*] --> AwaitAuthRequest: IKE_SA_INIT request")
    lines += ["    state Candidates {", *(f"        {one}" for one in sorted(BRANCHES))]
    lines += [f"        {a} --> {b}" for a, b in sorted(found) if {a, b} <= BRANCHES]
    lines += ["    }"]
    lines += [f"    {a} --> {b}" for a, b in sorted(found) if not {a, b} <= BRANCHES]
    lines += ["    Gone --> [*]", "```", "", "| from | to | by |", "|---|---|---|"]
    for (source, target), names in sorted(found.items()):
        by = ", ".join(f"`{name}`" for name in sorted(names))
        lines.append(f"| {source} | {target} | {by} |")
    timers = [f"| {one.name} | {_seconds(one.length)} | {one.why} |" for one in TIMERS]
    return STATES_INTRO + "\n".join(lines) + "\n" + TIMERS_INTRO + "\n".join(timers) + "\n"


def _seconds(length: float | None) -> str:
    return "" if length is None else f"{length:g}"


def exchanges_page() -> str:
    """Return the table of shapes."""
    rows = [row for exchange in EXCHANGES for row in _rows(exchange)]
    return EXCHANGES_INTRO + "\n".join(rows) + "\n"


def _rows(exchange: ModuleType) -> Iterator[str]:
    for kind in ("REQUEST", "RESPONSE"):
        shape = getattr(exchange, kind, Shape())
        cells = [_cell(shape, least, most) for least, most in ((1, 1), (0, 1), (0, None))]
        yield f"| {exchange.TYPE.name} | {kind.lower()} | {' | '.join(cells)} |"


def _cell(shape: Shape, least: int, most: int | None) -> str:
    return ", ".join(name_of(item.body) for item in shape.items if _fits(item, least, most))


def _fits(item: Item, least: int, most: int | None) -> bool:
    return item.least == least and (item.most > 1 if most is None else item.most == most)


PAGES = {"states.md": states_page, "exchanges.md": exchanges_page}


def main() -> int:
    """Write the pages, or check that they are as they would be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the pages")
    parser.add_argument("--check", action="store_true", help="fail if a page is out of date")
    asked = parser.parse_args()
    late = []
    for name, page in PAGES.items():
        path, text = REFERENCE / name, page()
        if asked.write:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            late.append(name)
    for name in late:
        print(f"docs/reference/{name} is out of date; `make generate` writes it", file=sys.stderr)
    return 1 if late and asked.check else 0


if __name__ == "__main__":
    sys.exit(main())

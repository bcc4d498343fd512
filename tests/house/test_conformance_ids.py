# SPDX-License-Identifier: Apache-2.0
"""Every id that a test names is a line of the checklist, and the checklist is whole."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from support.tracked import ROOT

TESTS = ROOT / "tests"
CHECKLIST = tomllib.loads((TESTS / "house" / "conformance.toml").read_text())
SECTIONS = CHECKLIST.pop("sections")


def test_the_checklist_has_350_lines_in_known_sections() -> None:
    assert len(CHECKLIST) == 350
    assert {re.fullmatch(r"CF-([A-Z])\d\d", key)[1] for key in CHECKLIST} == set(SECTIONS)  # type: ignore[index]


def test_every_line_has_a_level_a_role_a_source_and_a_text() -> None:
    for row in CHECKLIST.values():
        assert row.keys() - {"reason"} == {"level", "role", "source", "text"}
        assert row["level"] in "MSP"
        assert row["role"] in "IRB"


def test_every_id_that_a_test_names_is_in_the_checklist() -> None:
    unknown = [f"{path.relative_to(ROOT)}: {key}" for path, key in named() if key not in CHECKLIST]
    assert not unknown


def named() -> Iterator[tuple[Path, str]]:
    """Every literal id inside a `pytest.mark.conformance(...)` of any test."""
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and is_marker(node.func):
                yield from ((path, arg.value) for arg in node.args if isinstance(arg, ast.Constant))


def is_marker(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and function.attr == "conformance"

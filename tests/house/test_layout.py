# SPDX-License-Identifier: Apache-2.0
"""The tree says where things are: names, licence lines and explicit lists (house style §2, §11)."""

import ast
import re
from pathlib import Path

import pytest

from support.tracked import ROOT, tracked

PACKAGE = ROOT / "src" / "ikeway"
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}
# Adding a thing to a folder means adding a file, whose name must stand in the file beside it (§11).
LISTED = {
    "ike/exchanges": "ike/exchanges/__init__.py",
    "ike/features": "ike/features/__init__.py",
    "wire/payloads": "wire/payloads/__init__.py",
    "auth/eap/methods": "auth/eap/methods/__init__.py",
    "profiles": "profiles/__init__.py",
}
SPDX = re.compile(r"^(#|//) SPDX-License-Identifier: Apache-2\.0$")
LICENSED = {".py", ".pyi", ".rs", ".sh", ".yml"}


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert not [str(path) for path in tracked() if path.stem in NAMES_THAT_SAY_NOTHING]


def test_every_source_begins_with_its_licence() -> None:
    assert not [str(path) for path in tracked() if is_licensed(path) and not has_spdx(path)]


@pytest.mark.parametrize("folder", [name for name in LISTED if (PACKAGE / name).is_dir()])
def test_every_file_of_a_listed_folder_is_named_where_it_is_used(folder: str) -> None:
    named = names_in(PACKAGE / LISTED[folder])
    modules = {path.stem for path in (PACKAGE / folder).glob("*.py")} - {"__init__"}
    assert modules <= named, "search must find it: no import magic"


def is_licensed(path: Path) -> bool:
    return path.suffix in LICENSED or path.name == "Makefile" or path.parts[0] == ".ci"


def has_spdx(path: Path) -> bool:
    lines = (ROOT / path).read_text().splitlines()
    return any(SPDX.match(line) for line in lines[: 2 if lines[0].startswith("#!") else 1])


def names_in(module: Path) -> set[str]:
    """Every word of the imports and names of a module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom):
            names |= {*(node.module or "").split("."), *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Name):
            names.add(node.id)
    return names

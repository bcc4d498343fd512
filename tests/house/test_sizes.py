# SPDX-License-Identifier: Apache-2.0
"""Files and functions stay small: the tail is what spoils a code base (house style §2)."""

import ast
from collections.abc import Iterator
from pathlib import Path

from support.tracked import ROOT, tracked

FILE_LINES = 450
FUNCTION_LINES = 80

Sized = tuple[int, str]


def test_no_source_file_is_longer_than_a_reader_can_hold() -> None:
    sizes = sorted(files(), reverse=True)
    report("longest files", sizes)
    assert not [size for size in sizes if size[0] > FILE_LINES]


def test_no_function_is_longer_than_two_screens() -> None:
    sizes = sorted(functions(), reverse=True)
    report("longest functions", sizes)
    assert not [size for size in sizes if size[0] > FUNCTION_LINES]


def sources(*suffixes: str) -> Iterator[Path]:
    return (
        path
        for path in tracked()
        if path.suffix in suffixes and path.parts[0] in {"src", "rust", "tools"}
    )


def files() -> Iterator[Sized]:
    """Lines of each source file; a Rust file is counted up to its own tests."""
    for path in sources(".py", ".rs"):
        text = (ROOT / path).read_text().split("\n#[cfg(test)]\nmod ", maxsplit=1)[0]
        yield text.count("\n"), path.as_posix()


def functions() -> Iterator[Sized]:
    for path in sources(".py"):
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                yield node.end_lineno - node.lineno + 1, f"{path.as_posix()}:{node.name}"


def report(title: str, sizes: list[Sized]) -> None:
    """Print the ten longest; `pytest -s tests/house/test_sizes.py` shows them."""
    print(f"\n{title}:", *(f"{lines:5}  {name}" for lines, name in sizes[:10]), sep="\n")

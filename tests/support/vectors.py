# SPDX-License-Identifier: Apache-2.0
"""Reads the vector files: TOML with hexadecimal strings."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "vectors"
_TEXT = {"source", "kind"}


def cases(name: str, **wanted: object) -> list[Any]:
    """The cases of a file whose fields have the wanted values, as parameters named by source."""
    rows = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))["case"]
    return [
        pytest.param({key: _value(key, value) for key, value in row.items()}, id=row["source"])
        for row in rows
        if all(row[key] == value for key, value in wanted.items())
    ]


def _value(key: str, value: object) -> object:
    return bytes.fromhex(value) if isinstance(value, str) and key not in _TEXT else value

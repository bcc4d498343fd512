# SPDX-License-Identifier: Apache-2.0
"""The files that git tracks, for tests that read the repository itself."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@cache
def tracked() -> tuple[Path, ...]:
    """Return every tracked file that exists, relative to `ROOT`; skip outside a checkout."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("needs a git checkout")
    return tuple(
        Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()
    )


def text_of(path: Path) -> str:
    """Return the text of a tracked file, or nothing if it is not text."""
    try:
        return (ROOT / path).read_text()
    except UnicodeDecodeError:
        return ""

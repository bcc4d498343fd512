# SPDX-License-Identifier: Apache-2.0
"""The repository holds nothing of the machine where it was written."""

import re
import tomllib
from urllib.parse import urlsplit

from support.tracked import ROOT, text_of, tracked

# Written with brackets so that this file does not find itself.
MACHINE_PATHS = re.compile(r"(?<![\w.~*-])/(?:wor[k]|roo[t]|hom[e]/\w+|User[s]/\w+)/[\w.]")
PRIVATE_INDEX = re.compile(
    r"(?i)\b(?:extra[-_]index[-_]url|index[-_]url|find[-_]links|replace[-]with)\s*="
)
PYTHON_HOSTS = {"pypi.org", "files.pythonhosted.org"}
CRATES = "registry+https://github.com/rust-lang/crates.io-index"


def test_no_tracked_file_names_a_path_of_one_machine() -> None:
    assert not [
        f"{path}: {found[0]}"
        for path in tracked()
        if (found := MACHINE_PATHS.search(text_of(path)))
    ]


def test_no_tracked_file_points_at_a_package_index() -> None:
    assert not [
        f"{path}: {found[0]}"
        for path in tracked()
        if (found := PRIVATE_INDEX.search(text_of(path)))
    ]


def test_the_python_lock_file_names_only_the_public_index() -> None:
    addresses = re.findall(r'"(https?://[^"]+)"', (ROOT / "uv.lock").read_text())
    assert {urlsplit(address).hostname for address in addresses} <= PYTHON_HOSTS


def test_the_rust_lock_file_names_only_the_public_registry() -> None:
    packages = tomllib.loads((ROOT / "rust" / "Cargo.lock").read_text())["package"]
    assert {package["source"] for package in packages if "source" in package} <= {CRATES}

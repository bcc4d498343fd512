# SPDX-License-Identifier: Apache-2.0
"""Tags and news fragments have the form that the tools which gather them expect."""

import re
import subprocess
import sys

from support.tracked import ROOT

FRAGMENT = re.compile(r"[a-z0-9-]+\.(added|changed|fixed|security|removed)\.md")


def test_every_deviation_and_interoperability_tag_is_well_formed() -> None:
    assert run_tool("tags.py") == ""


def test_every_news_fragment_says_what_kind_of_change_it_is() -> None:
    names = [path.name for path in (ROOT / "changes").glob("*.md") if path.name != "README.md"]
    assert not [name for name in names if not FRAGMENT.fullmatch(name)]


def test_the_changelog_can_be_built_from_the_fragments() -> None:
    assert run_tool("changelog.py", "--check") == ""


def test_the_interop_page_tells_of_every_interop_test() -> None:
    folder = ROOT / "tests" / "interop"
    told = (folder / "peers.toml").read_text()
    assert not [path.name for path in folder.glob("test_*.py") if f'"{path.name}"' not in told]


def run_tool(name: str, *args: str) -> str:
    """What a tool complains about; nothing is good."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / name), *args],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr if done.returncode else ""

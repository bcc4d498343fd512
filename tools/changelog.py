# SPDX-License-Identifier: Apache-2.0
"""Builds CHANGELOG.md from the fragments in changes/, so that parallel work never collides."""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FRAGMENTS = ROOT / "changes"
CHANGELOG = ROOT / "CHANGELOG.md"
KINDS = ("added", "changed", "fixed", "security", "removed")  # the order of Keep a Changelog
NAME = re.compile(rf"[a-z0-9-]+\.(?P<kind>{'|'.join(KINDS)})\.md")
UNRELEASED = "## [Unreleased]\n"


def fragments() -> dict[str, list[Path]]:
    """Return the fragments by kind, in order of their names.

    Raises:
        ValueError: a file is not called `<topic>.<kind>.md`, or says nothing.
    """
    found: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    for path in sorted(FRAGMENTS.glob("*.md")):
        if path.name == "README.md":
            continue
        name = NAME.fullmatch(path.name)
        if name is None or not path.read_text().strip():
            raise ValueError(
                f"changes/{path.name}: must be <topic>.<{'|'.join(KINDS)}>.md, with text"
            )
        found[name["kind"]].append(path)
    return found


def section(found: dict[str, list[Path]]) -> str:
    """Return the fragments as the body of one version's section."""
    parts = []
    for kind, paths in found.items():
        if paths:
            items = "\n".join(item(path.read_text()) for path in paths)
            parts.append(f"### {kind.capitalize()}\n\n{items}\n")
    return "\n".join(parts)


def item(text: str) -> str:
    """Return a fragment as one item of a list."""
    return "- " + text.strip().replace("\n", "\n  ")


def release(version: str, date: str) -> None:
    """Move the fragments into CHANGELOG.md as `version`, and remove their files.

    Raises:
        ValueError: the changelog has no place for it.
    """
    found = fragments()
    text = CHANGELOG.read_text()
    if UNRELEASED not in text:
        raise ValueError(f"CHANGELOG.md has no line {UNRELEASED.strip()!r}")
    entry = f"{UNRELEASED}\n## [{version}] - {date}\n\n{section(found)}"
    CHANGELOG.write_text(text.replace(UNRELEASED, entry, 1))
    for path in (path for paths in found.values() for path in paths):
        path.unlink()


def main() -> int:
    """Print what is unreleased, check the fragments, or make a release of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only check the fragments' form")
    parser.add_argument(
        "--release", nargs=2, metavar=("VERSION", "DATE"), help="as in 0.2.0 2026-12-31"
    )
    args = parser.parse_args()
    try:
        if args.release:
            release(*args.release)
        elif args.check:
            fragments()
        else:
            print(section(fragments()), end="")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Gathers the tags of the sources, and what was tested with peers, into the documentation."""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("src", "rust")
SUFFIXES = (".py", ".pyi", ".rs")
PAGE = ROOT / "docs" / "interop.md"
PEERS = ROOT / "tests" / "interop" / "peers.toml"

COMMENT = re.compile(r"^\s*(?:#|//)(?!/|!)\s?(?P<text>.*)$")
TAG = re.compile(r"(?:#|//)\s*(?P<kind>DEVIATION|INTEROP)\b(?P<rest>.*)$")
WELL_FORMED = {
    "DEVIATION": re.compile(r"^ (?P<subject>RFC \d+ §[\w.]+): (?P<text>\S.*)$"),
    "INTEROP": re.compile(r"^ (?P<subject>[a-z][\w .-]*): (?P<text>\S.*)$"),
}
INTRO = """\
<!-- Written by tools/tags.py from tests/interop/peers.toml and the INTEROP tags of the sources. -->
# Peers and their habits

## What the tests run against

`make test` runs these with real peers in network namespaces, with ikeway as initiator and as
responder. Every tunnel carries echo requests both ways and a TCP transfer; both ends must have
counted the same packets, and no inner packet may appear in clear on the cable between them.
"""
HABITS = """
## Habits

What other implementations do that the RFCs do not say, and where ikeway allows for it. Each line
stands as a tag beside the code that it explains.
"""


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag: what kind it is, whom or what it is about, what it says and where it stands."""

    kind: str
    subject: str
    text: str
    path: str
    line: int


def sources() -> list[Path]:
    """Return every source file that may carry tags, in a stable order."""
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    return sorted(path for path in files if path.suffix in SUFFIXES and "target" not in path.parts)


def tags_of(path: Path) -> Iterator[Tag]:
    """Yield the tags of one file; a tag goes on over the comment lines that follow it.

    Raises:
        ValueError: a tag does not have the form that the house style gives.
    """
    lines = path.read_text().splitlines()
    where = path.relative_to(ROOT).as_posix()
    for index, line in enumerate(lines):
        found = TAG.search(line)
        if found is None:
            continue
        said = WELL_FORMED[found["kind"]].match(found["rest"])
        if said is None:
            raise ValueError(f"{where}:{index + 1}: malformed {found['kind']} tag: {line.strip()}")
        text = " ".join([said["text"], *continued(lines[index + 1 :])])
        yield Tag(found["kind"], said["subject"], text, where, index + 1)


def continued(lines: list[str]) -> Iterator[str]:
    """Yield the text of the comment lines at the beginning of `lines`."""
    for line in lines:
        comment = COMMENT.match(line)
        if comment is None or TAG.search(line):
            return
        yield comment["text"].strip()


def gather(kind: str) -> list[Tag]:
    """Return every tag of one kind, by subject."""
    tags = [tag for path in sources() for tag in tags_of(path) if tag.kind == kind]
    return sorted(tags, key=lambda tag: (tag.subject, tag.path, tag.line))


def listed(tags: list[Tag]) -> Iterator[str]:
    """Yield Markdown list items. Line numbers are left out: they change with every edit above."""
    if not tags:
        yield "Nothing so far."
    for tag in tags:
        yield f"- **{tag.subject}**: {tag.text} (`{tag.path}`)"


def page() -> str:
    """Return docs/interop.md."""
    tags = gather("INTEROP")
    return "\n".join([INTRO, *tested(), HABITS, *listed(tags)]) + "\n"


def tested() -> Iterator[str]:
    """Yield a Markdown table of what the tests run against each peer."""
    yield "| peer | what | cases | tests |"
    yield "|---|---|---|---|"
    for peer in tomllib.loads(PEERS.read_text())["peer"]:
        for topic in peer["topics"]:
            cells = (peer["name"], topic["what"], topic["cases"], f"`{topic['tests']}`")
            yield f"| {' | '.join(cells)} |"


def settle(path: Path, text: str, *, write: bool) -> int:
    """Write a generated page, or return 1 and say so if the committed one is out of date."""
    if write:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return 0
    if path.exists() and path.read_text() == text:
        return 0
    print(f"{path.relative_to(ROOT)} is out of date: make generate", file=sys.stderr)
    return 1


def main() -> int:
    """Print the page, write it, or check that the committed one is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/interop.md")
    parser.add_argument("--check", action="store_true", help="fail if docs/interop.md is old")
    args = parser.parse_args()
    try:
        text = page()
        gather("DEVIATION")  # for its form; the tags themselves go to docs/conformance.md
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if args.write or args.check:
        return settle(PAGE, text, write=args.write)
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())

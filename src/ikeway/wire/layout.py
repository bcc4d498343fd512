# SPDX-License-Identifier: Apache-2.0
"""Prints the layouts of RFC 7296 §3 as a Markdown page, from the table that makes the codec."""

import sys
from collections.abc import Iterator
from typing import Final, get_args

from ikeway.wire.attributes import Attribute, CfgAttributeValue
from ikeway.wire.codec import Body, Column, Octets, Pad, Parts, Rest, Sized, UInt, columns_of
from ikeway.wire.payloads import PAYLOADS, Proposal, RawSelector, Transform

PARTS: Final[tuple[type, ...]] = (Proposal, Transform, Attribute, CfgAttributeValue, RawSelector)
_INTRO: Final = """\
# Payloads on the wire

Each line is a field, in the order of the octets. A field with a registry keeps code points that the
registry has no name for. RESERVED octets are sent as zero and ignored when received.
"""


def page() -> str:
    """Return the page: every payload, then the substructures that they hold."""
    sections = [_INTRO]
    sections.extend(_section(f"{int(one.payload_type)} {one.__name__}", one) for one in PAYLOADS)
    sections.extend(_section(part.__name__, part) for part in PARTS)
    return "\n".join(sections)


def _section(title: str, cls: type) -> str:
    summary = (cls.__doc__ or "").partition("\n")[0]
    head = f"## {title}\n\n{summary}\n\n| field | octets | holds |\n|---|---|---|\n"
    columns = cls.columns if issubclass(cls, Body) else columns_of(cls)
    return head + "".join(f"| {row} |\n" for one in columns for row in _rows(one))


def _rows(one: Column) -> Iterator[str]:
    if isinstance(one.kind, Parts) and one.kind.count:
        yield f"number of {one.name} | {one.kind.count} | number"
    if isinstance(one.kind, Parts) and one.kind.pad:
        yield f"RESERVED | {one.kind.pad} |"
    yield f"{one.name} | {_octets(one)} | {_holds(one)}"
    for mark in one.after:
        if isinstance(mark, Pad):
            yield f"RESERVED | {mark.octets} |"
        else:
            yield f"size of {mark.name} | 1 | number"


def _octets(one: Column) -> str:
    match one.kind:
        case UInt(octets) | Octets(octets):
            return str(octets)
        case Sized():
            return "as told before"
        case Rest(least, most):
            return "to the end" if most == Rest().most and not least else f"{least} to {most}"
        case Parts(what):
            return f"each {what} in turn"


def _holds(one: Column) -> str:
    if one.registry is not None:
        return (one.registry.__doc__ or "").rstrip(".")
    if isinstance(one.kind, UInt):
        return "number"
    if isinstance(one.kind, Parts):
        held = get_args(one.holds)[0]
        return " or ".join(kind.__name__ for kind in get_args(held) or (held,))
    return "octets"


if __name__ == "__main__":
    sys.stdout.write(page())

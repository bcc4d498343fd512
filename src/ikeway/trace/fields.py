# SPDX-License-Identifier: Apache-2.0
"""Every field of a payload, a line each, from the table that makes the codec (RFC 7296 §3)."""

from collections.abc import Iterator
from typing import Any

from ikeway.trace.chain import Part
from ikeway.wire.transforms import TRANSFORM_IDS, TransformType


def fields(part: Part) -> Iterator[str]:
    """Yield the payload's name, then its fields below it."""
    plain = part.to_json()
    yield str(plain.pop("payload"))
    yield from _below(plain, 1)


def _below(value: dict[str, Any], depth: int) -> Iterator[str]:
    for name, held in value.items():
        yield from _field(name, _named(value) if name == "id" else held, depth)


def _named(transform: dict[str, Any]) -> str:
    """Return the number of a transform with its name, which depends on the type beside it."""
    kind = TransformType.__members__.get(str(transform.get("type")))
    registry = None if kind is None else TRANSFORM_IDS.get(kind)
    number = int(transform["id"])
    return str(number) if registry is None else f"{number} {registry(number).name}"


def _field(name: str, held: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(held, dict):
        yield f"{indent}{name}"
        yield from _below(held, depth + 1)
    elif isinstance(held, list):
        if not held:
            yield f"{indent}{name}: none"
        for number, one in enumerate(held, 1):
            yield from _field(f"{name} {number}", one, depth)
    else:
        yield f"{indent}{name}: {held}" if held != "" else f"{indent}{name}: empty"

# SPDX-License-Identifier: Apache-2.0
"""What pydantic found, in our words: the key, what was seen and what is allowed."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ikeway.config.findings import Findings
from ikeway.config.positions import KeyPath
from ikeway.config.schema import Document

_KINDS: Final = {
    "string_type": "a string in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list: [...]",
    "dict_type": "a table",
    "model_type": "a table",
}

_SECRET: Final = frozenset({"secrets", "psk", "password", "usim", "key_password"})
"""Keys whose values must not be repeated in a message, which may end up anywhere."""
_SENTENCES: Final = {
    "missing": "this key is required",
    "too_short": "the list is empty; it needs at least one item",
    "string_too_short": "the string is empty",
}


def complain(error: ValidationError, findings: Findings) -> None:
    """Note every error that pydantic found."""
    for detail in error.errors(include_url=False):
        path = tuple(part for part in detail["loc"] if part != "[key]")
        findings.error(path, _words(detail, path))


def _words(detail: ErrorDetails, path: KeyPath) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    seen = "what stands here" if _SECRET.intersection(path) else _shown(detail["input"])
    if kind in _KINDS:
        return f"{seen} is not {_KINDS[kind]}"
    match kind:
        case "extra_forbidden":
            return f"unknown key{suggestion(str(path[-1]), tuple(_keys(path[:-1])))}"
        case "string_pattern_mismatch":
            return f"{seen} cannot be used here; allowed is {_name(context)}"
        case "greater_than_equal" | "less_than_equal":
            return f"{seen} is out of range; allowed is {_bound(context)}"
        case _:
            return _SENTENCES.get(kind, detail["msg"])


def suggestion(word: str, known: tuple[str, ...]) -> str:
    """Return what to say behind an unknown word: the nearest known one, and which there are."""
    near = get_close_matches(word, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{hint} known here: {', '.join(known)}" if hint else f"; known here: {', '.join(known)}"


def _keys(path: KeyPath) -> Iterator[str]:
    """Yield the keys of the table at a path."""
    table: type[BaseModel] = Document
    for part in path:
        field = table.model_fields.get(str(part))
        if field is not None:
            table = next(_tables(field.annotation), table)
    yield from table.model_fields


def _tables(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the tables in a type such as `dict[Name, PoolTable]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _tables(part)


def _name(context: dict[str, object]) -> str:
    longest = re.search(r",(\d+)\}", str(context.get("pattern", "")))
    count = int(longest[1]) + 1 if longest else 64
    return f"a letter or digit, then letters, digits and _ . - up to {count} characters in all"


def _shown(seen: object) -> str:
    text = repr(seen)
    return text if len(text) <= 60 else text[:57] + "..."


def _bound(context: dict[str, object]) -> str:
    return f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"

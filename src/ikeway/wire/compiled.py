# SPDX-License-Identifier: Apache-2.0
"""Makes the decoder and the encoder of a regular payload from its columns, as source text.

As `dataclasses` makes `__init__`: what a loop over the columns would find out for each payload
again is found out once. The names in the text are the fields of our own classes.
"""

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, Final

from ikeway.model.errors import UsageError
from ikeway.wire.fields import Column, Octets, Rest, Sized, SizeOf, UInt
from ikeway.wire.names import names

_FORMATS: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}


def decoder(cls: type, columns: tuple[Column, ...]) -> Callable[..., Any]:
    """Return a function of a `Reader` and the critical flag that makes a body of that class."""
    steps = list(_decoded(columns))
    lines = ["def made(reader, critical):", "body = new(cls)", "set_critical(body, critical)"]
    taken = [f"_{one}" for one, _ in _fixed(columns)]
    if taken:
        lines.append(f"{', '.join(taken)}, = reader.unpack(form)")
    lines += [f"set_{name}(body, {value})" for name, value in steps]
    lines.append("return body")
    known = {f"set_{name}": getattr(cls, name).__set__ for name, _ in (*steps, ("critical", ""))}
    tables = {
        f"names_{one.name}": names(one.registry) for one in columns if one.registry is not None
    }
    return _compiled(
        lines, {"new": object.__new__, "cls": cls, "form": _form(columns)} | known | tables
    )


def encoder(columns: tuple[Column, ...]) -> Callable[[Any], bytes]:
    """Return a function of a body that makes its octets, without the generic payload header."""
    packed = ", ".join(_packed(name, octets) for name, octets in _fixed(columns))
    parts = [f"pack({packed})"] if packed else []
    parts += [f"body.{one.name}" for one in columns if isinstance(one.kind, Sized | Rest)]
    lines = ["def made(body):", f"return {' + '.join(parts) or 'bytes()'}"]
    return _compiled(lines, {"pack": _form(columns).pack, "exactly": _exactly})


def _fixed(columns: tuple[Column, ...]) -> Iterator[tuple[str, int | None]]:
    """Yield the values of the fixed part, in their order, and how many octets those have that do.

    The size of a later field is called by that field's name, after `size_of_`.
    """
    for one in columns:
        if isinstance(one.kind, UInt | Octets):
            yield one.name, one.kind.octets if isinstance(one.kind, Octets) else None
        for mark in one.after:
            if isinstance(mark, SizeOf):
                yield _SIZE_OF + mark.name, None


_SIZE_OF: Final = "size_of_"


def _decoded(columns: tuple[Column, ...]) -> Iterator[tuple[str, str]]:
    """Yield each field and the expression for its value, the fixed part first."""
    later = [one for one in columns if isinstance(one.kind, Sized | Rest)]
    for one in columns:
        if isinstance(one.kind, UInt | Octets):
            yield (
                one.name,
                f"_{one.name}" if one.registry is None else f"names_{one.name}[_{one.name}]",
            )
    for one in later:
        if isinstance(one.kind, Sized):
            yield one.name, f"reader.take(_{_SIZE_OF}{one.name})"
        elif isinstance(one.kind, Rest):
            yield one.name, f"reader.most({one.kind.least}, {one.kind.most})"


def _packed(name: str, octets: int | None) -> str:
    if name.startswith(_SIZE_OF):
        return f"len(body.{name.removeprefix(_SIZE_OF)})"
    return f"body.{name}" if octets is None else f"exactly(body.{name}, {octets})"


def _form(columns: tuple[Column, ...]) -> Struct:
    form = ["!"]
    for one in columns:
        if isinstance(one.kind, UInt):
            form.append(_FORMATS[one.kind.octets])
        elif isinstance(one.kind, Octets):
            form.append(f"{one.kind.octets}s")
        form.extend("B" if isinstance(mark, SizeOf) else f"{mark.octets}x" for mark in one.after)
    return Struct("".join(form))


def _exactly(value: bytes, octets: int) -> bytes:
    if len(value) != octets:
        raise UsageError(f"{len(value)} octets where the field has {octets}")
    return value


def _compiled(lines: list[str], known: dict[str, Any]) -> Callable[..., Any]:
    """Return the function of that text, which names only what is `known`."""
    found: dict[str, Any] = {}
    exec("\n    ".join(lines), known, found)  # noqa: S102
    return found["made"]  # type: ignore[no-any-return]

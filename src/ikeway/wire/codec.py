# SPDX-License-Identifier: Apache-2.0
"""Annotated fields become decoders and encoders; `Reader` is the only way to touch received octets.

RFC 7296 §3: a payload's class lists its fields as the RFC's diagram does. From that one table come
the decoder, the encoder, `repr`, JSON, the test strategies and the page of layouts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from enum import IntEnum
from functools import cache
from struct import Struct
from typing import Any, ClassVar, Final, Self, TypeAlias, TypeVar

from typing_extensions import dataclass_transform, override

from ikeway.model.errors import MalformedError, UsageError
from ikeway.model.open_enum import OpenEnum
from ikeway.wire.fields import (
    Column,
    Octets,
    Pad,
    Parts,
    Rest,
    Sized,
    SizeOf,
    UInt,
    columns_of,
)
from ikeway.wire.registry import PayloadType

PARTS_MAX: Final = 512
"""How many payloads and nested parts a message may have: this bounds the work of hostile input."""

Json: TypeAlias = dict[str, Any]
"""A value as JSON has it: names for code points, hex for octets."""

T = TypeVar("T")
E = TypeVar("E", bound=OpenEnum)


class Reader:
    """A cursor over received octets. It cannot pass the end and counts the parts that it enters."""

    __slots__ = ("_at", "_end", "_octets", "_parts")

    def __init__(self, octets: bytes, parts: int = PARTS_MAX) -> None:
        self._octets = octets
        self._at = 0
        self._end = len(octets)
        self._parts = parts

    @property
    def left(self) -> int:
        """The octets between here and the end of the current part."""
        return self._end - self._at

    def unpack(self, form: Struct) -> tuple[Any, ...]:
        """Return the values of a fixed layout and step over it.

        Raises:
            MalformedError: the part ends before the layout does.
        """
        at = self._at
        after = at + form.size
        if after > self._end:
            raise MalformedError(f"{self._end - at} octets where {form.size} are needed")
        self._at = after
        return form.unpack_from(self._octets, at)

    def take(self, size: int) -> bytes:
        """Return the next `size` octets.

        Raises:
            MalformedError: the part is shorter, or `size` is negative.
        """
        at = self._at
        after = at + size
        if size < 0 or after > self._end:
            raise MalformedError(f"{self._end - at} octets where {size} are needed")
        self._at = after
        return self._octets[at:after]

    def rest(self) -> bytes:
        """Return what is left of the part."""
        at, self._at = self._at, self._end
        return self._octets[at : self._end]

    def enter(self, size: int) -> int:
        """Confine the reader to the next `size` octets and return what `leave` needs.

        Raises:
            MalformedError: the enclosing part is shorter, or the message has too many parts.
        """
        outer = self._end
        end = self._at + size
        if size < 0 or end > outer:
            raise MalformedError(f"a part of {size} octets where {outer - self._at} are left")
        self.spend(1)
        self._end = end
        return outer

    def leave(self, outer: int) -> None:
        """Return to the enclosing part.

        Raises:
            MalformedError: the part was not consumed exactly.
        """
        if self._at != self._end:
            raise MalformedError(f"{self._end - self._at} octets too many at the end of a part")
        self._end = outer

    def spend(self, parts: int) -> None:
        """Count `parts` against the limit of the message.

        Raises:
            MalformedError: the message has too many parts.
        """
        self._parts -= parts
        if self._parts < 0:
            raise MalformedError("more parts than a message may have")


class Names(dict[int, E]):
    """The members of a registry by code point; a number without a name gets one on demand."""

    def __init__(self, registry: type[E]) -> None:
        super().__init__((int(member), member) for member in registry)
        self._registry = registry

    def __missing__(self, code: int) -> E:
        member = self._registry._missing_(code) or self._registry(code)  # spares EnumType's search
        if code < 256:  # what is kept has a bound that no peer can move
            self[code] = member
        return member


@cache
def names(registry: type[E]) -> Names[E]:
    """Return the lookup table of a registry, which is far quicker than calling the enum."""
    return Names(registry)


@dataclass(frozen=True, slots=True, repr=False)
class Body:
    """A payload without its generic header. `critical` is that header's flag (RFC 7296 §3.2)."""

    critical: bool = field(default=False, kw_only=True)

    payload_type: ClassVar[PayloadType] = PayloadType.NONE
    columns: ClassVar[tuple[Column, ...]] = ()
    decoder: ClassVar[Callable[[Reader, bool], Any]]
    encoder: ClassVar[Callable[[Any], bytes]]

    @property
    def kind(self) -> PayloadType:
        """The payload type that announces this body."""
        return self.payload_type

    @classmethod
    def decode(cls, reader: Reader, critical: bool = False) -> Self:
        """Return the body that `reader` stands at.

        Raises:
            MalformedError: the octets are no such payload.
        """
        return cls.decoder(reader, critical)  # type: ignore[no-any-return]

    def encode(self) -> bytes:
        """Return the octets of the body, without the generic payload header."""
        return type(self).encoder(self)

    def to_json(self) -> Json:
        """Return the payload as values that JSON has: names for code points, hex for octets."""
        return {"payload": self.kind.name, **_plain_fields(self)}

    @override
    def __repr__(self) -> str:
        shown = [f"{name}={_shown(getattr(self, name))}" for name in _field_names(self)]
        return f"{type(self).__name__}({', '.join(shown)})"


B = TypeVar("B", bound=Body)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def layout(cls: type[T]) -> type[T]:
    """Make a frozen value of an annotated class and, for a regular body, compile its codec."""
    made = dataclass(frozen=True, slots=True, repr=not issubclass(cls, Body))(cls)
    columns = columns_of(made)
    if issubclass(made, Body):
        made.columns = columns
        if not any(isinstance(one.kind, Parts) for one in columns):
            made.decoder = staticmethod(_compile_decoder(made, columns))
            made.encoder = staticmethod(_compile_encoder(columns))
    return made


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def payload(kind: PayloadType) -> Callable[[type[B]], type[B]]:
    """Make a body of an annotated class and name the payload type that announces it."""

    def decorate(cls: type[B]) -> type[B]:
        made = layout(cls)
        made.payload_type = kind
        return made

    return decorate


def to_plain(value: object) -> Any:
    """Return a value of the wire as JSON has it."""
    if isinstance(value, OpenEnum):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [to_plain(one) for one in value]
    if is_dataclass(value):
        return _plain_fields(value)
    return value if isinstance(value, int | str | None) else str(value)


def _plain_fields(value: Any) -> Json:
    return {name: to_plain(getattr(value, name)) for name in _field_names(value)}


def _field_names(value: Any) -> list[str]:
    """Return the names of the fields; `critical` comes last, and only if it is set."""
    shown = [one.name for one in fields(value) if one.name != "critical"]
    return [*shown, "critical"] if getattr(value, "critical", False) else shown


def _shown(value: object) -> str:
    if isinstance(value, IntEnum):
        return value.name
    if not isinstance(value, bytes):
        return repr(value)
    if len(value) <= _SHOWN_OCTETS:
        return f"x'{value.hex()}'"
    return f"x'{value[:_SHOWN_OCTETS].hex()}…' ({len(value)} octets)"


_SHOWN_OCTETS: Final = 32
_FORMATS: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}


def _fixed_part(columns: tuple[Column, ...]) -> Struct:
    form = ["!"]
    for one in columns:
        if isinstance(one.kind, UInt):
            form.append(_FORMATS[one.kind.octets])
        elif isinstance(one.kind, Octets):
            form.append(f"{one.kind.octets}s")
        form.extend("B" if isinstance(mark, SizeOf) else f"{mark.octets}x" for mark in one.after)
    return Struct("".join(form))


def _slots(cls: type, columns: tuple[Column, ...]) -> tuple[tuple[Any, Any], ...]:
    """Return a setter and a lookup table for each value of the fixed part; a size has no setter."""
    steps: list[tuple[Any, Any]] = []
    for one in columns:
        if isinstance(one.kind, UInt | Octets):
            table = None if one.registry is None else names(one.registry)
            steps.append((getattr(cls, one.name).__set__, table))
        steps.extend((None, None) for mark in one.after if isinstance(mark, SizeOf))
    return tuple(steps)


def _compile_decoder(cls: type, columns: tuple[Column, ...]) -> Callable[[Reader, bool], Any]:
    form, steps = _fixed_part(columns), _slots(cls, columns)
    tail = tuple(
        (getattr(cls, one.name).__set__, one.kind)
        for one in columns
        if isinstance(one.kind, Sized | Rest)
    )
    new, set_critical = object.__new__, cls.critical.__set__  # type: ignore[attr-defined]

    def decode(reader: Reader, critical: bool) -> Any:
        body: Any = new(cls)
        size = 0
        set_critical(body, critical)
        for (set_value, table), value in zip(steps, reader.unpack(form), strict=True):
            if set_value is None:
                size = value
            else:
                set_value(body, value if table is None else table[value])
        for set_value, kind in tail:
            set_value(body, reader.take(size) if isinstance(kind, Sized) else _rest(reader, kind))
        return body

    return decode


def _rest(reader: Reader, kind: Rest) -> bytes:
    size = reader.left
    if not kind.least <= size <= kind.most:
        raise MalformedError(f"{size} octets where {kind.least} to {kind.most} are allowed")
    return reader.rest()


def _compile_encoder(columns: tuple[Column, ...]) -> Callable[[Any], bytes]:
    form = _fixed_part(columns)
    steps: list[tuple[str, int | None]] = []  # a field and, for octets, their fixed number
    for one in columns:
        if isinstance(one.kind, UInt):
            steps.append((one.name, None))
        elif isinstance(one.kind, Octets):
            steps.append((one.name, one.kind.octets))
        steps.extend((mark.name, -1) for mark in one.after if isinstance(mark, SizeOf))
    tail = tuple(one.name for one in columns if isinstance(one.kind, Sized | Rest))

    def encode(body: Any) -> bytes:
        fixed = form.pack(*[_packable(getattr(body, name), size) for name, size in steps])
        return b"".join([fixed, *[getattr(body, name) for name in tail]])

    return encode


def _packable(value: Any, size: int | None) -> Any:
    """Return what `struct` packs: the value, or its length where a size of -1 asks for that."""
    if size is None:
        return value
    if size == -1:
        return len(value)
    if len(value) != size:
        raise UsageError(f"{len(value)} octets where the field has {size}")
    return value


__all__ = [
    "PARTS_MAX",
    "Body",
    "Column",
    "Json",
    "Names",
    "Octets",
    "Pad",
    "Parts",
    "Reader",
    "Rest",
    "SizeOf",
    "Sized",
    "UInt",
    "columns_of",
    "layout",
    "names",
    "payload",
    "to_plain",
]

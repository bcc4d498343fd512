# SPDX-License-Identifier: Apache-2.0
"""Annotated fields become decoders and encoders; `Reader` is the only way to touch received octets.

RFC 7296 §3: a payload's class lists its fields as the RFC's diagram does. From that one table come
the decoder, the encoder, `repr`, JSON, the test strategies and the page of layouts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final, Self, TypeAlias, TypeVar

from typing_extensions import dataclass_transform, override

from ikeway.model.open_enum import OpenEnum
from ikeway.wire import compiled
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
from ikeway.wire.names import Names, names
from ikeway.wire.reader import PARTS_MAX, Reader
from ikeway.wire.registry import PayloadType

Json: TypeAlias = dict[str, Any]
"""A value as JSON has it: names for code points, hex for octets."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False)
class Body:
    """A payload without its generic header. `critical` is that header's flag (RFC 7296 §3.2)."""

    critical: bool = field(default=False, kw_only=True)

    payload_type: ClassVar[PayloadType] = PayloadType.NONE
    columns: ClassVar[tuple[Column, ...]] = ()
    decoder: ClassVar[Callable[[Reader, bool], Any]]
    encoder: ClassVar[Callable[[Any], bytes]]
    """What `decode` and `encode` do, for those who have many."""

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
    if issubclass(made, Body):
        made.columns = columns = columns_of(made)
        is_regular = not any(isinstance(one.kind, Parts) for one in columns)
        is_own = is_regular and made.encode is Body.encode
        made.encoder = staticmethod(compiled.encoder(columns) if is_own else made.encode)
        is_own = is_regular and made.decode.__func__ is Body.decode.__func__  # type: ignore[attr-defined]
        made.decoder = staticmethod(compiled.decoder(made, columns) if is_own else made.decode)
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

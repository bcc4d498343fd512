# SPDX-License-Identifier: Apache-2.0
"""What annotations say about fields: how their octets travel, as RFC 7296 §3 draws them."""

from dataclasses import dataclass
from typing import Annotated, get_args, get_origin, get_type_hints

from ikeway.model.open_enum import OpenEnum


@dataclass(frozen=True, slots=True)
class UInt:
    """An unsigned integer of 1, 2, 4 or 8 octets; a code point if the field's type is an enum."""

    octets: int


@dataclass(frozen=True, slots=True)
class Octets:
    """A fixed number of octets."""

    octets: int


@dataclass(frozen=True, slots=True)
class Pad:
    """RESERVED octets after the field: sent as zero, ignored when received (RFC 7296 §2.5)."""

    octets: int


@dataclass(frozen=True, slots=True)
class SizeOf:
    """One octet after the field that tells the size of the field `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Sized:
    """Octets whose number an earlier `SizeOf` tells."""


@dataclass(frozen=True, slots=True)
class Rest:
    """All octets to the end of the payload."""

    least: int = 0
    most: int = 0xFFFF


@dataclass(frozen=True, slots=True)
class Parts:
    """Substructures; the class that has them decodes and encodes itself.

    `count` octets that tell their number, and `pad` RESERVED octets, stand before the first.
    """

    what: str
    count: int = 0
    pad: int = 0


Kind = UInt | Octets | Sized | Rest | Parts


@dataclass(frozen=True, slots=True)
class Column:
    """A line of a payload's layout: the field, how it is carried, and what follows it."""

    name: str
    holds: object
    kind: Kind
    after: tuple[Pad | SizeOf, ...] = ()

    @property
    def registry(self) -> type[OpenEnum] | None:
        """The registry that names the field's numbers, if it is a code point."""
        if isinstance(self.holds, type) and issubclass(self.holds, OpenEnum):
            return self.holds
        return None


def columns_of(cls: type) -> tuple[Column, ...]:
    """Return the layout that the annotations of `cls` describe, in the order of the wire."""
    hints = get_type_hints(cls, include_extras=True)
    columns = []
    for name, hint in hints.items():
        if get_origin(hint) is Annotated:
            kept, kind, *after = get_args(hint)
            columns.append(Column(name, kept, kind, tuple(after)))
    return tuple(columns)

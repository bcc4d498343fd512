# SPDX-License-Identifier: Apache-2.0
"""`Reader` is the only way to touch received octets: it passes no end and bounds the work."""

from struct import Struct
from typing import Any, Final

from ikeway.model.errors import MalformedError

PARTS_MAX: Final = 512
"""How many payloads and nested parts a message may have: this bounds the work of hostile input."""

_PART: Final = Struct("!BBH")
_TOO_MANY: Final = "more parts than a message may have"


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

    def most(self, least: int, most: int) -> bytes:
        """Return what is left of the part, which has to be so many octets.

        Raises:
            MalformedError: they are fewer or more.
        """
        size = self._end - self._at
        if not least <= size <= most:
            raise MalformedError(f"{size} octets where {least} to {most} are allowed")
        return self.rest()

    def enter(self, size: int) -> int:
        """Confine the reader to the next `size` octets and return what `leave` needs.

        Raises:
            MalformedError: the enclosing part is shorter, or the message has too many parts.
        """
        outer = self._end
        end = self._at + size
        if size < 0 or end > outer:
            raise MalformedError(f"a part of {size} octets where {outer - self._at} are left")
        self._parts -= 1
        if self._parts < 0:
            raise MalformedError(_TOO_MANY)
        self._end = end
        return outer

    def part(self) -> tuple[int, int, int]:
        """Enter the payload or substructure whose header is here; `leave` needs the last number.

        The first two are the octets before the length (RFC 7296 §3.2, §3.3.1, §3.3.2).

        Raises:
            MalformedError: the enclosing part is shorter, or the message has too many parts.
        """
        at, outer = self._at, self._end
        if at + _PART.size > outer:
            raise MalformedError(f"{outer - at} octets where {_PART.size} are needed")
        first, second, size = _PART.unpack_from(self._octets, at)
        if size < _PART.size or at + size > outer:
            raise MalformedError(f"a part of {size} octets where {outer - at} are left")
        self._parts -= 1
        if self._parts < 0:
            raise MalformedError(_TOO_MANY)
        self._at, self._end = at + _PART.size, at + size
        return first, second, outer

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
            raise MalformedError(_TOO_MANY)

# SPDX-License-Identifier: Apache-2.0
"""Registries that stay open: a code point without a name is a value too (RFC 7296 §3)."""

from enum import IntEnum
from typing import Self

from typing_extensions import override


class OpenEnum(IntEnum):
    """An IANA registry. `Kind(4660)` is `UNKNOWN_4660`, equals 4660 and survives a round trip."""

    @classmethod
    @override
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or value < 0:
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member

    @property
    def is_known(self) -> bool:
        """Whether the registry of this release has a name for the code point."""
        return self._value_ in type(self)._value2member_map_

# SPDX-License-Identifier: Apache-2.0
"""Code points become members of their registry by one look-up, which is quicker than the enum."""

from functools import cache
from typing import TypeVar

from ikeway.model.open_enum import OpenEnum

E = TypeVar("E", bound=OpenEnum)


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

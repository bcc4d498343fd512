# SPDX-License-Identifier: Apache-2.0
"""The keys of `outer`: how the headers are made that carry protected packets (RFC 4301 §5.1.2)."""

from typing import Annotated, Final, TypeAlias

from pydantic import Field

from ikeway.config.parsed import Parsed, choice, written
from ikeway.config.terms import Table
from ikeway.model.errors import ConfigError
from ikeway.model.outer import DontFragment, OuterHeader

_CLASSES: Final = {
    "zero": 0,
    "le": 1,
    "ef": 46,
    **{f"cs{number}": number << 3 for number in range(1, 8)},
    **{
        f"af{class_}{drop}": class_ << 3 | drop << 1
        for class_ in (1, 2, 3, 4)
        for drop in (1, 2, 3)
    },
}
"""Names of RFC 2474, 2597, 3246 and 8622."""


def dscp(text: str) -> int | None:
    """Return the DSCP of all outer headers; None is that of the inner one.

    Raises:
        ConfigError: it is none.
    """
    if text == "copy":
        return None
    number = int(text) if text.isdecimal() else _CLASSES.get(text, -1)
    if 0 <= number <= 63:
        return number
    raise ConfigError(f"{text!r} is no DSCP; write copy, zero, a number up to 63, ef, af11 or cs1")


Dscp: TypeAlias = Annotated[int | None, Parsed(dscp, "a DSCP")]


class OuterTable(Table):
    """How the headers are made that carry protected packets (RFC 4301 §5.1.2, §8)."""

    dscp: Dscp = written("copy")
    """Differentiated services: `copy` shows the network each packet's class, `zero` hides it; or
    one for all, as a number or a name (`ef`, `af41`, `cs1`). What arrives keeps its own."""

    df: Annotated[DontFragment, choice(DontFragment)] | None = None
    """Whether routers may fragment: never (`set`), as the packet inside says (`copy`), or always
    (`clear`). By default our engine sets it and learns the path's MTU, and the kernel copies it."""

    path_mtu: int | None = Field(default=None, ge=576, le=65535)
    """The longest packet that the path to the peer carries, where the network drops the ICMP that
    would tell. Without it, the path's MTU is learnt."""

    @property
    def value(self) -> OuterHeader:
        """What it means."""
        return OuterHeader(self.dscp, self.df, self.path_mtu or 0)


def shown(outer: OuterHeader) -> dict[str, str | float]:
    """Return the table that means this."""
    table: dict[str, str | float] = {"dscp": "copy" if outer.dscp is None else str(outer.dscp)}
    if outer.df is not None:
        table["df"] = outer.df.value
    if outer.path_mtu:
        table["path_mtu"] = outer.path_mtu
    return table

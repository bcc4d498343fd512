# SPDX-License-Identifier: Apache-2.0
"""Which IKE SA has a Child SA, for what the data plane says of one (RFC 4301 §4.4.2)."""

from ikeway.ike.children import Child
from ikeway.ike.sa import IkeSa
from ikeway.ike.states import Established


class Owners:
    """An index by inbound SPI, as wide as there are Child SAs. What is not in it has no owner."""

    __slots__ = ("_children", "_owner")

    def __init__(self) -> None:
        self._owner: dict[int, bytes] = {}
        self._children: dict[bytes, tuple[Child, ...]] = {}

    def note(self, sa: IkeSa) -> None:
        """Look at the Child SAs that an IKE SA has now; the same ones cost nothing."""
        state = sa.state
        children = state.children if isinstance(state, Established) else ()
        before = self._children.get(sa.spi, ())
        if children is before:
            return
        for child in before:
            # Its successor may have them already: then they are no longer this one's to forget.
            if self._owner.get(child.sa.spi_in) == sa.spi:
                del self._owner[child.sa.spi_in]
        for child in children:
            self._owner[child.sa.spi_in] = sa.spi
        if children:
            self._children[sa.spi] = children
        else:
            self._children.pop(sa.spi, None)

    def find(self, spi_in: int) -> bytes | None:
        """Return our SPI of the IKE SA that has a Child SA, if there is one."""
        return self._owner.get(spi_in)

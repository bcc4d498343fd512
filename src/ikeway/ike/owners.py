# SPDX-License-Identifier: Apache-2.0
"""Which IKE SA has a Child SA, for what the data plane says of one (RFC 4301 §4.4.2)."""

from collections.abc import Mapping

from ikeway.ike.sa import IkeSa
from ikeway.ike.states import Established


class Owners:
    """An index by inbound SPI. It is made anew when it is wrong, and then for all at once."""

    def __init__(self) -> None:
        self._owner: dict[int, bytes] = {}

    def find(self, spi_in: int, sas: Mapping[bytes, IkeSa]) -> IkeSa | None:
        """Return the IKE SA of a Child SA, if there is one."""
        known = sas.get(self._owner.get(spi_in, b""))
        if known is not None and spi_in in _children(known):
            return known
        self._owner = {spi: sa.spi for sa in sas.values() for spi in _children(sa)}
        return sas.get(self._owner.get(spi_in, b""))


def _children(sa: IkeSa) -> tuple[int, ...]:
    state = sa.state
    if not isinstance(state, Established):
        return ()
    return tuple(child.sa.spi_in for child in state.children)

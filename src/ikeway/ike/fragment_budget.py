# SPDX-License-Identifier: Apache-2.0
"""How much all half-open IKE SAs together may store of fragments (RFC 7383 §5, RFC 7296 §2.6).

Anybody can finish a key exchange and then send authentic fragments that never make a message.
"""

from typing import Final

from ikeway.ike.sa import IkeSa
from ikeway.ike.states import Unproven

PIECE_OCTETS: Final = 128
"""What a fragment costs besides its content, so that empty ones count too."""


class FragmentBudget:
    """Adds up what is stored. Where it is too much, who began first has to forget.

    A message of an honest initiator is whole a moment after its first fragment has come, so that
    those that wait longest are the ones that wait for nothing.
    """

    __slots__ = ("_most", "_stored", "_total")

    def __init__(self, most: int) -> None:
        self._most = most
        self._stored: dict[bytes, int] = {}  # in the order in which they began to store
        self._total = 0

    @property
    def total(self) -> int:
        """How much is stored now."""
        return self._total

    def note(self, sa: IkeSa) -> tuple[bytes, ...]:
        """Look at what an IKE SA stores now; return our SPIs of those that have to forget."""
        octets, before = _octets(sa), self._stored.get(sa.spi, 0)
        if octets == before:
            return ()
        self._total += octets - before
        if octets:
            self._stored[sa.spi] = octets
        else:
            self._stored.pop(sa.spi, None)
        if self._total <= self._most:
            return ()
        surplus, victims = self._total - self._most, list[bytes]()
        for spi, stored in self._stored.items():
            victims.append(spi)
            surplus -= stored
            if surplus <= 0:
                break
        return tuple(victims)


def _octets(sa: IkeSa) -> int:
    state = sa.state
    if not isinstance(state, Unproven):
        return 0
    kept = state.session.fragmentation
    return kept.octets + PIECE_OCTETS * kept.pieces if kept.incomplete else 0

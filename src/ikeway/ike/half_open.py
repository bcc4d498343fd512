# SPDX-License-Identifier: Apache-2.0
"""Which IKE SAs strangers have made us start (RFC 7296 §2.1, §2.6): repeated requests, a bound."""

import hashlib
from collections import Counter
from typing import Final

from ikeway.ike.eap_states import AsServer
from ikeway.ike.io import Datagram
from ikeway.ike.sources import Source
from ikeway.ike.states import (
    AwaitAuthRequest,
    AwaitIntermediateRequest,
    CheckingInitiator,
    InstallingFirst,
    LeasingAddress,
    SigningResponse,
)

HALF_OPEN: Final = (
    AwaitIntermediateRequest,
    AwaitAuthRequest,
    CheckingInitiator,
    LeasingAddress,
    SigningResponse,
    InstallingFirst,
    AsServer,
)
"""The states of a responder whose peer has not proven anything yet, or not to the end."""


def request_key(datagram: Datagram) -> bytes:
    """Return what names an IKE_SA_INIT request: where it came from, and all of its octets.

    Two peers behind one NAT may choose the same SPIi (§2.1).
    """
    peer = datagram.peer
    source = peer.address.packed + peer.port.to_bytes(2)
    return hashlib.sha256(source + datagram.octets).digest()


class HalfOpen:
    """The IKE_SA_INIT requests behind our IKE SAs. An entry goes when its SA goes."""

    __slots__ = ("_counts", "_key", "_most", "_spi", "_waiting")

    def __init__(self, most: int) -> None:
        self._most = most
        self._spi: dict[bytes, bytes] = {}
        self._key: dict[bytes, bytes] = {}
        self._waiting: dict[bytes, Source] = {}
        self._counts: Counter[bytes] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether nobody may start another one now."""
        return len(self._waiting) >= self._most

    def count(self, place: bytes) -> int:
        """Return how many wait for somebody of this address or network."""
        return self._counts[place]

    def find(self, key: bytes) -> bytes | None:
        """Return our SPI of the IKE SA that a request has started."""
        return self._spi.get(key)

    def add(self, key: bytes, spi: bytes, source: Source) -> None:
        """Note that a request has started the IKE SA with this SPI of ours."""
        self._spi[key] = spi
        self._key[spi] = key
        self._waiting[spi] = source
        self._counts.update((source.key, source.network))

    def settle(self, spi: bytes) -> Source | None:
        """Note that the initiator has had its say; return whence, if it was still waited for."""
        source = self._waiting.pop(spi, None)
        if source is not None:
            for place in (source.key, source.network):
                self._counts[place] -= 1
                if not self._counts[place]:
                    del self._counts[place]
        return source

    def forget(self, spi: bytes) -> Source | None:
        """Note that an IKE SA is gone; return whence its initiator is, if it had no say."""
        key = self._key.pop(spi, None)
        if key is not None:
            self._spi.pop(key, None)
        return self.settle(spi)

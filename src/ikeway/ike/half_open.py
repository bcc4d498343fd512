# SPDX-License-Identifier: Apache-2.0
"""Which IKE SAs strangers have made us start (RFC 7296 §2.1, §2.6): repeated requests, a bound."""

import hashlib

from ikeway.ike.io import Datagram


def request_key(datagram: Datagram) -> bytes:
    """Return what names an IKE_SA_INIT request: where it came from, and all of its octets.

    Two peers behind one NAT may choose the same SPIi (§2.1).
    """
    peer = datagram.peer
    source = peer.address.packed + peer.port.to_bytes(2)
    return hashlib.sha256(source + datagram.octets).digest()


class HalfOpen:
    """The IKE_SA_INIT requests behind our IKE SAs. An entry goes when its SA goes."""

    __slots__ = ("_key", "_most", "_spi", "_waiting")

    def __init__(self, most: int) -> None:
        self._most = most
        self._spi: dict[bytes, bytes] = {}
        self._key: dict[bytes, bytes] = {}
        self._waiting: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether nobody may start another one now."""
        return len(self._waiting) >= self._most

    def find(self, key: bytes) -> bytes | None:
        """Return our SPI of the IKE SA that a request has started."""
        return self._spi.get(key)

    def add(self, key: bytes, spi: bytes) -> None:
        """Note that a request has started the IKE SA with this SPI of ours."""
        self._spi[key] = spi
        self._key[spi] = key
        self._waiting.add(spi)

    def settle(self, spi: bytes) -> None:
        """Note that the initiator has had its say, whatever came of it."""
        self._waiting.discard(spi)

    def forget(self, spi: bytes) -> None:
        """Note that an IKE SA is gone."""
        self._waiting.discard(spi)
        key = self._key.pop(spi, None)
        if key is not None:
            self._spi.pop(key, None)

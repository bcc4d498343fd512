# SPDX-License-Identifier: Apache-2.0
"""Eyes on the wire: a ring that the kernel fills with every frame, whether anybody reads or not."""

import mmap
import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple, Self

from ikeway.demo import filters

_SOL_PACKET: Final = 263
_VERSION, _RX_RING, _STATISTICS = 10, 5, 6
_TPACKET_V3: Final = 2
_ETH_P_ALL: Final = 3
_BLOCK: Final = 1 << 17
"""Two of the largest frames. A block is handed over when it is full, or not empty for a while."""
_FRAME: Final = 1 << 11
_RETIRE_MS: Final = 40
_IS_OURS: Final = 1
_STATUS_AT: Final = 8
_BLOCK_HEADER: Final = struct.Struct("=III")  # status, packets, offset of the first
_PACKET_HEADER: Final = struct.Struct("=IIIIIIHH")


class Seen(NamedTuple):
    """How many frames came by since the last look, and for how many there was no room."""

    frames: int
    missed: int


class Ring:
    """All frames of an interface that are ESP in UDP, or all that are not, both ways."""

    def __init__(self, interface: str, *, is_esp: bool, mebibytes: int) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._blocks = (mebibytes << 20) // _BLOCK
        try:
            filters.attach(self._socket, is_esp=is_esp)
            self._is_esp = is_esp
            self._memory = self._map(mebibytes << 20)
            self._socket.bind((interface, _ETH_P_ALL))
        except OSError:
            self._socket.close()
            raise
        self._next = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.close()
        self._socket.close()

    def shorten(self, octets: int) -> None:
        """Take only the beginning of each frame from now on, so that the ring has room for more."""
        filters.attach(self._socket, is_esp=self._is_esp, octets=octets)

    def seen(self) -> Seen:
        """Return the kernel's own counts, and start them again."""
        counts = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12)
        frames, missed, _ = struct.unpack("=III", counts)
        return Seen(frames, missed)

    def frames(self) -> Iterator[bytes]:
        """Yield what is in the ring by now, oldest first, and make room for more."""
        while True:
            start = self._next * _BLOCK
            status, count, offset = _BLOCK_HEADER.unpack_from(self._memory, start + _STATUS_AT)
            if not status & _IS_OURS:
                return
            yield from self._block(start + offset, count)
            struct.pack_into("=I", self._memory, start + _STATUS_AT, 0)
            self._next = (self._next + 1) % self._blocks

    def _block(self, at: int, count: int) -> Iterator[bytes]:
        for _ in range(count):
            skip, _, _, captured, _, _, mac, _ = _PACKET_HEADER.unpack_from(self._memory, at)
            yield self._memory[at + mac : at + mac + captured]
            at += skip

    def _map(self, octets: int) -> mmap.mmap:
        self._socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
        wanted = (_BLOCK, self._blocks, _FRAME, octets // _FRAME, _RETIRE_MS, 0, 0)
        self._socket.setsockopt(_SOL_PACKET, _RX_RING, struct.pack("=7I", *wanted))
        return mmap.mmap(self._socket.fileno(), octets)

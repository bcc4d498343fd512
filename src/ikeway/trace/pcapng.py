# SPDX-License-Identifier: Apache-2.0
"""Reads capture files block by block: pcapng (draft-ietf-opsawg-pcapng §4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO, Final

from ikeway.model.errors import HostError
from ikeway.trace.pcap import FRAME_OCTETS_MOST, CutShortError, Frame, checked, exactly

SECTION: Final = b"\x0a\x0d\x0d\x0a"
INTERFACES_MOST: Final = 4096

_BIG, _LITTLE = b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"
_BLOCK_OCTETS_MOST: Final = FRAME_OCTETS_MOST + (1 << 16)
_FRAMING_OCTETS: Final = 12
_TIMESTAMP_RESOLUTION, _TIMESTAMP_OFFSET = 9, 14


@dataclass(frozen=True, slots=True)
class _Interface:
    link: int
    snap_octets: int
    ticks: int = 1_000_000
    offset: int = 0

    def seconds(self, high: int, low: int) -> float:
        return self.offset + (high << 32 | low) / self.ticks


class Reader:
    """One pcapng file, with the interfaces of its current section."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._order = "<"
        self._interfaces: list[_Interface] = []
        self._number = 0
        self._at = 0.0

    def frames(self) -> Iterator[Frame]:
        """Yield the frames of a file whose first four octets were read.

        Raises:
            CutShortError: it ends in the middle of a block.
            HostError: a block cannot be.
        """
        kind = SECTION
        while kind:
            if len(kind) < len(SECTION):
                raise CutShortError("the file ends in the middle of a block")
            frame = self._block(kind)
            if frame is not None:
                yield frame
            kind = self._file.read(len(SECTION))

    def _block(self, kind: bytes) -> Frame | None:
        length = exactly(self._file, 4, "a block")
        begun = b""
        if kind == SECTION:
            begun = exactly(self._file, 4, "a section")
            self._begin(begun)
        (size,) = self._unpack("I", length)
        if size % 4 or not _FRAMING_OCTETS <= size <= _BLOCK_OCTETS_MOST:
            raise HostError(f"a block of {size} octets: the file is damaged")
        body = begun + exactly(self._file, size - _FRAMING_OCTETS - len(begun), "a block")
        if exactly(self._file, 4, "a block") != length:
            raise HostError(f"a block that begins with length {size} and ends with another")
        return self._take(self._unpack("I", kind)[0], body)

    def _begin(self, magic: bytes) -> None:
        """Begin a section, which may have another byte order."""
        orders = {_BIG: ">", _LITTLE: "<"}
        if magic not in orders:
            raise HostError("a section without byte order: the file is damaged")
        self._order = orders[magic]
        self._interfaces.clear()

    def _take(self, kind: int, body: bytes) -> Frame | None:
        match kind:
            case 1:  # Interface Description
                self._add_interface(body)
            case 6:  # Enhanced Packet
                interface, high, low, size, whole = self._unpack("IIIII", body)
                return self._frame(interface, (high, low), (size, whole), body[20:])
            case 2:  # Packet, of old writers
                interface, _, high, low, size, whole = self._unpack("HHIIII", body)
                return self._frame(interface, (high, low), (size, whole), body[20:])
            case 3:  # Simple Packet
                (whole,) = self._unpack("I", body)
                snap = self._interfaces[0].snap_octets if self._interfaces else 0
                size = min(whole, snap or whole, len(body) - 4)
                return self._frame(0, None, (size, whole), body[4:])
            case _:
                pass  # statistics, names, comments
        return None

    def _frame(
        self, interface: int, at: tuple[int, int] | None, sizes: tuple[int, int], data: bytes
    ) -> Frame:
        self._number += 1
        what = f"packet {self._number}"
        if interface >= len(self._interfaces):
            raise HostError(f"{what} is of interface {interface}, which the file does not describe")
        size = checked(sizes[0], what)
        if size > len(data):
            raise HostError(f"{what} says that it has {size} octets, but there are {len(data)}")
        found = self._interfaces[interface]
        self._at = self._at if at is None else found.seconds(*at)
        return Frame(self._number, self._at, found.link, data[:size], size >= sizes[1])

    def _add_interface(self, body: bytes) -> None:
        if len(self._interfaces) >= INTERFACES_MOST:
            raise HostError(f"more than {INTERFACES_MOST} interfaces: the file is damaged")
        link, _, snap = self._unpack("HHI", body)
        options = self._options(body[8:])
        resolution = options.get(_TIMESTAMP_RESOLUTION, b"\x06")[:1] or b"\x06"
        power = resolution[0] & 0x7F
        ticks = 2**power if resolution[0] & 0x80 else 10 ** min(power, 18)
        offset = options.get(_TIMESTAMP_OFFSET, b"")
        seconds = self._unpack("q", offset)[0] if len(offset) == 8 else 0
        self._interfaces.append(_Interface(link, snap, ticks, seconds))

    def _options(self, octets: bytes) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        while len(octets) >= 4:
            code, size = self._unpack("HH", octets)
            if not code:
                break
            found[code] = octets[4 : 4 + size]
            octets = octets[4 + size + -size % 4 :]
        return found

    def _unpack(self, form: str, octets: bytes) -> tuple[int, ...]:
        layout = Struct(self._order + form)
        if len(octets) < layout.size:
            raise HostError(f"{len(octets)} octets where a block needs {layout.size}")
        return layout.unpack_from(octets)

# SPDX-License-Identifier: Apache-2.0
"""Reads capture files record by record: pcap (draft-ietf-opsawg-pcap) with its variants."""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO, Final

from ikeway.model.errors import HostError

FRAME_OCTETS_MOST: Final = 1 << 20
"""Larger records are a sign of damage: a frame with offloads has 64 KiB."""

_HEADER_OCTETS: Final = 24
_MICRO, _NANO, _MODIFIED = 1_000_000, 1_000_000_000, 0xA1B2CD34
_TICKS: Final = {0xA1B2C3D4: _MICRO, 0xA1B23C4D: _NANO, _MODIFIED: _MICRO}


@dataclass(frozen=True, slots=True)
class Frame:
    """One captured frame. `at` is in seconds since 1970, `is_whole` that nothing was cut off."""

    number: int
    at: float
    link: int
    octets: bytes
    is_whole: bool = True


class CutShortError(HostError):
    """The file ends in the middle of a record, as when its writer was killed."""


def byte_order(magic: bytes) -> str | None:
    """Return the byte order of a pcap file by its first four octets, or None if it is none."""
    if int.from_bytes(magic, "little") in _TICKS:
        return "<"
    return ">" if int.from_bytes(magic, "big") in _TICKS else None


def read(file: BinaryIO, magic: bytes, order: str) -> Iterator[Frame]:
    """Yield the frames of a pcap file whose first four octets were read.

    Raises:
        CutShortError: it ends in the middle of a record.
        HostError: a record cannot be.
    """
    header = exactly(file, _HEADER_OCTETS - len(magic), "the file's header")
    kind = int.from_bytes(magic, "little" if order == "<" else "big")
    ticks = _TICKS[kind]
    link = Struct(order + "I").unpack_from(header, 16)[0] & 0xFFFF
    record = Struct(order + ("IIIIIHBB" if kind == _MODIFIED else "IIII"))
    number = 0
    while head := file.read(record.size):
        number += 1
        what = f"packet {number}"
        if len(head) < record.size:
            raise CutShortError(f"the file ends in the middle of {what}")
        seconds, fraction, size, whole, *_ = record.unpack(head)
        octets = exactly(file, checked(size, what), what)
        yield Frame(number, seconds + fraction / ticks, link, octets, size >= whole)


def checked(size: int, what: str) -> int:
    """Return a size that a file tells.

    Raises:
        HostError: no packet is so large; the file is damaged, or none of its kind.
    """
    if not 0 <= size <= FRAME_OCTETS_MOST:
        raise HostError(f"{what} says that it has {size} octets: the file is damaged")
    return size


def exactly(file: BinaryIO, size: int, what: str) -> bytes:
    """Return the next octets of a file.

    Raises:
        CutShortError: there are fewer.
    """
    octets = file.read(size)
    if len(octets) < size:
        raise CutShortError(f"the file ends in the middle of {what}")
    return octets

# SPDX-License-Identifier: Apache-2.0
"""Capture files of every kind are read, and damaged ones are refused with what is wrong."""

import gzip
import struct
from contextlib import suppress
from pathlib import Path

import pytest

from ikeway.model.errors import HostError
from ikeway.trace import capture
from ikeway.trace.pcap import CutShortError, Frame
from support.pcap import CAPTURES

FRAMES = [(1_700_000_000.25, b"first frame"), (1_700_000_001.5, b"second")]
ETHERNET = 1


def pcap(order: str = "<", magic: int = 0xA1B2C3D4, ticks: int = 1_000_000) -> bytes:
    octets = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, ETHERNET)
    for at, frame in FRAMES:
        size = len(frame)
        octets += struct.pack(order + "IIII", int(at), int(at % 1 * ticks), size, size)
        octets += b"" if magic != 0xA1B2CD34 else struct.pack(order + "IHBB", 2, 8, 0, 0)
        octets += frame
    return octets


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str = "<", options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(order + "HHI", ETHERNET, 0, 0) + options)


def enhanced(order: str, at: float, frame: bytes, ticks: int = 1_000_000, number: int = 0) -> bytes:
    stamp = int(at * ticks)
    head = struct.pack(
        order + "IIIII", number, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), len(frame)
    )
    return block(order, 6, head + frame)


def pcapng(order: str = "<") -> bytes:
    packets = b"".join(enhanced(order, at, frame) for at, frame in FRAMES)
    return section(order) + interface(order) + block(order, 5, b"statistics") + packets


def read(folder: Path, octets: bytes) -> list[Frame]:
    (folder / "file").write_bytes(octets)
    return list(capture.frames(folder / "file"))


@pytest.mark.parametrize(
    "octets",
    [
        pcap("<"),
        pcap(">"),
        pcap("<", 0xA1B23C4D, 1_000_000_000),
        pcap(">", 0xA1B2CD34),
        pcapng("<"),
        pcapng(">"),
        gzip.compress(pcap(), mtime=0),
        gzip.compress(pcapng(), mtime=0),
    ],
    ids=["little", "big", "nanoseconds", "modified", "ng little", "ng big", "gzip", "ng gzip"],
)
def test_every_format_gives_the_same_frames(tmp_path: Path, octets: bytes) -> None:
    found = read(tmp_path, octets)
    assert [(one.at, one.octets) for one in found] == FRAMES
    assert [one.number for one in found] == [1, 2]
    assert {one.link for one in found} == {ETHERNET}


def test_an_interface_tells_its_clock(tmp_path: Path) -> None:
    for resolution, ticks in ((9, 10**9), (0x80 | 10, 1 << 10)):
        options = struct.pack("<HHBxxxHHqHH", 9, 1, resolution, 14, 8, 100, 0, 0)
        octets = section() + interface(options=options) + enhanced("<", 0.5, b"x", ticks)
        (frame,) = read(tmp_path, octets)
        assert frame.at == 100.5


def test_simple_and_old_packet_blocks_are_read(tmp_path: Path) -> None:
    old = block("<", 2, struct.pack("<HHIIII", 0, 0, 0, 2_000_000, 3, 9) + b"old")
    simple = block("<", 3, struct.pack("<I", 6) + b"simple")
    frames = read(tmp_path, section() + interface() + old + simple)
    assert [(one.at, one.octets, one.is_whole) for one in frames] == [
        (2.0, b"old", False),
        (2.0, b"simple", True),
    ]


def test_each_section_has_its_own_interfaces_and_byte_order(tmp_path: Path) -> None:
    assert len(read(tmp_path, pcapng("<") + pcapng(">"))) == 4
    with pytest.raises(HostError, match="interface 0, which the file does not describe"):
        read(tmp_path, pcapng() + section() + enhanced("<", 1.0, b"x"))


@pytest.mark.parametrize(
    "octets",
    [pcap(), pcapng(), gzip.compress(pcap(), mtime=0)],
    ids=["pcap", "pcapng", "gzip"],
)
def test_what_is_cut_short_gives_what_came_before(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "file").write_bytes(octets[:-3])
    frames = capture.frames(tmp_path / "file")
    assert next(frames).octets == b"first frame"
    with pytest.raises(CutShortError):
        list(frames)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "is empty"),
        (b"GIF89a", "begins with 47 49 46 38: neither pcap nor pcapng"),
        (pcap()[:24] + struct.pack("<IIII", 0, 0, 1 << 30, 1 << 30), "packet 1 says"),
        (section()[:8] + b"????" + section()[12:], "without byte order"),
        (section() + struct.pack("<II", 6, 11), "a block of 11 octets"),
        (section() + struct.pack("<II", 6, 1 << 30), "a block of 1073741824 octets"),
        (section() + struct.pack("<IIII", 5, 16, 0, 20), "ends with another"),
        (section() + interface() + block("<", 6, b"short"), "8 octets where a block needs 20"),
        (
            section() + interface() + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 90, 90)),
            "says that it has 90 octets, but there are 0",
        ),
    ],
)
def test_what_is_no_capture_is_told(tmp_path: Path, octets: bytes, reason: str) -> None:
    with pytest.raises(HostError, match=reason):
        read(tmp_path, octets)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="No such file"):
        list(capture.frames(tmp_path / "nothing"))


def test_any_truncation_or_change_of_a_file_is_an_error_of_ours_or_none(tmp_path: Path) -> None:
    for octets in (pcapng(), pcap(), (CAPTURES / "ikev2pI2.pcap").read_bytes()[:200]):
        for at in range(len(octets)):
            for changed in (octets[:at], octets[:at] + b"\xff" + octets[at + 1 :]):
                with suppress(HostError):
                    read(tmp_path, changed)

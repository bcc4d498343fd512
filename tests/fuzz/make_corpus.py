# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of `corpus/wire`: captured messages, and one message for each payload."""

import sys
from pathlib import Path
from struct import pack

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.hostile import HOSTILE
from support.octets import generic, message, proposal, selector, transform
from support.pcap import CAPTURES, ike_messages

CORPUS = Path(__file__).parent / "corpus" / "wire"
BODIES = {
    33: proposal(transform(1, 20, bytes.fromhex("800e0100"), more=True), transform(4, 31)),
    34: bytes.fromhex("001f0000") + bytes(32),
    35: b"\2\0\0\0vpn.example.com",
    36: b"\1\0\0\0\xc0\0\2\1",
    37: b"\4\x30\0",
    38: b"\4" + bytes(40),
    39: b"\2\0\0\0" + bytes(32),
    40: bytes(range(32)),
    41: pack("!BBH4s", 3, 4, 16393, b"spi4"),
    42: pack("!BBH", 3, 4, 2) + b"spi1spi2",
    43: b"vendor",
    44: b"\1\0\0\0" + selector(7, (0, 65535), bytes(4), b"\xff" * 4),
    45: b"\2\0\0\0" + selector(8, (65535, 0), bytes(16), b"\xff" * 16, 17) + b"\x0a\0\0\5x",
    46: bytes(48),
    47: bytes.fromhex("01000000000100000003000000080000000a0000001900000019000378797a"),
    48: bytes.fromhex("0107000501"),
    53: pack("!HH", 1, 2) + bytes(40),
    200: b"unknown",
}


def seeds() -> dict[str, bytes]:
    """Return every seed by its name."""
    found = {f"payload-{kind}": message(kind, generic(0, body)) for kind, body in BODIES.items()}
    found["empty"] = message(0, b"")
    for name, octets in HOSTILE.items():
        found[f"hostile-{name.replace(' ', '-')}"] = octets[:600]
    captured = dict.fromkeys(
        octets for path in sorted(CAPTURES.glob("*.pcap")) for octets in ike_messages(path)
    )
    for number, octets in enumerate(captured):
        if len(octets) < 1000:
            found[f"captured-{number:02}"] = octets
    return found


def main() -> None:
    """Write the seeds."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, octets in seeds().items():
        (CORPUS / name).write_bytes(octets)


if __name__ == "__main__":
    main()

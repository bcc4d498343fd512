# SPDX-License-Identifier: Apache-2.0
"""AGGFRAG payloads in a few words (RFC 9347 §6.1), e.g. `AGGFRAG: 2 packets, 1404 octets`."""

from typing import Final

_HEADERS: Final = {0: 4, 1: 24}
"""Octets of header of each sub-type, without and with congestion information."""


def describe(octets: bytes) -> str:
    """Return what a payload has: whole packets, the parts of others, padding."""
    header = _HEADERS.get(octets[0]) if octets else None
    if header is None or len(octets) < header:
        return f"AGGFRAG payload that is malformed, {len(octets)} octets"
    offset, data = int.from_bytes(octets[2:4]), octets[header:]
    packets, rest = _blocks(data[offset:])
    parts = [
        f"{packets} packet{'s' if packets != 1 else ''}" if packets else "",
        f"{min(offset, len(data))} octets of one before" if offset else "",
        f"{rest} octets of one that goes on" if rest else "",
    ]
    words = ", ".join(part for part in parts if part) or "padding"
    kind = "AGGFRAG with congestion information" if header > min(_HEADERS.values()) else "AGGFRAG"
    return f"{kind}: {words}, {len(octets)} octets"


def _blocks(data: bytes) -> tuple[int, int]:
    """Return how many packets are whole, and the octets of one that is not."""
    packets = 0
    while data and data[0] >> 4 in {4, 6}:
        is_ipv4 = data[0] >> 4 == 4
        length = int.from_bytes(data[2:4]) if is_ipv4 else 40 + int.from_bytes(data[4:6])
        if length > len(data) or length < 20:
            return packets, len(data)
        packets, data = packets + 1, data[length:]
    return packets, 0

# SPDX-License-Identifier: Apache-2.0
"""Sets every RESERVED bit of RFC 7296 §3, which a receiver has to ignore."""

from typing import Final

HEADER_OCTETS: Final = 28
SA: Final = 33
FIELDS: Final = {34: (2, 4), 35: (1, 4), 36: (1, 4), 39: (1, 4), 44: (1, 4), 45: (1, 4), 47: (1, 4)}
"""Where the RESERVED octets of a payload's body are, by payload type."""


def dirty_message(octets: bytes) -> bytes:
    """Return an unprotected message with all RESERVED bits set."""
    head = bytearray(octets[:HEADER_OCTETS])
    head[19] |= 0xC7
    return bytes(head) + dirty_chain(octets[16], octets[HEADER_OCTETS:])


def dirty_chain(first: int, octets: bytes) -> bytes:
    """Return a chain of payloads with all RESERVED bits set; IDs stay, they enter AUTH."""
    parts = []
    kind, at = first, 0
    while kind:
        size = int.from_bytes(octets[at + 2 : at + 4])
        head = octets[at : at + 1] + b"\x7f" + octets[at + 2 : at + 4]
        parts.append(head + _dirty_body(kind, octets[at + 4 : at + size]))
        kind, at = octets[at], at + size
    return b"".join(parts)


def _dirty_body(kind: int, body: bytes) -> bytes:
    if kind == SA:
        return _dirty_proposals(body)
    made = bytearray(body)
    start, end = FIELDS.get(kind, (0, 0)) if kind not in {35, 36} else (0, 0)
    made[start:end] = b"\xff" * (end - start)
    return bytes(made)


def _dirty_proposals(body: bytes) -> bytes:
    made = bytearray(body)
    at = 0
    while at < len(made):
        end = at + int.from_bytes(made[at + 2 : at + 4])
        made[at + 1] = 0xFF
        inner = at + 8 + made[at + 6]
        while inner < end:
            made[inner + 1] = made[inner + 5] = 0xFF
            inner += int.from_bytes(made[inner + 2 : inner + 4])
        at = end
    return bytes(made)

# SPDX-License-Identifier: Apache-2.0
"""Packet filters of the kernel (classic BPF) that know ESP in UDP (RFC 3948 §2.1)."""

import ctypes
import socket
import struct
from typing import Final

from ikeway.model.address import NAT_PORT

WHOLE: Final = 0x40000
"""More than any frame has."""
_ATTACH_FILTER: Final = 26
_NOTHING: Final = 0
_SHORTEST: Final = 90
"""No frame with ESP in UDP in tunnel mode is shorter; loads beyond the end would drop it."""

_LENGTH, _HALF, _BYTE = 0x80, 0x28, 0x30
_HEADER_X, _HALF_X, _WORD_X = 0xB1, 0x48, 0x40
_EQUALS, _AT_LEAST, _ANY_BIT, _RETURN = 0x15, 0x35, 0x45, 0x06


def attach(capture: socket.socket, *, is_esp: bool, octets: int = WHOLE) -> None:
    """Let `capture` see so much of ESP in UDP over IPv4, or of what is not that; nothing else."""
    program = _program(octets, _NOTHING) if is_esp else _program(_NOTHING, octets)
    code = b"".join(struct.pack("=HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    described = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    capture.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, described)


def _program(esp: int, other: int) -> list[tuple[int, int, int, int]]:
    """Return the program; jumps are written as (if true, if false) in instructions to skip."""
    return [
        (_LENGTH, 0, 0, 0),
        (_AT_LEAST, 0, 13, _SHORTEST),
        (_HALF, 0, 0, 12),  # Ethernet: IPv4
        (_EQUALS, 0, 11, 0x0800),
        (_BYTE, 0, 0, 23),  # IPv4: UDP
        (_EQUALS, 0, 9, socket.IPPROTO_UDP),
        (_HALF, 0, 0, 20),  # IPv4: not a fragment
        (_ANY_BIT, 7, 0, 0x3FFF),
        (_HEADER_X, 0, 0, 14),
        (_HALF_X, 0, 0, 14),  # UDP: from or to port 4500
        (_EQUALS, 2, 0, NAT_PORT),
        (_HALF_X, 0, 0, 16),
        (_EQUALS, 0, 2, NAT_PORT),
        (_WORD_X, 0, 0, 22),  # ESP: an SPI, not the non-ESP marker
        (_EQUALS, 0, 1, 0),
        (_RETURN, 0, 0, other),
        (_RETURN, 0, 0, esp),
    ]

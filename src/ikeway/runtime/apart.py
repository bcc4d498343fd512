# SPDX-License-Identifier: Apache-2.0
"""Keeps a flood of first requests away from all other IKE: two sockets on one port (RFC 7296 §2.6).

The kernel puts IKE_SA_INIT requests without a cookie into a queue of their own. When it runs over,
those who have returned a cookie, and all who have an IKE SA, lose nothing.
"""

import ctypes
import socket
import struct
from typing import Final

from ikeway.wire.registry import ExchangeType, PayloadType

SOCKETS: Final = 2
"""The first one is for all IKE, the second one for strangers."""

_SO_ATTACH_REUSEPORT_CBPF: Final = 51
_INSTRUCTION: Final = struct.Struct("=HBBI")
_LOAD_OCTET, _JUMP_IF_EQUAL, _RETURN = 0x30, 0x15, 0x06
_EXCHANGE_AT, _NEXT_PAYLOAD_AT = 18, 16
_PROGRAM: Final = (
    (_LOAD_OCTET, 0, 0, _EXCHANGE_AT),
    (_JUMP_IF_EQUAL, 0, 3, int(ExchangeType.IKE_SA_INIT)),
    (_LOAD_OCTET, 0, 0, _NEXT_PAYLOAD_AT),
    (_JUMP_IF_EQUAL, 0, 1, int(PayloadType.SA)),
    (_RETURN, 0, 0, 1),
    (_RETURN, 0, 0, 0),
)
"""A classic BPF program over the datagram: which socket of the group gets it. A datagram that is
too short for a load goes to the first."""


def steer(sock: socket.socket) -> None:
    """Let the kernel choose between the sockets that share this one's port.

    Raises:
        OSError: this kernel does not do so.
    """
    code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*one) for one in _PROGRAM))
    program = struct.pack("@HP", len(_PROGRAM), ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, program)

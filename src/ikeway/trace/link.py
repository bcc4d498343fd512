# SPDX-License-Identifier: Apache-2.0
"""Finds the IP packet in a frame of any common link type (tcpdump.org/linktypes.html)."""

from collections.abc import Callable
from typing import Final

_IPV4, _IPV6 = 0x0800, 0x86DD
_VLANS: Final = frozenset({0x8100, 0x88A8, 0x9100})
_PPPOE: Final = 0x8864
_PPP: Final = {0x0021: _IPV4, 0x0057: _IPV6}
_TAGS_MOST: Final = 4


def packet_of(link: int, frame: bytes) -> bytes | None:
    """Return the IP packet of a frame, or None if it carries something else."""
    read = _LINKS.get(link)
    return None if read is None else read(frame)


def is_known(link: int) -> bool:
    """Whether frames of a link type can be read."""
    return link in _LINKS


def _raw(frame: bytes) -> bytes | None:
    return frame if frame and frame[0] >> 4 in {4, 6} else None


def _after(octets: int) -> Callable[[bytes], bytes | None]:
    return lambda frame: _raw(frame[octets:])


def _ethernet(frame: bytes) -> bytes | None:
    return _typed(frame, 12)


def _cooked_1(frame: bytes) -> bytes | None:
    return _typed(frame, 14)


def _cooked_2(frame: bytes) -> bytes | None:
    kind = int.from_bytes(frame[:2])
    return _tagged(kind, frame, 20)


def _typed(frame: bytes, at: int) -> bytes | None:
    return _tagged(int.from_bytes(frame[at : at + 2]), frame, at + 2)


def _tagged(kind: int, frame: bytes, at: int) -> bytes | None:
    """Return the packet that stands at `at`, behind VLAN tags and PPPoE."""
    for _ in range(_TAGS_MOST):
        if kind not in _VLANS:
            break
        kind = int.from_bytes(frame[at + 2 : at + 4])
        at += 4
    if kind == _PPPOE:
        kind = _PPP.get(int.from_bytes(frame[at + 6 : at + 8]), 0)
        at += 8
    return _raw(frame[at:]) if kind in {_IPV4, _IPV6} else None


_LINKS: Final[dict[int, Callable[[bytes], bytes | None]]] = {
    0: _after(4),  # null: the address family, in the byte order of the host
    1: _ethernet,
    12: _raw,  # raw IP as some BSDs number it
    14: _raw,
    101: _raw,
    108: _after(4),  # loop: the address family, in network order
    113: _cooked_1,
    228: _raw,
    229: _raw,
    276: _cooked_2,
}

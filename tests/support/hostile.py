# SPDX-License-Identifier: Apache-2.0
"""Messages of up to 65,535 octets that want to cost as much work as they can."""

from struct import pack
from typing import Final

from support.octets import generic, message, proposal, selector, transform

MOST: Final = 65535 - 28


def chain(kind: int, body: bytes) -> bytes:
    """Return the longest chain of one payload."""
    part = generic(kind, body)
    return message(kind, part * (MOST // len(part) - 1) + generic(0, body))


def single(kind: int, body: bytes) -> bytes:
    """Return a message with one payload."""
    return message(kind, generic(0, body))


def _proposals(count: int, transforms: int) -> bytes:
    made = []
    for number in range(count):
        first = number * transforms
        inner = [
            transform(at % 256, at, more=at < first + transforms - 1)
            for at in range(first, first + transforms)
        ]
        made.append(proposal(*inner, number=number % 256, more=number < count - 1))
    return b"".join(made)


def _attributes(short: bool, count: int) -> bytes:
    parts = [pack("!HH", (0x8000 if short else 0) | at, at if short else 0) for at in range(count)]
    return proposal(transform(1, 12, b"".join(parts)))


def _selectors(kind: int, width: int) -> bytes:
    parts = [
        selector(kind, (at, at), at.to_bytes(width, "big"), (at + 1).to_bytes(width, "big"))
        for at in range(255)
    ]
    return b"\xff\0\0\0" + b"".join(parts)


def _notifies(count: int) -> bytes:
    parts = [pack("!BBHBBH", 41, 0, 8, 0, 0, 30000 + at) for at in range(count - 1)]
    return message(41, b"".join(parts) + generic(0, pack("!BBH", 0, 0, 29999)))


HOSTILE: Final = {
    **{f"chain of empty payloads {kind}": chain(kind, b"") for kind in (33, 40, 41, 43, 48, 200)},
    "chain of unknown notifies": chain(41, b"\0\0\x99\x99"),
    "256 unknown notifies": _notifies(256),
    "chain of deletes": chain(42, pack("!BBH", 1, 0, 0)),
    "chain of selectors": chain(44, b"\0\0\0\0"),
    "chain of proposals": chain(33, proposal()),
    "proposals without transforms": single(33, _proposals(8000, 0)),
    "transforms all different": single(33, _proposals(31, 255)),
    "500 transforms all different": single(33, _proposals(2, 250)),
    "short attributes": single(33, _attributes(short=True, count=16000)),
    "500 short attributes": single(33, _attributes(short=True, count=500)),
    "long attributes": single(33, _attributes(short=False, count=16000)),
    "500 long attributes": single(33, _attributes(short=False, count=500)),
    "IPv4 selectors": single(44, _selectors(7, 4)),
    "IPv6 selectors": single(45, _selectors(8, 16)),
    "SPIs": single(42, pack("!BBH", 3, 4, 16000) + bytes(64000)),
    "500 SPIs": single(42, pack("!BBH", 3, 4, 500) + bytes(2000)),
    "configuration attributes": single(
        47, b"\1\0\0\0" + b"".join(pack("!HH", 5000 + at, 0) for at in range(16000))
    ),
    "500 configuration attributes": single(
        47, b"\1\0\0\0" + b"".join(pack("!HH", 5000 + at, 0) for at in range(500))
    ),
    "one long payload": single(43, bytes(MOST - 4)),
    "one long sealed payload": message(46, generic(0, bytes(MOST - 4))),
    "many authorities": single(38, b"\4" + bytes(65000)),
}

# SPDX-License-Identifier: Apache-2.0
"""Builds IKE messages octet by octet, so that tests can build wrong ones too."""

from struct import pack

SPI_I = bytes.fromhex("0102030405060708")
SPI_R = bytes.fromhex("1112131415161718")


def message(first: int, body: bytes, *, length: int | None = None, flags: int = 0x08) -> bytes:
    """Return an IKE_SA_INIT message; `length` replaces the true one."""
    size = 28 + len(body) if length is None else length
    return SPI_I + SPI_R + pack("!BBBBII", first, 0x20, 34, flags, 0, size) + body


def generic(following: int, body: bytes, *, flags: int = 0, length: int | None = None) -> bytes:
    """Return a payload with its generic header."""
    size = 4 + len(body) if length is None else length
    return pack("!BBH", following, flags, size) + body


def transform(kind: int, number: int, attributes: bytes = b"", *, more: bool = False) -> bytes:
    """Return a transform substructure."""
    return pack("!BBHBBH", 3 * more, 0, 8 + len(attributes), kind, 0, number) + attributes


def proposal(
    *transforms: bytes,
    number: int = 1,
    protocol: int = 1,
    spi: bytes = b"",
    more: bool = False,
    count: int | None = None,
) -> bytes:
    """Return a proposal substructure; `count` replaces the true number of transforms."""
    content = spi + b"".join(transforms)
    announced = len(transforms) if count is None else count
    head = pack("!BBHBBBB", 2 * more, 0, 8 + len(content), number, protocol, len(spi), announced)
    return head + content


def selector(
    kind: int, ports: tuple[int, int], start: bytes, end: bytes, protocol: int = 0
) -> bytes:
    """Return a traffic selector."""
    size = 8 + len(start) + len(end)
    return pack("!BBHHH", kind, protocol, size, *ports) + start + end

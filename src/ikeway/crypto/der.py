# SPDX-License-Identifier: Apache-2.0
"""As much of ASN.1's DER as names and algorithm identifiers need (X.690; RFC 5280 §4.1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SEQUENCE: Final = 0x30
SET: Final = 0x31
INTEGER: Final = 0x02
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
_LONG: Final = 0x80
_MULTI_OCTET_TAG: Final = 0x1F


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag, its contents, and both with the length between them."""

    tag: int
    contents: bytes
    whole: bytes

    def children(self, tag: int = SEQUENCE) -> tuple["Element", ...]:
        """Return the elements inside, if this is a constructed element of that tag.

        Raises:
            ValueError: it has another tag, or its contents are not DER.
        """
        if self.tag != tag:
            raise ValueError(f"DER tag {self.tag:#04x}, not {tag:#04x}")
        return tuple(_elements(self.contents))


def wholes(octets: bytes) -> list[bytes]:
    """Return the elements inside the one SEQUENCE that the octets are, each with tag and length.

    Raises:
        ValueError: they are no such thing.
    """
    start, end = _span(octets, 0)
    if octets[0] != SEQUENCE or end != len(octets):
        raise ValueError("octets that are not one SEQUENCE of DER")
    found, at = [], start
    while at < end:
        _, after = _span(octets, at)
        found.append(octets[at:after])
        at = after
    return found


def encode(tag: int, *contents: bytes) -> bytes:
    """Return an element of that tag with the joined contents."""
    inner = b"".join(contents)
    if len(inner) < _LONG:
        return bytes([tag, len(inner)]) + inner
    length = len(inner).to_bytes((len(inner).bit_length() + 7) // 8)
    return bytes([tag, _LONG | len(length)]) + length + inner


def decode(octets: bytes) -> Element:
    """Return the one element that the octets are.

    Raises:
        ValueError: they are not DER, or something follows.
    """
    element = _element_at(octets, 0)
    if len(element.whole) != len(octets):
        raise ValueError(f"{len(octets) - len(element.whole)} octets after a DER element")
    return element


def oid(octets: bytes) -> str:
    """Return the dotted form of an object identifier's contents.

    Raises:
        ValueError: they are no object identifier.
    """
    if not octets or octets[-1] & 0x80:
        raise ValueError(f"no object identifier: {octets.hex()}")
    arcs, value = [], 0
    for octet in octets:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))


def _elements(octets: bytes) -> Iterator[Element]:
    at = 0
    while at < len(octets):
        element = _element_at(octets, at)
        yield element
        at += len(element.whole)


def _element_at(octets: bytes, at: int) -> Element:
    start, end = _span(octets, at)
    return Element(octets[at], octets[start:end], octets[at:end])


def _span(octets: bytes, at: int) -> tuple[int, int]:
    """Return where the contents of an element start, and where it ends."""
    if len(octets) - at < 2 or octets[at] & _MULTI_OCTET_TAG == _MULTI_OCTET_TAG:
        raise ValueError("DER that ends within a tag, or a tag of several octets")
    start, length = _length_at(octets, at + 1)
    if start + length > len(octets):
        raise ValueError(f"a DER element of {length} octets in {len(octets) - start}")
    return start, start + length


def _length_at(octets: bytes, at: int) -> tuple[int, int]:
    """Return where the contents start and how long they are; only the shortest form is DER."""
    count = octets[at] & 0x7F
    start = at + 1
    if not octets[at] & _LONG:
        return start, count
    field = octets[start : start + count]
    length = int.from_bytes(field)
    shortest = (length.bit_length() + 7) // 8
    if not 1 <= count <= 4 or len(field) != count or length < _LONG or count != shortest:
        raise ValueError("a DER length that is not in its shortest form")
    return start + count, length

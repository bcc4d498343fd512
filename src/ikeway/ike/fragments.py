# SPDX-License-Identifier: Apache-2.0
"""Sealing a message, in as many fragments as it takes (RFC 7383 §2.4, §2.5)."""

from dataclasses import dataclass
from typing import Final

from ikeway.crypto.random import Random
from ikeway.ike.keys import SK_HEADER_OCTETS, Keyring
from ikeway.wire.codec import Body
from ikeway.wire.message import HEADER_OCTETS, Header, encode_chain
from ikeway.wire.registry import PayloadType

Datagrams = tuple[bytes, ...]

NUMBERS_OCTETS: Final = 4
_NEXT_PAYLOAD: Final = 16
_TOTAL: Final = slice(HEADER_OCTETS + SK_HEADER_OCTETS + 2, HEADER_OCTETS + SK_HEADER_OCTETS + 4)
TOTAL_MOST: Final = 256
"""How many fragments a message has at most, here and from the peer."""


@dataclass(frozen=True, slots=True)
class Content:
    """A message before it is sealed; fragments of any size can be made of it."""

    header: Header
    first: PayloadType
    plaintext: bytes

    @classmethod
    def of(cls, header: Header, payloads: tuple[Body, ...]) -> "Content":
        """Return the content of a message with these payloads."""
        return cls(header, *encode_chain(payloads))

    def total(self, keyring: Keyring, room: int | None) -> int:
        """Return how many datagrams it takes if no IKE message is longer than `room`."""
        whole = keyring.protection.body_octets(len(self.plaintext))
        if room is None or HEADER_OCTETS + SK_HEADER_OCTETS + whole <= room:
            return 1
        return -(-len(self.plaintext) // _chunk_octets(keyring, room))


def _chunk_octets(keyring: Keyring, room: int) -> int:
    """Return how much content one fragment takes."""
    body = room - HEADER_OCTETS - SK_HEADER_OCTETS - NUMBERS_OCTETS
    return keyring.protection.plaintext_octets(body)


def seal(
    keyring: Keyring, content: Content, random: Random, room: int | None, least: int = 1
) -> tuple[Keyring, Datagrams]:
    """Return the datagrams of a message, and the keys for the next one.

    A message that fits is no fragment (§2.4). The others are split "regardless of the boundaries
    of inner payloads", and each fragment has an IV and an ICV of its own (§2.5). There are at least
    `least` of them.
    """
    natural = content.total(keyring, room)
    total = max(natural, least)
    if room is None or total == 1 or total > TOTAL_MOST:
        return _whole(keyring, content, random)
    even = -(-len(content.plaintext) // total)
    size, sealed = _chunk_octets(keyring, room) if natural == total else even, list[bytes]()
    for number in range(1, total + 1):
        chunk = content.plaintext[(number - 1) * size : number * size]
        first = content.first if number == 1 else PayloadType.NONE
        numbers = number.to_bytes(2) + total.to_bytes(2)
        keyring, octets = keyring.seal_octets(content.header, first, chunk, random, numbers)
        sealed.append(octets)
    return keyring, tuple(sealed)


def _whole(keyring: Keyring, content: Content, random: Random) -> tuple[Keyring, Datagrams]:
    after, octets = keyring.seal_octets(content.header, content.first, content.plaintext, random)
    return after, (octets,)


def total_of(octets: bytes) -> int:
    """Return how many datagrams the message has that this one, of our own, is the first of."""
    is_fragment = octets[_NEXT_PAYLOAD] == PayloadType.SKF
    return int.from_bytes(octets[_TOTAL]) if is_fragment else 1

# SPDX-License-Identifier: Apache-2.0
"""Fragments of the peer's messages, until all are there (RFC 7383 §2.6, §5).

Nothing is stored that is not authentic, and never more than a bounded amount of that.
"""

from dataclasses import dataclass, replace
from typing import Final

from ikeway.ike.features.fragmentation import datagram
from ikeway.ike.fragments import NUMBERS_OCTETS, TOTAL_MOST
from ikeway.model.errors import MalformedError
from ikeway.model.time import Instant, Seconds
from ikeway.wire.message import HEADER_OCTETS, Header
from ikeway.wire.registry import ExchangeType, PayloadType

OCTETS_MOST: Final = 1 << 16
"""How much of all incomplete messages of an IKE SA is stored (§5)."""
PIECES_MOST: Final = 512
"""How many fragments are stored, because empty ones cost memory too."""
TIMEOUT: Final[Seconds] = 30.0
"""After so long an incomplete message is forgotten (§2.6)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a fragment says of itself, before anybody has checked that it is authentic."""

    number: int
    total: int
    first: PayloadType
    reserved: int = 0

    @classmethod
    def of(cls, octets: bytes) -> "Piece":
        """Return the numbers of an SKF payload that comes first in its message.

        Raises:
            MalformedError: there can be no such fragment.
        """
        start = HEADER_OCTETS + NUMBERS_OCTETS
        if len(octets) < start + NUMBERS_OCTETS:
            raise MalformedError(f"a fragment of {len(octets)} octets")
        number = int.from_bytes(octets[start : start + 2])
        total = int.from_bytes(octets[start + 2 : start + 4])
        if not 1 <= number <= total:
            raise MalformedError(f"fragment {number} of {total}")
        if total > TOTAL_MOST:
            raise MalformedError(f"{total} fragments are more than {TOTAL_MOST}")
        return cls(number, total, PayloadType(octets[HEADER_OCTETS]), octets[HEADER_OCTETS + 1])


Name = tuple[bool, int, ExchangeType]
"""Whether a message is a response, its message ID and its exchange type."""


def name_of(header: Header) -> Name:
    """Return what the fragments of one message have in common."""
    return header.is_response, header.message_id, header.exchange


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The fragments of a message so far, by number; `largest` is the longest IKE message.

    `first` and `reserved` are the first octets of the SKF payload of fragment 1.
    """

    name: Name
    total: int
    until: Instant
    first: PayloadType = PayloadType.NONE
    chunks: tuple[tuple[int, bytes], ...] = ()
    largest: int = 0
    reserved: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether all fragments are there."""
        return len(self.chunks) == self.total

    @property
    def octets(self) -> int:
        """How much is stored."""
        return sum(len(chunk) for _, chunk in self.chunks)

    def datagram_octets(self, version: int) -> int:
        """Return the size of the largest IP datagram that brought it."""
        return datagram(self.largest, version)

    @property
    def plaintext(self) -> bytes:
        """The content of the whole message."""
        return b"".join(chunk for _, chunk in sorted(self.chunks))

    def with_chunk(self, piece: Piece, chunk: bytes, octets: int) -> "Incomplete":
        """Return it with one fragment more; the first one names the first payload (§2.5)."""
        return replace(
            self,
            first=piece.first if piece.number == 1 else self.first,
            reserved=piece.reserved if piece.number == 1 else self.reserved,
            chunks=(*self.chunks, (piece.number, chunk)),
            largest=max(self.largest, octets),
        )


@dataclass(frozen=True, slots=True)
class Fragmentation:
    """What an IKE SA remembers of fragments.

    `size` is the largest datagram that we send after larger ones were lost, `peer_size` the largest
    of the peer's last request that came in fragments: both are None as long as nothing says so.
    """

    incomplete: tuple[Incomplete, ...] = ()
    size: int | None = None
    peer_size: int | None = None

    def find(self, name: Name) -> Incomplete | None:
        """Return what is there of a message."""
        return next((each for each in self.incomplete if each.name == name), None)

    def refuses(self, name: Name, piece: Piece) -> str | None:
        """Return why a fragment is dropped before it is looked at, or None (§2.6)."""
        known = self.find(name)
        if known is None or piece.total > known.total:
            return None
        if piece.total < known.total:
            return f"fragment {piece.number} of {piece.total}, where there are {known.total} now"
        if any(number == piece.number for number, _ in known.chunks):
            return f"fragment {piece.number} of {piece.total} is there already"
        return None

    def stored(self, name: Name, piece: Piece, chunk: bytes, octets: int, now: Instant) -> "Stored":
        """Return what is there with an authentic fragment; a larger total starts anew (§2.6)."""
        known = self.find(name)
        if known is None or piece.total > known.total:
            known = Incomplete(name, piece.total, now + TIMEOUT)
        after = known.with_chunk(piece, chunk, octets)
        others = tuple(each for each in self.incomplete if each.name != name and each.until > now)
        if after.is_whole:
            same = tuple(each for each in others if each.name[:2] != name[:2])
            return Stored(replace(self, incomplete=same), after)
        kept = replace(self, incomplete=(*others, after))
        if kept.octets > OCTETS_MOST or kept.pieces > PIECES_MOST:
            return Stored(replace(self, incomplete=()), None, overflow=True)
        return Stored(kept, None)

    @property
    def octets(self) -> int:
        """How much is stored of all messages."""
        return sum(each.octets for each in self.incomplete)

    @property
    def pieces(self) -> int:
        """How many fragments are stored."""
        return sum(len(each.chunks) for each in self.incomplete)

    def emptied(self) -> "Fragmentation":
        """Return it without any incomplete message."""
        return replace(self, incomplete=())

    def without_late(self, now: Instant) -> "Fragmentation":
        """Return it without the messages that took too long: as if they had never come (§2.6)."""
        kept = tuple(each for each in self.incomplete if each.until > now)
        return replace(self, incomplete=kept)


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a fragment: `whole` is the message that it completes.

    With an `overflow` there was too much, and all that was incomplete is forgotten.
    """

    fragmentation: Fragmentation
    whole: Incomplete | None
    overflow: bool = False

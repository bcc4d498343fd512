# SPDX-License-Identifier: Apache-2.0
"""The IKE header, chains of payloads and whole messages (RFC 7296 §3.1, §3.2; RFC 3948 §2.2)."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from struct import Struct
from typing import Final, TypeVar

from ikeway.model.errors import MalformedError, UsageError
from ikeway.wire.codec import Body, Json, Reader, names, to_plain
from ikeway.wire.payloads import PAYLOADS, Encrypted, EncryptedFragment, Notify, Sealed, Unknown
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType

HEADER_OCTETS: Final = 28
PAYLOADS_MAX: Final = 256
"""How many payloads one chain may have."""
NON_ESP_MARKER: Final = b"\0\0\0\0"
"""What stands before IKE on port 4500, where ESP has its SPI (RFC 3948 §2.2)."""
NAT_KEEPALIVE: Final = b"\xff"
"""What keeps a NAT's mapping; it is no IKE message and has no marker (RFC 3948 §2.3)."""
MAJOR: Final = 2

_HEADER: Final = Struct("!8s8sBBBBII")
_GENERIC: Final = Struct("!BBH")
_CRITICAL: Final = 0x80
_EXCHANGES: Final = names(ExchangeType)
_TYPES: Final = names(PayloadType)
_SEALED: Final[dict[int, type[Encrypted | EncryptedFragment]]] = {
    int(PayloadType.SK): Encrypted,
    int(PayloadType.SKF): EncryptedFragment,
}
_DECODERS: Final = {
    int(one.payload_type): one.decoder for one in PAYLOADS if not issubclass(one, Sealed)
}

B = TypeVar("B", bound=Body)


class Flags(IntFlag):
    """Flags of the IKE header (RFC 7296 §3.1)."""

    INITIATOR = 0x08
    VERSION = 0x10
    RESPONSE = 0x20


_FLAGS: Final = tuple(Flags(octet & 0x38) for octet in range(256))  # the other bits are RESERVED
_flag: Final = int.__and__
"""What `&` of an enum's members does, without making a member."""


@dataclass(frozen=True, slots=True)
class Header:
    """The IKE header, RFC 7296 §3.1. `length` is not compared: the encoder makes it."""

    spi_i: bytes
    spi_r: bytes
    next_payload: PayloadType
    major: int
    minor: int
    exchange: ExchangeType
    flags: Flags
    message_id: int
    length: int = field(default=0, compare=False)

    @classmethod
    def decode(cls, octets: bytes) -> "Header":
        """Return the header of a message of any version and length: `Message.decode` checks those.

        Raises:
            MalformedError: there are fewer than 28 octets.
        """
        if len(octets) < HEADER_OCTETS:
            raise MalformedError(f"{len(octets)} octets are no IKE header")
        spi_i, spi_r, first, version, exchange, flags, message_id, length = _HEADER.unpack_from(
            octets
        )
        return cls(
            spi_i,
            spi_r,
            _TYPES[first],
            version >> 4,
            version & 15,
            _EXCHANGES[exchange],
            _FLAGS[flags],
            message_id,
            length,
        )

    def encode(self) -> bytes:
        """Return the 28 octets.

        Raises:
            UsageError: a field does not fit.
        """
        return self.before(self.next_payload, self.length)

    def before(self, next_payload: PayloadType, length: int) -> bytes:
        """Return the 28 octets as they stand before that payload, in a message of that length.

        Raises:
            UsageError: a field does not fit.
        """
        if len(self.spi_i) != 8 or len(self.spi_r) != 8:
            raise UsageError("an IKE SPI has 8 octets")
        version = self.major << 4 | self.minor
        numbers = (next_payload, version, self.exchange, self.flags, self.message_id)
        try:
            return _HEADER.pack(self.spi_i, self.spi_r, *numbers, length)
        except struct.error as error:
            raise UsageError(f"a field of the header does not fit: {error}") from None

    @property
    def is_response(self) -> bool:
        """Whether the message answers a request."""
        return _flag(self.flags, 0x20) != 0

    @property
    def is_request(self) -> bool:
        """Whether the message asks."""
        return not _flag(self.flags, 0x20)

    @property
    def is_from_initiator(self) -> bool:
        """Whether the sender is the original initiator of the IKE SA."""
        return _flag(self.flags, 0x08) != 0


@dataclass(frozen=True, slots=True)
class Message:
    """A whole IKE message; what is inside an Encrypted payload stays sealed."""

    header: Header
    payloads: tuple[Body, ...]
    _firsts: dict[object, Body] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def build(
        cls,
        spi_i: bytes,
        spi_r: bytes,
        exchange: ExchangeType,
        flags: Flags,
        message_id: int,
        payloads: Sequence[Body],
    ) -> "Message":
        """Return a message of version 2.0; its length is computed when it is encoded."""
        first = payloads[0].kind if payloads else PayloadType.NONE
        header = Header(spi_i, spi_r, first, MAJOR, 0, exchange, flags, message_id)
        return cls(header, tuple(payloads))

    @classmethod
    def decode(cls, octets: bytes) -> "Message":
        """Return the message that a datagram holds, without non-ESP marker.

        Raises:
            MalformedError: not version 2, a wrong length, or a payload that cannot be.
        """
        header = Header.decode(octets)
        if header.major != MAJOR:
            raise MalformedError(f"major version {header.major}")
        if header.length != len(octets):
            raise MalformedError(f"length {header.length} in a message of {len(octets)} octets")
        reader = Reader(octets)
        reader.take(HEADER_OCTETS)
        return cls(header, _decode(header.next_payload, reader, sealed=True))

    def encode(self) -> bytes:
        """Return the octets of the message, with its length and first payload type as they are.

        Raises:
            UsageError: something does not fit its field.
        """
        first, chain = encode_chain(self.payloads)
        return self.header.before(first, HEADER_OCTETS + len(chain)) + chain

    def one(self, kind: type[B]) -> B | None:
        """Return the first payload of a class."""
        return (self._firsts or self._index()).get(kind)  # type: ignore[return-value]

    def all(self, kind: type[B]) -> tuple[B, ...]:
        """Return every payload of a class, in their order."""
        return tuple([body for body in self.payloads if isinstance(body, kind)])

    def notify(self, kind: NotifyType) -> Notify | None:
        """Return the first Notify payload of a type."""
        return (self._firsts or self._index()).get(kind)  # type: ignore[return-value]

    def _index(self) -> dict[object, Body]:
        """Return the first payload of each class, and of each type of Notify, looked for once."""
        firsts = self._firsts
        for body in self.payloads:
            firsts.setdefault(type(body), body)
            if isinstance(body, Notify):
                firsts.setdefault(body.type, body)
        return firsts

    def to_json(self) -> Json:
        """Return the message as values that JSON has."""
        plain: Json = to_plain(self.header)
        plain["flags"] = [flag.name for flag in Flags if flag in self.header.flags]
        plain["payloads"] = [body.to_json() for body in self.payloads]
        return plain


def encode_chain(payloads: Sequence[Body]) -> tuple[PayloadType, bytes]:
    """Return the type of the first payload and the octets of all, each with its generic header.

    Raises:
        UsageError: a value does not fit its field, or something follows an Encrypted payload.
    """
    parts: list[bytes] = []
    following = PayloadType.NONE
    for body in reversed(payloads):
        kind = body.payload_type or body.kind
        if kind in _SEALED:
            following = _inside(body, is_last=not parts)
        try:
            octets = type(body).encoder(body)
            flag = _CRITICAL if body.critical else 0
            parts += (octets, _GENERIC.pack(following, flag, _GENERIC.size + len(octets)))
        except struct.error as error:
            raise UsageError(f"a field of {body!r} does not fit: {error}") from None
        following = kind
    parts.reverse()
    return following, b"".join(parts)


def _inside(body: Body, *, is_last: bool) -> PayloadType:
    """Return the type of the first payload inside, which stands where the next one's would."""
    if not is_last:
        raise UsageError("an Encrypted payload is the last one")
    return body.first if isinstance(body, Sealed) else PayloadType.NONE


def decode_chain(first: int, octets: bytes) -> tuple[Body, ...]:
    """Return the payloads of a chain that was inside an Encrypted payload.

    Raises:
        MalformedError: the octets are no such chain, or hold another Encrypted payload.
    """
    return _decode(first, Reader(octets), sealed=False)


def _decode(first: int, reader: Reader, *, sealed: bool) -> tuple[Body, ...]:
    """Return the payloads to the end of `reader`; `sealed` allows an Encrypted one as the last."""
    bodies: list[Body] = []
    kind = first
    while kind:
        if len(bodies) >= PAYLOADS_MAX:
            raise MalformedError(f"more than {PAYLOADS_MAX} payloads")
        following, flags, outer = reader.part()
        critical = flags >= _CRITICAL
        decoder = _DECODERS.get(kind)
        if decoder is not None:
            bodies.append(decoder(reader, critical))
        elif kind in _SEALED:
            if not sealed:
                raise MalformedError("an Encrypted payload inside another")
            bodies.append(_SEALED[kind].open(_TYPES[following], reader, critical))
            following = 0
        else:
            bodies.append(Unknown(_TYPES[kind], reader.rest(), critical=critical))
        reader.leave(outer)
        kind = following
    if reader.left:
        raise MalformedError(f"{reader.left} octets after the last payload")
    return tuple(bodies)


def with_marker(octets: bytes) -> bytes:
    """Return an IKE message as it travels on port 4500 (RFC 3948 §2.2)."""
    return NON_ESP_MARKER + octets


def without_marker(datagram: bytes) -> bytes | None:
    """Return the IKE message of a datagram on port 4500, or None if it is ESP or a keepalive."""
    return datagram[4:] if datagram.startswith(NON_ESP_MARKER) else None

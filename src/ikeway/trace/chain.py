# SPDX-License-Identifier: Apache-2.0
"""Chains of payloads as far as they can be read (RFC 7296 §3.2): a trace shows broken ones too."""

from dataclasses import dataclass
from typing import Final

from ikeway.model.errors import MalformedError
from ikeway.wire.codec import Body, Json
from ikeway.wire.message import HEADER_OCTETS, Header, Message, decode_chain
from ikeway.wire.registry import PayloadType

_GENERIC_OCTETS: Final = 4


@dataclass(frozen=True, slots=True)
class Broken:
    """What stands where a payload should, and why it is none. The kind NONE is past the last."""

    kind: PayloadType
    data: bytes
    reason: str

    def to_json(self) -> Json:
        """Return it as a payload has itself in JSON."""
        return {"payload": self.kind.name, "broken": self.reason, "data": self.data.hex()}


Part = Body | Broken


def read(header: Header, octets: bytes) -> tuple[tuple[Part, ...], str]:
    """Return the payloads of a message, and what is wrong with it, if anything."""
    try:
        return Message.decode(octets).payloads, ""
    except MalformedError as error:
        return walk(header.next_payload, octets[HEADER_OCTETS:]), f"malformed: {error}"


def walk(first: PayloadType, octets: bytes) -> tuple[Part, ...]:
    """Return every payload of a chain by itself, so that a broken one hides no other."""
    parts: list[Part] = []
    kind, at = first, 0
    while kind:
        size = int.from_bytes(octets[at + 2 : at + _GENERIC_OCTETS])
        piece = octets[at : at + size]
        if size < _GENERIC_OCTETS or len(piece) < size:
            left = octets[at:]
            parts.append(
                Broken(kind, left, f"a length of {size} where {len(left)} octets are left")
            )
            return tuple(parts)
        parts.append(_one(kind, piece))
        kind, at = PayloadType(piece[0]), at + size
    if at < len(octets):
        left = octets[at:]
        parts.append(Broken(kind, left, f"{len(left)} octets after the last payload"))
    return tuple(parts)


def _one(kind: PayloadType, piece: bytes) -> Part:
    try:
        (body,) = decode_chain(kind, b"\0" + piece[1:])
    except MalformedError as error:
        return Broken(kind, piece[_GENERIC_OCTETS:], str(error))
    return body

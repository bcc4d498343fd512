# SPDX-License-Identifier: Apache-2.0
"""Opens SK payloads, and SKF payloads as their fragments come (RFC 7296 §3.14, RFC 7383 §2.6)."""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from ikeway.model.errors import IntegrityError
from ikeway.trace.chain import Broken, Part, walk
from ikeway.trace.keys import IkeSaKeys, KeyStore
from ikeway.trace.opener import Check, Opener
from ikeway.wire.message import Header
from ikeway.wire.payloads import Encrypted, EncryptedFragment
from ikeway.wire.registry import PayloadType

FRAGMENTED_MOST: Final = 64
"""How many fragmented messages may be incomplete; the oldest goes first."""
FRAGMENTED_OCTETS_MOST: Final = 1 << 20


class Sealing(Enum):
    """How far the content of a message can be seen and believed."""

    CLEAR = "clear"
    VERIFIED = "verified"
    UNCHECKED = "unchecked"
    FAILED = "failed"
    NO_KEYS = "no-keys"
    WRONG_KEYS = "wrong-keys"


_BY_CHECK: Final = {
    Check.VERIFIED: Sealing.VERIFIED,
    Check.UNCHECKED: Sealing.UNCHECKED,
    Check.FAILED: Sealing.FAILED,
}


@dataclass(frozen=True, slots=True)
class Content:
    """What was in an Encrypted payload. `waits_for` counts the fragments that have yet to come."""

    sealing: Sealing
    parts: tuple[Part, ...] = ()
    waits_for: int = 0


@dataclass(slots=True)
class _Fragments:
    total: int
    first: PayloadType = PayloadType.NONE
    pieces: dict[int, bytes] = field(default_factory=dict)
    sealing: Sealing = Sealing.VERIFIED


_Key = tuple[bytes, bytes, int, int]


class MessageOpener:
    """All keys at work, and the fragments that wait for others."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._openers: dict[IkeSaKeys, tuple[Opener, Opener]] = {}
        self._fragmented: OrderedDict[_Key, _Fragments] = OrderedDict()

    def open(self, header: Header, octets: bytes, body: Encrypted | EncryptedFragment) -> Content:
        """Return what is in an Encrypted payload, as far as there are keys."""
        rows = self._keys.ike_keys(header.spi_i, header.spi_r)
        if not rows:
            return Content(Sealing.NO_KEYS)
        prefix = octets[: len(octets) - len(body.data)]
        for row in rows:
            opened = self._try(row, header, prefix, body)
            if opened is not None:
                sealing, plaintext = opened
                if isinstance(body, Encrypted):
                    return Content(sealing, walk(body.first, plaintext))
                return self._collect(header, body, sealing, plaintext)
        return Content(Sealing.WRONG_KEYS)

    def _try(
        self,
        row: IkeSaKeys,
        header: Header,
        prefix: bytes,
        body: Encrypted | EncryptedFragment,
    ) -> tuple[Sealing, bytes] | None:
        if row not in self._openers:
            self._openers[row] = row.openers()
        try:
            opened = self._openers[row][not header.is_from_initiator].open(prefix, body.data)
        except IntegrityError:
            return None
        end = len(opened.padded) - 1 - opened.padded[-1]
        if end < 0:
            return None
        plaintext = opened.padded[:end]
        if opened.check is not Check.VERIFIED and not _is_plausible(body, plaintext):
            return None
        return _BY_CHECK[opened.check], plaintext

    def _collect(
        self, header: Header, body: EncryptedFragment, sealing: Sealing, plaintext: bytes
    ) -> Content:
        """Keep a fragment; a larger total starts anew, as the sender then did (RFC 7383 §2.6.1)."""
        key = (header.spi_i, header.spi_r, header.message_id, int(header.flags))
        known = self._fragmented.get(key)
        if known is None or body.total > known.total:
            known = self._fragmented[key] = _Fragments(body.total)
        if body.total < known.total:
            return Content(sealing, waits_for=known.total - len(known.pieces))
        known.pieces.setdefault(body.number, plaintext)
        if body.number == 1:
            known.first = body.first
        known.sealing = sealing if sealing is not Sealing.VERIFIED else known.sealing
        missing = known.total - len(known.pieces)
        if missing:
            self._bound()
            return Content(sealing, waits_for=missing)
        del self._fragmented[key]
        whole = b"".join(known.pieces[at] for at in sorted(known.pieces))
        return Content(known.sealing, walk(known.first, whole))

    def _bound(self) -> None:
        octets = sum(sum(map(len, one.pieces.values())) for one in self._fragmented.values())
        while len(self._fragmented) > FRAGMENTED_MOST or octets > FRAGMENTED_OCTETS_MOST:
            _, gone = self._fragmented.popitem(last=False)
            octets -= sum(map(len, gone.pieces.values()))
            if not self._fragmented:
                break


def _is_plausible(body: Encrypted | EncryptedFragment, plaintext: bytes) -> bool:
    """Whether plaintext that nothing vouches for begins with a payload, as wrong keys' does not."""
    if isinstance(body, EncryptedFragment) and body.number > 1:
        return True
    parts = walk(body.first, plaintext)
    return not parts or not isinstance(parts[0], Broken)

# SPDX-License-Identifier: Apache-2.0
"""What a violation is, and the record of everything sealed: no (key, IV) twice (I7, RFC 5282 §3.1).

A message ID says one thing only: neither side seals two contents under one (RFC 7296 §2.2).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

from ikeway.crypto.protection import DirectionCipher, DirectionKeys, Protection
from ikeway.wire.registry import PayloadType

_NEXT_PAYLOAD: Final = 16
_FLAGS: Final = 19
_FRAGMENT: Final = slice(32, 36)


class Broken(Exception):  # noqa: N818 - it names what it is: an invariant that does not hold
    """An invariant does not hold. `rule` is its name in the design, or one of the reference's."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(rule, what)  # as they are, so that it can leave its process
        self.rule = rule
        self.what = what

    @override
    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass
class Seals:
    """Everything sealed in one world."""

    sealed: int = 0
    _ivs: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    _messages: dict[tuple[bytes, bytes], int] = field(default_factory=dict)

    def record(self, key: bytes, iv: bytes, prefix: bytes, plaintext: bytes) -> None:
        """Note what is being sealed.

        Raises:
            Broken: the IV or the message ID served another content before.
        """
        self.sealed += 1
        content = hash((prefix, plaintext))
        if self._ivs.setdefault((key, iv), content) != content:
            raise Broken("I7", f"IV {iv.hex()} sealed two different messages")
        part = prefix[_FRAGMENT] if prefix[_NEXT_PAYLOAD] == PayloadType.SKF else b""
        name = key, prefix[_FLAGS:24] + part
        if self._messages.setdefault(name, content) != content:
            number = int.from_bytes(prefix[20:24])
            raise Broken("I7", f"message ID {number} was used for two different messages")


@contextmanager
def recording(seals: Seals) -> Iterator[None]:
    """Have all that this process seals recorded."""
    keys: dict[int, tuple[DirectionCipher, bytes]] = {}
    prepare, seal = DirectionCipher.__init__, DirectionCipher.seal

    def prepared(self: DirectionCipher, protection: Protection, known: DirectionKeys) -> None:
        prepare(self, protection, known)
        keys[id(self)] = (self, known.encr.octets)

    def recorded(self: DirectionCipher, iv: bytes, prefix: bytes, plaintext: bytes) -> bytes:
        seals.record(keys[id(self)][1], iv, prefix, plaintext)
        return seal(self, iv, prefix, plaintext)

    DirectionCipher.__init__ = prepared  # type: ignore[method-assign, assignment]
    DirectionCipher.seal = recorded  # type: ignore[method-assign]
    try:
        yield
    finally:
        DirectionCipher.__init__ = prepare  # type: ignore[method-assign]
        DirectionCipher.seal = seal  # type: ignore[method-assign]

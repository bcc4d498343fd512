# SPDX-License-Identifier: Apache-2.0
"""Encrypted payload and Encrypted Fragment payload (RFC 7296 §3.14, RFC 7383 §2.5).

`data` is IV, ciphertext and integrity check value as they travel; what they are worth is decided
where the keys are.
"""

from struct import Struct
from typing import Annotated, Final, Self

from typing_extensions import override

from ikeway.model.errors import MalformedError, UsageError
from ikeway.wire.codec import Body, Reader, Rest, UInt, layout, payload
from ikeway.wire.registry import PayloadType

_NUMBERS: Final = Struct("!HH")


@layout
class Sealed(Body):
    """What SK and SKF share: they are the last payload of their message.

    `first` is the type of the first payload inside. It stands in the Next Payload field, because
    nothing follows that the field could name.
    """

    first: PayloadType

    @override
    @classmethod
    def decode(cls, reader: Reader, critical: bool = False) -> Self:
        raise UsageError(
            f"{cls.__name__} is decoded with `open`, which takes the first type inside"
        )


@payload(PayloadType.SK)
class Encrypted(Sealed):
    """Encrypted payload, RFC 7296 §3.14."""

    data: Annotated[bytes, Rest()]

    @classmethod
    def open(cls, first: PayloadType, reader: Reader, critical: bool) -> Self:
        """Return the body that `reader` stands at; `first` comes from its generic header."""
        return cls(first, reader.rest(), critical=critical)


@payload(PayloadType.SKF)
class EncryptedFragment(Sealed):
    """Encrypted Fragment payload, RFC 7383 §2.5. Fragments are numbered from 1."""

    number: Annotated[int, UInt(2)]
    total: Annotated[int, UInt(2)]
    data: Annotated[bytes, Rest()]

    @classmethod
    def open(cls, first: PayloadType, reader: Reader, critical: bool) -> Self:
        """Return the body that `reader` stands at; `first` comes from its generic header.

        Raises:
            MalformedError: there cannot be such a fragment.
        """
        number, total = reader.unpack(_NUMBERS)
        if not 1 <= number <= total:
            raise MalformedError(f"fragment {number} of {total}")
        return cls(first, number, total, reader.rest(), critical=critical)

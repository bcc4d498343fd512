# SPDX-License-Identifier: Apache-2.0
"""Key Exchange and Nonce payloads (RFC 7296 §3.4, §3.9)."""

from typing import Annotated

from ikeway.wire.codec import Body, Pad, Rest, UInt, payload
from ikeway.wire.registry import KeMethod, PayloadType


@payload(PayloadType.KE)
class KeyExchange(Body):
    """Key Exchange payload, RFC 7296 §3.4."""

    method: Annotated[KeMethod, UInt(2), Pad(2)]
    data: Annotated[bytes, Rest()]


@payload(PayloadType.NONCE)
class Nonce(Body):
    """Nonce payload, RFC 7296 §3.9: 16 to 256 octets."""

    data: Annotated[bytes, Rest(least=16, most=256)]

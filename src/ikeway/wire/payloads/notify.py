# SPDX-License-Identifier: Apache-2.0
"""Notify payload (RFC 7296 §3.10)."""

from dataclasses import field
from typing import Annotated

from ikeway.wire.codec import Body, Rest, Sized, SizeOf, UInt, payload
from ikeway.wire.registry import NotifyType, PayloadType, ProtocolId


@payload(PayloadType.NOTIFY)
class Notify(Body):
    """Notify payload, RFC 7296 §3.10. `protocol` and `spi` name a Child SA, if it is about one."""

    protocol: Annotated[ProtocolId, UInt(1), SizeOf("spi")] = field(
        default=ProtocolId.NONE, kw_only=True
    )
    type: Annotated[NotifyType, UInt(2)]
    spi: Annotated[bytes, Sized()] = field(default=b"", kw_only=True)
    data: Annotated[bytes, Rest()] = b""

# SPDX-License-Identifier: Apache-2.0
"""Authentication payload (RFC 7296 §3.8)."""

from typing import Annotated

from ikeway.wire.codec import Body, Pad, Rest, UInt, payload
from ikeway.wire.registry import AuthMethod, PayloadType


@payload(PayloadType.AUTH)
class Authentication(Body):
    """Authentication payload, RFC 7296 §3.8."""

    method: Annotated[AuthMethod, UInt(1), Pad(3)]
    data: Annotated[bytes, Rest()]

# SPDX-License-Identifier: Apache-2.0
"""Vendor ID payload (RFC 7296 §3.12)."""

from typing import Annotated

from ikeway.wire.codec import Body, Rest, payload
from ikeway.wire.registry import PayloadType


@payload(PayloadType.VENDOR)
class VendorId(Body):
    """Vendor ID payload, RFC 7296 §3.12: any octets, even none."""

    data: Annotated[bytes, Rest()]

# SPDX-License-Identifier: Apache-2.0
"""MD5 and HMAC-MD5, for the protocols that have nothing else: RADIUS (RFC 2865 §3, RFC 3579 §3.2).

Nothing of IKE or ESP is protected by either.
"""

import hashlib
import hmac
from typing import Final

OCTETS: Final = 16


def md5(*parts: bytes) -> bytes:
    """Return the digest of the parts in order, 16 octets."""
    return hashlib.md5(b"".join(parts), usedforsecurity=False).digest()


def hmac_md5(key: bytes, *parts: bytes) -> bytes:
    """Return the code over the parts in order, 16 octets (RFC 2104)."""
    return hmac.digest(key, b"".join(parts), "md5")

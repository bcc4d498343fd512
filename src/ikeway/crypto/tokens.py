# SPDX-License-Identifier: Apache-2.0
"""Codes that only their maker verifies: cookies (RFC 7296 §2.6), crash tokens (RFC 6290 §5.1).

BLAKE2s with a key (RFC 7693) is a MAC without HMAC's second pass: strangers make us compute these.
"""

import hashlib
from typing import Final

from ikeway.crypto.mac import require_equal
from ikeway.model.secret import Secret

SECRET_OCTETS: Final = 32
CODE_OCTETS: Final = 16


def code(secret: Secret, data: bytes) -> bytes:
    """Return the 16 octets that prove that whoever has the secret has seen `data`."""
    return hashlib.blake2s(data, key=secret.octets, digest_size=CODE_OCTETS).digest()


def check_code(secret: Secret, data: bytes, seen: bytes, what: str) -> None:
    """Check in constant time that `seen` is the code of `data`.

    Raises:
        IntegrityError: it is another one.
    """
    require_equal(code(secret, data), seen, what)

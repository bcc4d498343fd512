# SPDX-License-Identifier: Apache-2.0
"""Nonces of exchanges (RFC 7296 §2.10), and what the lowest one decides (§2.8.1)."""

NONCE_OCTETS = 32
"""At least half the key size of every PRF that we offer (§2.10)."""


def lowest(nonce_i: bytes, nonce_r: bytes) -> bytes:
    """Return the lower nonce of an exchange: octet by octet, a prefix before what it begins."""
    return min(nonce_i, nonce_r)

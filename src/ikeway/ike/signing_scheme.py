# SPDX-License-Identifier: Apache-2.0
"""How an AUTH of ours is signed (RFC 7296 §3.8, RFC 7427)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SigningScheme:
    """The authentication method of our AUTH and the signature scheme behind it."""

    method: int
    scheme: str

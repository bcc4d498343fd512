# SPDX-License-Identifier: Apache-2.0
"""How an AUTH of ours is signed (RFC 7296 §3.8, RFC 7427)."""

from dataclasses import dataclass

from ikeway.policy.credentials import LocalCertificate, LocalKey


@dataclass(frozen=True, slots=True)
class SigningScheme:
    """The authentication method of our AUTH, the signature scheme behind it, and with which key."""

    method: int
    scheme: str
    own: LocalCertificate | LocalKey

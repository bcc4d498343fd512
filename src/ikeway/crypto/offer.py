# SPDX-License-Identifier: Apache-2.0
"""The first half of a key exchange, whatever its method (RFC 7296 §1.2)."""

from dataclasses import dataclass

from ikeway.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Offer:
    """What the initiator sends, and what it keeps until the answer comes."""

    public: bytes
    private: Secret

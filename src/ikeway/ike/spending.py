# SPDX-License-Identifier: Apache-2.0
"""How much a Child SA may carry (RFC 7296 §2.8, RFC 4303 §3.3.3, RFC 8247 §1, NIST SP 800-38D)."""

import math
from typing import Final

from ikeway.crypto.random import Random
from ikeway.ike.children import soft_limit
from ikeway.model.esp import EspSuite, Limits
from ikeway.policy.lifetimes import Lifetimes

SEQUENCE_LAST: Final = 2**32 - 1
"""Without extended sequence numbers the last packet has this one, and none may follow it."""
SEQUENCE_LAST_EXTENDED: Final = 2**64 - 1

_3DES: Final = 3
_WITHOUT_BLOCKS: Final = frozenset({0, 11, 21, 28, 31})
"""AH, NULL and AES-GMAC encrypt nothing; ChaCha20 is no block cipher that is told from chance."""
_OCTETS_AES: Final = 2**40
"""2^36 blocks of 128 bits: chance of a telling collision 2^-57 (as RFC 8446 §5.5 counts)."""
_OCTETS_3DES: Final = 2**29
"""2^26 blocks of 64 bits (RFC 8221 §5, Sweet32)."""

_SLACK: Final = 0.25
_SLACK_OCTETS: Final = 256 << 20
_SLACK_PACKETS: Final = 1 << 18
_RESERVE: Final = 0.125
"""The part of what the algorithms allow that is kept for the time that replacing takes."""


def limits(lifetimes: Lifetimes, suite: EspSuite, random: Random) -> Limits:
    """Return when a new Child SA is to be replaced, and when it stops, by packets and octets.

    What is configured has room behind it for the rekey; what the algorithms allow has it before.
    """
    soft_packets, hard_packets = _bounds(
        lifetimes.child_packets, _SLACK_PACKETS, _packets_most(suite)
    )
    soft_octets, hard_octets = _bounds(lifetimes.child_octets, _SLACK_OCTETS, _octets_most(suite))
    jitter = lifetimes.jitter
    return Limits(
        soft_packets=math.ceil(soft_limit(soft_packets, jitter, random)),
        soft_octets=math.ceil(soft_limit(soft_octets, jitter, random)),
        hard_packets=hard_packets,
        hard_octets=hard_octets,
    )


def _bounds(wanted: int, slack: int, most: int) -> tuple[int, int]:
    """Return a soft limit, not yet cut, and the hard one; 0 is none."""
    soft = int(most * (1.0 - _RESERVE))
    if wanted and (not most or wanted < soft):
        soft = wanted
    hard = int(wanted * (1.0 + _SLACK)) + slack if wanted else 0
    return soft, min((bound for bound in (hard, most) if bound), default=0)


def _packets_most(suite: EspSuite) -> int:
    """Return how many packets have a sequence number, which is also the IV of AEAD ciphers.

    The message counters of AES-GCM, AES-CCM and ChaCha20-Poly1305 (2^64) never end before it.
    """
    return SEQUENCE_LAST_EXTENDED if suite.esn else SEQUENCE_LAST


def _octets_most(suite: EspSuite) -> int:
    if suite.encr in _WITHOUT_BLOCKS:
        return 0
    return _OCTETS_3DES if suite.encr == _3DES else _OCTETS_AES

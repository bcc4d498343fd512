# SPDX-License-Identifier: Apache-2.0
"""The keys of EAP-AKA and EAP-AKA' (RFC 4187 §7 and appendix A, RFC 9048 §3.3)."""

import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import Final

from ikeway.model.errors import AuthenticationError
from ikeway.model.secret import Secret

MAC_OCTETS: Final = 16
_MASK: Final = 0xFFFFFFFF
_WORD: Final = 1 << 160
_START: Final = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
_ROUNDS: Final = (0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6)


@dataclass(frozen=True, slots=True)
class AkaKeys:
    """What protects the messages, and the MSK. `hash_name` is of AT_MAC."""

    k_aut: Secret
    msk: Secret
    hash_name: str

    def mac(self, packet: bytes) -> bytes:
        """Return AT_MAC over a packet in which it is zero."""
        return hmac.digest(self.k_aut.octets, packet, self.hash_name)[:MAC_OCTETS]

    def check(self, packet: bytes, seen: bytes) -> None:
        """Check AT_MAC in constant time.

        Raises:
            AuthenticationError: it is wrong.
        """
        if not hmac.compare_digest(self.mac(packet), seen):
            raise AuthenticationError("EAP-AKA: AT_MAC is wrong")


def aka_keys(identity: bytes, ck: bytes, ik: bytes) -> AkaKeys:
    """Return the keys of EAP-AKA."""
    master = hashlib.sha1(identity + ik + ck, usedforsecurity=False).digest()
    octets = prf(master, 160)
    return AkaKeys(Secret(octets[16:32]), Secret(octets[32:96]), "sha1")


def aka_prime_keys(identity: bytes, ck_prime: bytes, ik_prime: bytes) -> AkaKeys:
    """Return the keys of EAP-AKA', of the CK' and IK' of a network."""
    octets = prf_prime(ik_prime + ck_prime, b"EAP-AKA'" + identity, 208)
    return AkaKeys(Secret(octets[16:48]), Secret(octets[80:144]), "sha256")


def bound_to_network(
    ck: bytes, ik: bytes, network: bytes, hidden_sqn: bytes
) -> tuple[bytes, bytes]:
    """Return CK' and IK', which are of no use in another network (3GPP TS 33.402 annex A)."""
    parts = (network, hidden_sqn)
    text = b"\x20" + b"".join(part + len(part).to_bytes(2) for part in parts)
    octets = hmac.digest(ck + ik, text, "sha256")
    return octets[:16], octets[16:]


def prf(key: bytes, octets: int) -> bytes:
    """Return octets of the generator of FIPS 186-2, change notice 1 (RFC 4187 appendix A)."""
    state, found = int.from_bytes(key), b""
    while len(found) < octets:
        word = _compress(state.to_bytes(20))
        state = (1 + state + int.from_bytes(word)) % _WORD
        found += word
    return found[:octets]


def prf_prime(key: bytes, text: bytes, octets: int) -> bytes:
    """Return octets of PRF' (RFC 9048 §3.4.1)."""
    block, found = b"", b""
    while len(found) < octets:
        block = hmac.digest(key, block + text + bytes([len(found) // 32 + 1]), "sha256")
        found += block
    return found[:octets]


def _compress(seed: bytes) -> bytes:
    """Return SHA-1's inner function of a block with the seed and zeros, without any padding."""
    words = list(struct.unpack(">16I", seed.ljust(64, b"\0")))
    for at in range(16, 80):
        words.append(_turn(words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16], 1))
    a, b, c, d, e = _START
    for at, word in enumerate(words):
        mixed = (_turn(a, 5) + _choice(at // 20, b, c, d) + e + word + _ROUNDS[at // 20]) & _MASK
        a, b, c, d, e = mixed, a, _turn(b, 30), c, d
    sums = zip(_START, (a, b, c, d, e), strict=True)
    return struct.pack(">5I", *((one + two) & _MASK for one, two in sums))


def _choice(phase: int, b: int, c: int, d: int) -> int:
    if phase == 0:
        return (b & c) | (~b & d)
    if phase == 2:
        return (b & c) | (b & d) | (c & d)
    return b ^ c ^ d


def _turn(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & _MASK

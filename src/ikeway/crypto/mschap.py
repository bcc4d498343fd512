# SPDX-License-Identifier: Apache-2.0
"""MS-CHAPv2's functions (RFC 2759 §8) and the keys that MPPE draws from it (RFC 3079 §3).

The user's secret is its NT hash: who has that needs no password.
"""

import hashlib
from hmac import compare_digest
from typing import Final

from ikeway._engine import des_encrypt, md4
from ikeway.model.errors import AuthenticationError
from ikeway.model.secret import Secret

CHALLENGE_OCTETS: Final = 16
RESPONSE_OCTETS: Final = 24
KEY_OCTETS: Final = 16
_PAD: Final = 40

_SIGNED: Final = b"Magic server to client signing constant"
_ITERATED: Final = b"Pad to make it do more than one iteration"
_MASTER: Final = b"This is the MPPE Master Key"
_CLIENT_SENDS: Final = (
    b"On the client side, this is the send key; on the server side, it is the receive key."
)
_SERVER_SENDS: Final = (
    b"On the client side, this is the receive key; on the server side, it is the send key."
)


def nt_hash(password: Secret) -> Secret:
    """Return NtPasswordHash(): MD4 over the password in UTF-16, 16 octets; it comes in UTF-8.

    Raises:
        AuthenticationError: it is not UTF-8.
    """
    try:
        return Secret(md4(password.octets.decode().encode("utf-16-le")))
    except UnicodeDecodeError as error:
        raise AuthenticationError("a password for MS-CHAPv2 has to be text in UTF-8") from error


def nt_response(
    authenticator_challenge: bytes, peer_challenge: bytes, user: bytes, nt: Secret
) -> bytes:
    """Return GenerateNTResponse(): what proves the password, 24 octets.

    Both challenges have 16 octets; `user` is the name as the peer gave it, without a domain.
    """
    challenge = _challenge(authenticator_challenge, peer_challenge, user)
    keys = nt.octets.ljust(21, b"\0")
    thirds = (keys[at : at + 7] for at in range(0, 21, 7))
    return b"".join(des_encrypt(_with_parity(third), challenge) for third in thirds)


def authenticator_response(
    authenticator_challenge: bytes, peer_challenge: bytes, user: bytes, nt: Secret
) -> bytes:
    """Return GenerateAuthenticatorResponse(): what proves that the server knows it too."""
    proof = nt_response(authenticator_challenge, peer_challenge, user, nt)
    digest = _sha1(md4(nt.octets), proof, _SIGNED)
    challenge = _challenge(authenticator_challenge, peer_challenge, user)
    return b"S=" + _sha1(digest, challenge, _ITERATED).hex().upper().encode()


def check(expected: bytes, seen: bytes, whose: str) -> None:
    """Compare two proofs in constant time.

    Raises:
        AuthenticationError: they differ.
    """
    if not compare_digest(expected, seen):
        raise AuthenticationError(f"the {whose} does not know the password")


def master_session_key(nt: Secret, proof: bytes) -> Secret:
    """Return the MSK of 64 octets: the key that the client sends with, then the server's."""
    master = _sha1(md4(nt.octets), proof, _MASTER)[:KEY_OCTETS]
    sent = _start_key(master, _CLIENT_SENDS)
    received = _start_key(master, _SERVER_SENDS)
    return Secret((sent + received).ljust(64, b"\0"))


def _start_key(master: bytes, whose: bytes) -> bytes:
    """Return GetAsymmetricStartKey() for 128 bits (RFC 3079 §3.4)."""
    return _sha1(master, bytes(_PAD), whose, b"\xf2" * _PAD)[:KEY_OCTETS]


def _challenge(authenticator: bytes, peer: bytes, user: bytes) -> bytes:
    return _sha1(peer, authenticator, user)[:8]


def _sha1(*parts: bytes) -> bytes:
    return hashlib.sha1(b"".join(parts), usedforsecurity=False).digest()


def _with_parity(raw: bytes) -> bytes:
    """Return the 56 bits of a DES key with room for parity, which DES does not look at."""
    bits = int.from_bytes(raw)
    return bytes((bits >> (49 - 7 * place) & 0x7F) << 1 for place in range(8))

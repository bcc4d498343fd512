# SPDX-License-Identifier: Apache-2.0
"""Authentication with a shared key, and the octets that every method signs (RFC 7296 §2.15)."""

from typing import Final

from ikeway.crypto.prf import Prf
from ikeway.model.errors import AuthenticationError, IntegrityError
from ikeway.model.secret import Secret

AUTH_METHOD: Final = 2
"""Shared Key Message Integrity Code (RFC 7296 §3.8)."""
_KEY_PAD: Final = b"Key Pad for IKEv2"


def auth_octets(message: bytes, nonce: bytes, prf: Prf, sk_p: bytes, id_body: bytes) -> bytes:
    """Return what a side signs: its first message, the peer's nonce, and the MAC of its identity.

    `message` is the IKE_SA_INIT message as it was sent, from SPIi on and without non-ESP marker.
    `nonce` is the body of the peer's Nonce payload. `id_body` is the body of the side's own
    Identification payload, RESERVED octets included. `sk_p` is SK_pi or SK_pr, the side's own.
    """
    return message + nonce + prf.compute(sk_p, id_body)


def compute(prf: Prf, shared_key: Secret, octets: bytes) -> bytes:
    """Return the Authentication Data: prf(prf(shared key, "Key Pad for IKEv2"), octets)."""
    return prf.compute(_padded(prf, shared_key), octets)


def verify(prf: Prf, shared_key: Secret, octets: bytes, data: bytes) -> None:
    """Check the peer's Authentication Data in constant time.

    Raises:
        AuthenticationError: the peer has another key, or signed other octets.
    """
    try:
        prf.verify(_padded(prf, shared_key), octets, data)
    except IntegrityError as error:
        raise AuthenticationError("the shared key does not match") from error


def _padded(prf: Prf, shared_key: Secret) -> bytes:
    return prf.compute(shared_key.octets, _KEY_PAD)

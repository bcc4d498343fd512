# SPDX-License-Identifier: Apache-2.0
"""Sealing what only we shall read again: tickets (RFC 5723 §6.1), passwords at rest.

Each seal has a key of its own, made from the secret and a nonce, so that no IV ever repeats.
"""

import hashlib
from typing import Final

from ikeway.crypto.encr import Encryption, encryption
from ikeway.crypto.tokens import code
from ikeway.model.secret import Secret

ID_OCTETS: Final = 8
NONCE_OCTETS: Final = 16

_AES_GCM_16: Final = 20
_PERSON: Final = b"ikeway ticket"


def key_id(secret: Secret) -> bytes:
    """Return what names a secret without telling anything of it."""
    return code(secret, _PERSON)[:ID_OCTETS]


def seal(secret: Secret, nonce: bytes, head: bytes, plaintext: bytes) -> bytes:
    """Return the ciphertext and its integrity check value; `head` is protected from change."""
    cipher, key = _keyed(secret, nonce)
    return cipher.encrypt(key, bytes(cipher.iv_octets), plaintext, head)


def unseal(secret: Secret, nonce: bytes, head: bytes, sealed: bytes) -> bytes:
    """Return the plaintext.

    Raises:
        IntegrityError: anything of it is other than it was.
    """
    cipher, key = _keyed(secret, nonce)
    return cipher.decrypt(key, bytes(cipher.iv_octets), sealed, head)


def _keyed(secret: Secret, nonce: bytes) -> tuple[Encryption, bytes]:
    cipher = encryption(_AES_GCM_16, 256)
    made = hashlib.blake2b(nonce, key=secret.octets, digest_size=cipher.key_octets)
    return cipher, made.digest()

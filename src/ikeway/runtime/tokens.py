# SPDX-License-Identifier: Apache-2.0
"""Private keys in PKCS#11 tokens: they sign there, and never come here (RFC 7296 §2.15).

A token is slow and may be pulled out, so it is asked in a thread of its own, and asked once more
with a fresh session where that may help.
"""

import hashlib
import threading
from contextlib import suppress
from typing import Any, Final

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.sign import SCHEMES, Scheme, SignatureHash, verify
from ikeway.crypto.signers import Ecdsa, EcdsaRaw, Pkcs1, Pss, ecdsa_der
from ikeway.model.errors import AuthenticationError, HostError
from ikeway.policy.token_key import TokenKey

_HASHES: Final = {
    SignatureHash.SHA1: "SHA1",
    SignatureHash.SHA2_256: "SHA256",
    SignatureHash.SHA2_384: "SHA384",
    SignatureHash.SHA2_512: "SHA512",
}


class Token:
    """One key of a token. `leaf` is the certificate that belongs to it."""

    def __init__(self, key: TokenKey, leaf: Certificate) -> None:
        self._key = key
        self._leaf = leaf
        self._lock = threading.Lock()
        self._session: Any = None
        self._handle: Any = None

    @classmethod
    def open(cls, key: TokenKey, leaf: Certificate) -> "Token":
        """Return the key, once it has signed something that the certificate verifies.

        Raises:
            HostError: the module, the token or the key is not to be had, or another one.
        """
        token = cls(key, leaf)
        scheme = _first_scheme(leaf)
        signature = token.sign(scheme, b"ikeway")
        try:
            verify(leaf.public_key, scheme, b"ikeway", signature)
        except AuthenticationError as error:
            token.close()
            raise HostError(
                f"the key {key.label or key.id!r} in the token is not that of {leaf.subject}"
            ) from error
        return token

    def sign(self, scheme: Scheme, octets: bytes) -> bytes:
        """Return the signature that the token makes. It blocks for as long as the token takes.

        Raises:
            HostError: the token does not.
        """
        try:
            from pkcs11.exceptions import PKCS11Error
        except ImportError as error:
            raise HostError(
                "keys in tokens need the package python-pkcs11: pip install 'ikeway[pkcs11]'"
            ) from error

        with self._lock:
            for is_last in (False, True):
                try:
                    if self._handle is None:
                        self._begin()
                    return _sign(self._handle, scheme, octets)
                except PKCS11Error as error:
                    self._end()
                    if is_last:
                        name = type(error).__name__
                        raise HostError(f"the token {self._key.token}: {name} {error}") from error
        raise AssertionError  # pragma: no cover - the loop has returned or raised

    def _begin(self) -> None:
        import pkcs11
        from pkcs11.exceptions import UserAlreadyLoggedIn

        key = self._key
        try:
            module = pkcs11.lib(key.module)
        except RuntimeError as error:
            raise HostError(f"the PKCS#11 module {key.module}: {error}") from error
        if self._session is not None:
            module.reinitialize()
        wanted = {"token_label": key.token, "token_serial": key.serial and key.serial.encode()}
        token = module.get_token(**{name: value for name, value in wanted.items() if value})
        pin = key.pin.octets.decode() if key.pin else None
        try:
            self._session = token.open(user_pin=pin)
        except UserAlreadyLoggedIn:  # another key of ours is in use: a login is for all of them
            self._session = token.open()
        self._handle = self._session.get_key(
            object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=key.label, id=key.id
        )

    def _end(self) -> None:
        from pkcs11.exceptions import PKCS11Error

        self._handle = None
        if self._session is not None:
            with suppress(PKCS11Error):
                self._session.close()

    def close(self) -> None:
        """Leave the token."""
        with self._lock:
            self._end()
            self._session = None


def _first_scheme(leaf: Certificate) -> Scheme:
    """Return a scheme for the certificate's key, to try the token with."""
    algorithm = leaf.public_key.algorithm
    return next(row for row in SCHEMES if algorithm in row.algorithms)


def _sign(key: Any, scheme: Scheme, octets: bytes) -> bytes:
    """Return the signature of a scheme by the mechanism that makes it."""
    from pkcs11 import MGF, Mechanism

    name = _HASHES.get(scheme.hash, "")
    match scheme.signer:
        case Pss():
            salt = hashlib.new(name).digest_size
            how = (Mechanism[name], MGF[name], salt)
            mechanism = Mechanism[f"{name}_RSA_PKCS_PSS"]
            return bytes(key.sign(octets, mechanism=mechanism, mechanism_param=how))
        case Pkcs1():
            return bytes(key.sign(octets, mechanism=Mechanism[f"{name}_RSA_PKCS"]))
        case Ecdsa() as signer:
            digest = hashlib.new(name, octets).digest()
            raw = bytes(key.sign(digest, mechanism=Mechanism.ECDSA))
            return raw if isinstance(signer, EcdsaRaw) else ecdsa_der(raw)
        case _:
            is_lattice = scheme.name.startswith("ML_DSA")
            mechanism = Mechanism.ML_DSA if is_lattice else Mechanism.EDDSA
            return bytes(key.sign(octets, mechanism=mechanism))

# SPDX-License-Identifier: Apache-2.0
"""Public and private keys for signatures (RFC 7296 §2.15, RFC 8420, RFC 9881; RFC 8247 §3)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.model.errors import AuthenticationError, ConfigError
from ikeway.model.secret import Secret

FixedHandle: TypeAlias = (
    ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)
PublicHandle: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | FixedHandle
PrivateHandle: TypeAlias = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)

RSA_BITS: Final = range(2048, 8192 + 1)
"""Shorter RSA keys are weak (RFC 8247 §3.1); longer ones are a way to keep us busy."""
_RSA_EXPONENTS: Final = range(1 << 16, 1 << 33)
"""FIPS 186-5 §5.4, with a smaller upper end that bounds the work. They are odd."""


_CURVES: Final = {
    "secp256r1": KeyAlgorithm.ECDSA_256,
    "secp384r1": KeyAlgorithm.ECDSA_384,
    "secp521r1": KeyAlgorithm.ECDSA_521,
}


_FIXED: Final[dict[type[FixedHandle], KeyAlgorithm]] = {
    ed25519.Ed25519PublicKey: KeyAlgorithm.ED25519,
    ed448.Ed448PublicKey: KeyAlgorithm.ED448,
    mldsa.MLDSA44PublicKey: KeyAlgorithm.MLDSA_44,
    mldsa.MLDSA65PublicKey: KeyAlgorithm.MLDSA_65,
    mldsa.MLDSA87PublicKey: KeyAlgorithm.MLDSA_87,
}
"""Kinds of key that leave nothing to choose."""


_FRESH_RSA_BITS: Final = 3072
_GENERATE: Final[dict[KeyAlgorithm, Callable[[], PrivateHandle]]] = {
    KeyAlgorithm.RSA: lambda: rsa.generate_private_key(65537, _FRESH_RSA_BITS),
    KeyAlgorithm.ECDSA_256: lambda: ec.generate_private_key(ec.SECP256R1()),
    KeyAlgorithm.ECDSA_384: lambda: ec.generate_private_key(ec.SECP384R1()),
    KeyAlgorithm.ECDSA_521: lambda: ec.generate_private_key(ec.SECP521R1()),
    KeyAlgorithm.ED25519: ed25519.Ed25519PrivateKey.generate,
    KeyAlgorithm.ED448: ed448.Ed448PrivateKey.generate,
    KeyAlgorithm.MLDSA_44: mldsa.MLDSA44PrivateKey.generate,
    KeyAlgorithm.MLDSA_65: mldsa.MLDSA65PrivateKey.generate,
    KeyAlgorithm.MLDSA_87: mldsa.MLDSA87PrivateKey.generate,
}
_DIGESTS: Final[dict[KeyAlgorithm, hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    KeyAlgorithm.RSA: hashes.SHA256(),
    KeyAlgorithm.ECDSA_256: hashes.SHA256(),
    KeyAlgorithm.ECDSA_384: hashes.SHA384(),
    KeyAlgorithm.ECDSA_521: hashes.SHA512(),
}
"""What is hashed before it is signed; other algorithms sign the message itself."""


@dataclass(frozen=True)
class PublicKey:
    """A public key that passed our checks. `der` is its SubjectPublicKeyInfo."""

    algorithm: KeyAlgorithm
    handle: PublicHandle

    @classmethod
    def of(cls, handle: object) -> "PublicKey":
        """Return the key of a pyca object.

        Raises:
            AuthenticationError: a kind of key that we do not use, or a weak one.
        """
        if isinstance(handle, rsa.RSAPublicKey):
            _check_rsa(handle.public_numbers())
            return cls(KeyAlgorithm.RSA, handle)
        if isinstance(handle, ec.EllipticCurvePublicKey) and handle.curve.name in _CURVES:
            return cls(_CURVES[handle.curve.name], handle)
        for kind, algorithm in _FIXED.items():
            if isinstance(handle, kind):
                return cls(algorithm, handle)
        raise AuthenticationError(f"a kind of public key that we do not use: {handle!r}")

    @classmethod
    def load(cls, octets: bytes) -> "PublicKey":
        """Return the key of a SubjectPublicKeyInfo, in DER or PEM.

        Raises:
            AuthenticationError: not a key, a kind that we do not use, or a weak one.
        """
        load = load_pem_public_key if _is_pem(octets) else load_der_public_key
        try:
            handle = load(octets)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise AuthenticationError(f"no public key that we can use: {error}") from error
        return cls.of(handle)

    @cached_property
    def der(self) -> bytes:
        """The SubjectPublicKeyInfo."""
        return self.handle.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def pem(self) -> bytes:
        """Return its SubjectPublicKeyInfo in PEM."""
        return self.handle.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True)
class PrivateKey:
    """A private key. Nothing of it is in its text form."""

    algorithm: KeyAlgorithm
    handle: PrivateHandle

    @classmethod
    def of(cls, handle: object) -> "PrivateKey":
        """Return the key of a pyca object.

        Raises:
            ConfigError: a kind of key that we do not use, or a weak one.
        """
        if not isinstance(handle, PrivateHandle):
            raise ConfigError(f"a kind of private key that we do not use: {type(handle).__name__}")
        try:
            return cls(PublicKey.of(handle.public_key()).algorithm, handle)
        except AuthenticationError as error:
            raise ConfigError(f"the private key: {error.reason}") from error

    @classmethod
    def load(cls, octets: bytes, password: Secret | None = None) -> "PrivateKey":
        """Return the key in a PEM or DER file: PKCS#8, PKCS#1 or SEC 1.

        Raises:
            ConfigError: not a key, a wrong or missing password, a kind that we do not use.
        """
        load = load_pem_private_key if _is_pem(octets) else load_der_private_key
        try:
            handle = load(octets, password.octets if password else None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"no private key that we can use: {error}") from error
        return cls.of(handle)

    @cached_property
    def public(self) -> PublicKey:
        """The public key that belongs to it."""
        return PublicKey.of(self.handle.public_key())

    @property
    def digest(self) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
        """What is hashed of a certificate before the key signs it; None signs it whole."""
        return _DIGESTS.get(self.algorithm)

    def pem(self, password: Secret | None = None) -> bytes:
        """Return the key as PKCS#8 in PEM, encrypted if there is a password."""
        protection = BestAvailableEncryption(password.octets) if password else NoEncryption()
        return self.handle.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def generate_key(algorithm: KeyAlgorithm) -> PrivateKey:
    """Return a fresh key, of OpenSSL's own random source."""
    return PrivateKey.of(_GENERATE[algorithm]())


def _is_pem(octets: bytes) -> bool:
    return b"-----BEGIN" in octets


def _check_rsa(key: rsa.RSAPublicNumbers) -> None:
    bits = key.n.bit_length()
    if bits not in RSA_BITS:
        raise AuthenticationError(f"an RSA key of {bits} bits, not {RSA_BITS[0]} to {RSA_BITS[-1]}")
    if key.e not in _RSA_EXPONENTS or key.e % 2 == 0 or key.n % 2 == 0:
        raise AuthenticationError(f"an RSA key with the public exponent {key.e}")

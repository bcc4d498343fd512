# SPDX-License-Identifier: Apache-2.0
"""Signature families behind the scheme rows (RFC 8017, RFC 4754, RFC 8032)."""

from typing import Protocol, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import HashAlgorithm
from typing_extensions import override

from ikeway.crypto.keypair import PrivateHandle, PublicHandle


class Signer(Protocol):
    """How a scheme computes. The row has checked that the key is of the right kind."""

    def sign(self, key: PrivateHandle, octets: bytes) -> bytes:
        """Return the signature over the octets."""
        ...

    def verify(self, key: PublicHandle, octets: bytes, signature: bytes) -> None:
        """Check the signature over the octets.

        Raises:
            InvalidSignature: it is wrong.
        """
        ...


class Pkcs1:
    """RSASSA-PKCS1-v1_5, RFC 8017 §8.2."""

    def __init__(self, digest: HashAlgorithm) -> None:
        self._digest = digest

    def padding(self) -> AsymmetricPadding:
        """Return how the hash is padded."""
        return PKCS1v15()

    def sign(self, key: PrivateHandle, octets: bytes) -> bytes:
        """Return the signature over the octets."""
        return cast("rsa.RSAPrivateKey", key).sign(octets, self.padding(), self._digest)

    def verify(self, key: PublicHandle, octets: bytes, signature: bytes) -> None:
        """Check the signature over the octets.

        Raises:
            InvalidSignature: it is wrong.
        """
        cast("rsa.RSAPublicKey", key).verify(signature, octets, self.padding(), self._digest)


class Pss(Pkcs1):
    """RSASSA-PSS, RFC 8017 §8.1: MGF1 with the same hash, and a salt as long as the hash."""

    @override
    def padding(self) -> AsymmetricPadding:
        """Return how the hash is padded."""
        return PSS(MGF1(self._digest), salt_length=self._digest.digest_size)


class Ecdsa:
    """ECDSA with a DER signature, RFC 5758 §3.2."""

    def __init__(self, digest: HashAlgorithm) -> None:
        self._digest = digest

    def sign(self, key: PrivateHandle, octets: bytes) -> bytes:
        """Return the signature over the octets."""
        return cast("ec.EllipticCurvePrivateKey", key).sign(octets, ec.ECDSA(self._digest))

    def verify(self, key: PublicHandle, octets: bytes, signature: bytes) -> None:
        """Check the signature over the octets.

        Raises:
            InvalidSignature: it is wrong.
        """
        cast("ec.EllipticCurvePublicKey", key).verify(signature, octets, ec.ECDSA(self._digest))


class EcdsaRaw(Ecdsa):
    """ECDSA with r | s, each as long as the order of the curve, RFC 4754 §7."""

    @override
    def sign(self, key: PrivateHandle, octets: bytes) -> bytes:
        """Return the signature over the octets."""
        r, s = decode_dss_signature(super().sign(key, octets))
        half = _order_octets(key)
        return r.to_bytes(half) + s.to_bytes(half)

    @override
    def verify(self, key: PublicHandle, octets: bytes, signature: bytes) -> None:
        """Check the signature over the octets.

        Raises:
            InvalidSignature: it is wrong, or not exactly two numbers long.
        """
        half = _order_octets(key)
        if len(signature) != 2 * half:
            raise InvalidSignature
        r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
        super().verify(key, octets, encode_dss_signature(r, s))


class WholeMessage:
    """Ed25519, Ed448 (RFC 8420 §2) and ML-DSA (RFC 9881), pure and without context.

    These kinds of key all work alike.
    """

    def sign(self, key: PrivateHandle, octets: bytes) -> bytes:
        """Return the signature over the octets."""
        return cast("ed25519.Ed25519PrivateKey", key).sign(octets)

    def verify(self, key: PublicHandle, octets: bytes, signature: bytes) -> None:
        """Check the signature over the octets.

        Raises:
            InvalidSignature: it is wrong.
        """
        cast("ed25519.Ed25519PublicKey", key).verify(signature, octets)


def ecdsa_der(raw: bytes) -> bytes:
    """Return r | s as the DER signature of RFC 5758 §3.2; tokens give the former."""
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))


def _order_octets(key: PrivateHandle | PublicHandle) -> int:
    curve_key = cast("ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey", key)
    return (curve_key.curve.group_order.bit_length() + 7) // 8

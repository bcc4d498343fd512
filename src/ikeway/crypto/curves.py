# SPDX-License-Identifier: Apache-2.0
"""Diffie-Hellman over elliptic curves (RFC 5903, RFC 8031, RFC 7748; checks of RFC 6989 §2.3)."""

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typing_extensions import override

from ikeway._engine import x25519
from ikeway.crypto.random import Random
from ikeway.model.errors import InvalidPublicValueError
from ikeway.model.secret import Secret

_UNCOMPRESSED: Final = b"\x04"
"""The first octet of a point in SEC 1; IKE leaves it out (RFC 5903 §7)."""


@dataclass(frozen=True, slots=True)
class Ecp:
    """A group of prime order over the integers modulo a prime. Values are x | y, secrets x."""

    curve: ec.EllipticCurve

    @property
    def octets(self) -> int:
        """The length of public values."""
        return 2 * self._field_octets

    @property
    def _field_octets(self) -> int:
        return (self.curve.key_size + 7) // 8

    def private(self, random: Random) -> Secret:
        """Return a fresh scalar in 1..order-1, by rejection (FIPS 186-5 §A.2.2)."""
        spare = 8 * self._field_octets - self.curve.group_order.bit_length()
        while True:
            octets = random.octets(self._field_octets)
            scalar = int.from_bytes(octets) >> spare
            if 0 < scalar < self.curve.group_order:
                return Secret(scalar.to_bytes(self._field_octets))

    def public(self, private: Secret) -> bytes:
        """Return the public point."""
        return _point_octets(self._load(private))

    def shared(self, private: Secret, public: bytes) -> Secret:
        """Return the x coordinate of the common point (RFC 5903 §9).

        Raises:
            InvalidPublicValueError: the point is not on the curve (RFC 6989 §2.3).
        """
        return self.meet(private, public)[1]

    def meet(self, private: Secret, public: bytes) -> tuple[bytes, Secret]:
        """Return our public point and the x coordinate of the common one.

        Raises:
            InvalidPublicValueError: the point is not on the curve (RFC 6989 §2.3).
        """
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(self.curve, _UNCOMPRESSED + public)
        except ValueError as error:
            raise InvalidPublicValueError(f"a point that is not on {self.curve.name}") from error
        ours = self._load(private)  # which costs as much as what follows, so it is done once
        return _point_octets(ours), Secret(ours.exchange(ec.ECDH(), point))

    def _load(self, private: Secret) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(private.octets), self.curve)


def _point_octets(private: ec.EllipticCurvePrivateKey) -> bytes:
    point = private.public_key()
    return point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


@dataclass(frozen=True, slots=True)
class Montgomery:
    """Curve25519 or Curve448. Any value is accepted, after masking (RFC 7748 §5, RFC 8031 §3.2)."""

    name: str
    octets: int
    private_key: type[X25519PrivateKey] | type[X448PrivateKey]
    public_key: type[X25519PublicKey] | type[X448PublicKey]

    def private(self, random: Random) -> Secret:
        """Return fresh octets; the curve's function clamps them itself."""
        return Secret(random.octets(self.octets))

    def public(self, private: Secret) -> bytes:
        """Return the public value."""
        return self.private_key.from_private_bytes(private.octets).public_key().public_bytes_raw()

    def shared(self, private: Secret, public: bytes) -> Secret:
        """Return the shared secret.

        Raises:
            InvalidPublicValueError: the result is zero, so the value has a small order.
        """
        return self.meet(private, public)[1]

    def meet(self, private: Secret, public: bytes) -> tuple[bytes, Secret]:
        """Return our public value and the shared secret.

        Raises:
            InvalidPublicValueError: the result is zero, so the value has a small order.
        """
        # Loading costs as much as what follows, so it is done once.
        ours = self.private_key.from_private_bytes(private.octets)
        theirs = self.public_key.from_public_bytes(public)
        try:
            shared = ours.exchange(theirs)  # type: ignore[arg-type]
        except ValueError as error:
            raise InvalidPublicValueError(f"a {self.name} value of small order") from error
        return ours.public_key().public_bytes_raw(), Secret(shared)


class Curve25519(Montgomery):
    """Curve25519, which most IKE SAs are made with: a responder's work is done with one call."""

    @override
    def meet(self, private: Secret, public: bytes) -> tuple[bytes, Secret]:
        try:
            ours, shared = x25519(private.octets, public)
        except ValueError as error:
            raise InvalidPublicValueError(f"a {self.name} value of small order") from error
        return ours, Secret(shared)

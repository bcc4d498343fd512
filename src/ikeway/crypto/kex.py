# SPDX-License-Identifier: Apache-2.0
"""Key exchange methods, transform type 4 (RFC 7296 §2.12, §2.14; RFC 3526, RFC 5903, RFC 8031).

The initiator *offers*, then *finishes* with the responder's *answer*. A KEM has the same shape, but
its answer is of another length than its offer. They serve as additional methods too (RFC 9370).
Nothing is used twice: an offer serves one exchange.

Microseconds of an offer and of a finish; an answer takes both (one core, AMD EPYC, OpenSSL 4.0):
Curve25519 20, 45; ECP 256 25, 60; Curve448 135, 275; ECP 521 195, 415; ECP 384 255, 535; MODP
2048 260, 3072 740, 4096 1500, 6144 3600 and 8192 7100 each. MODP 1024, which OpenSSL has no name
for and so tests for primes each time, takes 50,000: one more reason to leave it off. ML-KEM 768
225 and 235, 1024 280 and 300; their answers take 75 and 100.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from ikeway.crypto import ml_kem
from ikeway.crypto.curves import Curve25519, Ecp, Montgomery
from ikeway.crypto.modp import Modp
from ikeway.crypto.offer import Offer
from ikeway.crypto.random import Random
from ikeway.model.errors import InvalidPublicValueError
from ikeway.model.secret import Secret


class DiffieHellman(Protocol):
    """How a group computes. The row has checked the lengths of public values."""

    @property
    def octets(self) -> int:
        """The length of public values."""
        ...

    def private(self, random: Random) -> Secret:
        """Return a fresh private value."""
        ...

    def public(self, private: Secret) -> bytes:
        """Return the public value of a private one."""
        ...

    def shared(self, private: Secret, public: bytes) -> Secret:
        """Return the shared secret with a peer's public value.

        Raises:
            InvalidPublicValueError: the value fails a test of RFC 6989.
        """
        ...

    def meet(self, private: Secret, public: bytes) -> tuple[bytes, Secret]:
        """Return our public value and the shared secret: `public` and `shared` in one.

        Raises:
            InvalidPublicValueError: the value fails a test of RFC 6989.
        """
        ...


class KeyExchangeMethod(Protocol):
    """One row: a key exchange method by its code point."""

    @property
    def code(self) -> int:
        """The transform ID."""
        ...

    @property
    def name(self) -> str:
        """IANA's name."""
        ...

    @property
    def offer_octets(self) -> int:
        """The length of the initiator's key exchange data."""
        ...

    @property
    def answer_octets(self) -> int:
        """The length of the responder's key exchange data."""
        ...

    def offer(self, random: Random) -> Offer:
        """Return a fresh offer: the initiator's first step."""
        ...

    def answer(self, random: Random, offer: bytes) -> tuple[bytes, Secret]:
        """Return the answer to an offer, and the shared secret: the responder's only step.

        Raises:
            InvalidPublicValueError: the offer fails a test of RFC 6989.
        """
        ...

    def finish(self, private: Secret, answer: bytes) -> Secret:
        """Return the shared secret: the initiator's last step. The private value is spent.

        Raises:
            InvalidPublicValueError: the answer fails a test of RFC 6989.
        """
        ...


@dataclass(frozen=True, slots=True)
class DhMethod:
    """A Diffie-Hellman group as a key exchange method."""

    code: int
    name: str
    group: DiffieHellman

    @property
    def offer_octets(self) -> int:
        """The length of the initiator's public value."""
        return self.group.octets

    @property
    def answer_octets(self) -> int:
        """The length of the responder's public value."""
        return self.group.octets

    def offer(self, random: Random) -> Offer:
        """Return a fresh pair of values."""
        private = self.group.private(random)
        return Offer(self.group.public(private), private)

    def answer(self, random: Random, offer: bytes) -> tuple[bytes, Secret]:
        """Return our public value and the shared secret.

        Raises:
            InvalidPublicValueError: the offer fails a test of RFC 6989.
        """
        self._check_length(offer)
        return self.group.meet(self.group.private(random), offer)

    def finish(self, private: Secret, answer: bytes) -> Secret:
        """Return the shared secret.

        Raises:
            InvalidPublicValueError: the answer fails a test of RFC 6989.
        """
        self._check_length(answer)
        return self.group.shared(private, answer)

    def _check_length(self, public: bytes) -> None:
        if len(public) != self.group.octets:
            raise InvalidPublicValueError(
                f"{self.name}: a value of {len(public)} octets, not {self.group.octets}"
            )


_CURVE25519: Final = Curve25519("Curve25519", 32, X25519PrivateKey, X25519PublicKey)
_CURVE448: Final = Montgomery("Curve448", 56, X448PrivateKey, X448PublicKey)

ROWS: Final[tuple[KeyExchangeMethod, ...]] = (
    DhMethod(2, "MODP_1024", Modp(1024, 129093, exponent_bits=256)),  # legacy opt-in
    DhMethod(5, "MODP_1536", Modp(1536, 741804, exponent_bits=256)),  # legacy opt-in
    DhMethod(14, "MODP_2048", Modp(2048, 124476, exponent_bits=320)),
    DhMethod(15, "MODP_3072", Modp(3072, 1690314, exponent_bits=424)),
    DhMethod(16, "MODP_4096", Modp(4096, 240904, exponent_bits=480)),
    DhMethod(17, "MODP_6144", Modp(6144, 929484, exponent_bits=544)),
    DhMethod(18, "MODP_8192", Modp(8192, 4743158, exponent_bits=624)),
    DhMethod(19, "ECP_256", Ecp(ec.SECP256R1())),
    DhMethod(20, "ECP_384", Ecp(ec.SECP384R1())),
    DhMethod(21, "ECP_521", Ecp(ec.SECP521R1())),
    DhMethod(31, "CURVE25519", _CURVE25519),
    DhMethod(32, "CURVE448", _CURVE448),
    *ml_kem.ROWS,
)
_BY_CODE: Final = {row.code: row for row in ROWS}


def is_available(code: int) -> bool:
    """Whether we have a method: a row, and what computes it."""
    row = _BY_CODE.get(code)
    return row is not None and (not isinstance(row, ml_kem.MlKem) or row.is_available)


def key_exchange(code: int) -> KeyExchangeMethod:
    """Return the row of a code point.

    Raises:
        LookupError: we do not have that method.
    """
    try:
        return _BY_CODE[code]
    except KeyError:
        raise LookupError(f"no key exchange method {code}, only {sorted(_BY_CODE)}") from None

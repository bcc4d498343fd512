# SPDX-License-Identifier: Apache-2.0
"""Who the initiators are and what they prove it with: every one has a name of its own.

A responder that keeps what it knows of a peer gains nothing: no certificate comes twice.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

PSK: Final = b"a pre-shared key for measuring"
DOMAIN: Final = "bench.lab"
SERVER: Final = "server.lab"
INSIDE: Final = "10.0.0.0/8"


def name_of(number: int) -> str:
    """Return the identity of an initiator, an e-mail address."""
    return f"c{number:07d}@{DOMAIN}"


def inner_address(number: int) -> bytes:
    """Return the address behind an initiator: no two have the same."""
    return bytes([10]) + number.to_bytes(3)


@dataclass(frozen=True)
class Papers:
    """An ECDSA P-256 authority and what it issues. The initiators share one key."""

    authority: x509.Certificate
    authority_key: ec.EllipticCurvePrivateKey
    client_key: ec.EllipticCurvePrivateKey

    @classmethod
    def fresh(cls) -> "Papers":
        """Return new ones."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Bench CA")
        authority = (
            _dated(name, key.public_key(), name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, hashes.SHA256())
        )
        return cls(authority, key, ec.generate_private_key(ec.SECP256R1()))

    @cached_property
    def client_public(self) -> ec.EllipticCurvePublicKey:
        """The public key of every initiator."""
        return self.client_key.public_key()

    def client(self, number: int) -> bytes:
        """Return the certificate of an initiator, in DER."""
        name = x509.RFC822Name(name_of(number))
        return self._issue(name, self.client_public).public_bytes(Encoding.DER)

    def server(self) -> tuple[bytes, bytes]:
        """Return a certificate of the responder and its key, in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(x509.DNSName(SERVER), key.public_key())
        return certificate.public_bytes(Encoding.PEM), pem(key)

    def _issue(self, name: x509.GeneralName, public: ec.EllipticCurvePublicKey) -> x509.Certificate:
        return (
            _dated(_name(str(name.value)), public, self.authority.subject)
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority_key.public_key()),
                critical=False,
            )
            .sign(self.authority_key, hashes.SHA256())
        )


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key in PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _dated(
    subject: x509.Name, public: ec.EllipticCurvePublicKey, issuer: x509.Name
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=30))
    )

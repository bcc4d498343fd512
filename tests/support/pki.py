# SPDX-License-Identifier: Apache-2.0
"""Keys that are made once, and certificates of every odd shape."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.der import INTEGER, NULL, OBJECT_IDENTIFIER, SEQUENCE, encode
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import PrivateKey, generate_key

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
CA = x509.BasicConstraints(ca=True, path_length=None)
LEAF = x509.BasicConstraints(ca=False, path_length=None)


@cache
def private_key(algorithm: KeyAlgorithm, which: int = 0) -> PrivateKey:
    """A key that stays the same through the session; `which` tells several apart."""
    if algorithm is KeyAlgorithm.RSA:
        return PrivateKey.of(rsa.generate_private_key(65537, 2048 + 8 * which))
    return generate_key(algorithm)


def name(text: str) -> x509.Name:
    """A subject with that common name, and a mail address behind `,E=`."""
    common, _, mail = text.partition(",E=")
    parts = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common)]
    parts += [x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, mail)] if mail else []
    return x509.Name(parts)


def certificate(
    subject: str,
    key: PrivateKey,
    issuer: str,
    issuer_key: PrivateKey,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    days: tuple[int, int] = (-1, 365),
    digest: hashes.HashAlgorithm | None = None,
    serial: int | None = None,
) -> Certificate:
    """A certificate with exactly these extensions; pairs are value and criticality."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public.handle)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=days[0]))
        .not_valid_after(NOW + timedelta(days=days[1]))
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    hashed = digest or hashes.SHA256() if issuer_key.digest else None
    signed = builder.sign(issuer_key.handle, hashed)  # type: ignore[arg-type]
    return Certificate.of(signed.public_bytes(Encoding.DER))


def root(subject: str, key: PrivateKey, path_length: int | None = None) -> Certificate:
    """A self-signed authority."""
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    return certificate(subject, key, subject, key, [(constraints, True)])


def key_usage(*wanted: str) -> x509.KeyUsage:
    """A key usage with the named bits."""
    bits = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{bit: bit in wanted for bit in bits})


def rsa_public_key_info(modulus: int, exponent: int) -> bytes:
    """The SubjectPublicKeyInfo of any two numbers."""

    def integer(value: int) -> bytes:
        return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1))

    algorithm = encode(
        SEQUENCE, encode(OBJECT_IDENTIFIER, bytes.fromhex("2a864886f70d010101")), encode(NULL)
    )
    numbers = encode(SEQUENCE, integer(modulus), integer(exponent))
    return encode(SEQUENCE, algorithm, encode(0x03, b"\0" + numbers))

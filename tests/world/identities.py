# SPDX-License-Identifier: Apache-2.0
"""The certificates of worlds: their octets are the same in each process, as all of a world's."""

import hashlib
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.keypair import PrivateKey
from ikeway.policy.credentials import LocalCertificate
from support import pki

AUTHORITY = "the authority of all worlds"
SERIAL_OCTETS = 16


@cache
def key(name: str) -> PrivateKey:
    """Return the key of a host, or of the authority."""
    return PrivateKey.of(Ed25519PrivateKey.from_private_bytes(_digest(name)))


@cache
def authority() -> Certificate:
    """Return the certificate that all trust."""
    ours = (pki.CA, True), (pki.key_usage("key_cert_sign"), True)
    return pki.certificate(
        AUTHORITY, key(AUTHORITY), AUTHORITY, key(AUTHORITY), ours, serial=_serial(AUTHORITY)
    )


@cache
def certificate(name: str) -> LocalCertificate:
    """Return a host's certificate: sites start connections to each other, both ways."""
    said = x509.SubjectAlternativeName([x509.DNSName(name)])
    ours = (said, False), (pki.LEAF, True), (pki.key_usage("digital_signature"), True)
    issuer = AUTHORITY, key(AUTHORITY)
    made = pki.certificate(name, key(name), *issuer, ours, serial=_serial(name))
    return LocalCertificate((made,), name)


def _serial(name: str) -> int:
    """Return a number of always as many octets, so that messages are always as long."""
    return int.from_bytes(b"\x40" + _digest(name)[1:SERIAL_OCTETS])


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()

# SPDX-License-Identifier: Apache-2.0
"""A small certification authority: for `ikeway demo` and `ikeway ca` (RFC 5280 §4, RFC 4945 §5).

The keys come from OpenSSL's own random source; nothing here runs inside the IKE core.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.fields import (
    NOWHERE,
    USAGES,
    Places,
    common_name,
    general_names,
    key_usage,
    limited,
)
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import PrivateKey, PublicKey, generate_key
from ikeway.crypto.profile import Purpose
from ikeway.model.identity import Identity

_BACKDATE: Final = timedelta(minutes=5)
"""Clocks of devices differ a little from ours."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate with the key that issues others."""

    certificate: Certificate
    key: PrivateKey


def create_authority(
    name: str,
    algorithm: KeyAlgorithm,
    now: datetime,
    days: int,
    path_length: int | None = 0,
    permitted: Sequence[x509.GeneralName] = (),
) -> Authority:
    """Return a new root with that common name, valid for so many days from `now` on.

    It may vouch for names within `permitted` only, if there are any.
    """
    key = generate_key(algorithm)
    subject = common_name(name)
    unsigned = _authority_fields(_dated(subject, key.public, now, days), key.public, path_length)
    unsigned = limited(unsigned, permitted)
    return Authority(_signed(unsigned.issuer_name(subject), key), key)


def issue_authority(  # noqa: PLR0913, PLR0917 - what stands in its certificate
    issuer: Authority,
    name: str,
    algorithm: KeyAlgorithm,
    now: datetime,
    days: int,
    path_length: int | None = 0,
    permitted: Sequence[x509.GeneralName] = (),
    places: Places = NOWHERE,
) -> Authority:
    """Return an authority below another one; with a path length of 0 it issues leaves only."""
    key = generate_key(algorithm)
    dated = _dated(common_name(name), key.public, now, days)
    unsigned = _authority_fields(dated, key.public, path_length)
    unsigned = limited(places.written(unsigned), permitted)
    return Authority(_signed(_below(unsigned, issuer), issuer.key), key)


def issue(  # noqa: PLR0913, PLR0917 - what stands in a certificate
    issuer: Authority,
    public: PublicKey,
    names: Sequence[Identity],
    purpose: Purpose,
    now: datetime,
    days: int,
    places: Places = NOWHERE,
) -> Certificate:
    """Return a certificate for the owner of a key; `names` are what it may call itself.

    The first name is also the common name, for people. An address becomes a DNS name too, which
    Windows asks for. `places` are where to look up whether it was revoked.

    Raises:
        ValueError: no names, or one that no subjectAltName can carry.
    """
    if not names:
        raise ValueError("a certificate needs a name")
    sans = dict.fromkeys(san for name in names for san in general_names(name))
    unsigned = (
        _dated(common_name(str(names[0])), public, now, days)
        .add_extension(x509.SubjectAlternativeName(sans), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(USAGES[purpose]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public.handle), critical=False)
    )
    return _signed(_below(places.written(unsigned), issuer), issuer.key)


def pem(*certificates: Certificate) -> bytes:
    """Return the certificates as one PEM file, in that order."""
    return b"".join(certificate.handle.public_bytes(Encoding.PEM) for certificate in certificates)


def _dated(
    subject: x509.Name, public: PublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public.handle)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + timedelta(days=days))
    )


def _authority_fields(
    unsigned: x509.CertificateBuilder, public: PublicKey, path_length: int | None
) -> x509.CertificateBuilder:
    return (
        unsigned.add_extension(
            x509.BasicConstraints(ca=True, path_length=path_length), critical=True
        )
        .add_extension(key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public.handle), critical=False)
    )


def _below(unsigned: x509.CertificateBuilder, issuer: Authority) -> x509.CertificateBuilder:
    public = issuer.key.public.handle
    return unsigned.issuer_name(issuer.certificate.handle.subject).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False
    )


def _signed(unsigned: x509.CertificateBuilder, key: PrivateKey) -> Certificate:
    handle = unsigned.sign(key.handle, key.digest)
    return Certificate.of(handle.public_bytes(Encoding.DER))

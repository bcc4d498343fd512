# SPDX-License-Identifier: Apache-2.0
"""X.509 certificates as values (RFC 5280 §4, RFC 4945 §5). `chain` says whether to believe them."""

import re
import warnings
from base64 import b64decode
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha1
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from ikeway.crypto.der import wholes
from ikeway.crypto.keypair import PublicKey
from ikeway.crypto.names import distinguished_name, name_text, names_equal
from ikeway.model.errors import AuthenticationError, ConfigError
from ikeway.model.identity import Identity, IdType

__all__ = ("Certificate", "distinguished_name", "load_certificates", "names_equal")

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

_VERSION: Final = 0xA0
_PEM: Final = re.compile(
    rb"-----BEGIN (?:X509 )?CERTIFICATE-----(.+?)-----END (?:X509 )?CERTIFICATE-----", re.DOTALL
)
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class _Fields(NamedTuple):
    """Parts of a certificate as they stand in it, so that nothing is lost by encoding again."""

    algorithm: bytes
    inner_algorithm: bytes
    issuer: bytes
    subject: bytes
    public_key_info: bytes


@dataclass(frozen=True)
class Certificate:
    """A certificate that we could read. That says nothing about whether to believe it."""

    der: bytes = field(repr=False)
    handle: x509.Certificate = field(compare=False)
    extensions: x509.Extensions = field(compare=False, repr=False)
    fields: _Fields = field(compare=False, repr=False)

    @classmethod
    def of(cls, der: bytes) -> "Certificate":
        """Return the certificate with this DER encoding.

        Raises:
            AuthenticationError: it is none, or one that we cannot read whole.
        """
        try:
            with warnings.catch_warnings():
                # A peer's odd serial number is no news for our standard error.
                warnings.simplefilter("ignore")
                handle = x509.load_der_x509_certificate(der)
                return cls(der, handle, handle.extensions, _fields(der))
        except _UNREADABLE as error:
            raise AuthenticationError(f"no certificate that we can read: {error}") from error

    def find(self, kind: type[_Extension]) -> _Extension | None:
        """Return the extension of that kind, if there is one."""
        return self._found.get(kind)  # type: ignore[return-value]

    @cached_property
    def _found(self) -> dict[type[x509.ExtensionType], x509.ExtensionType]:
        return {type(one.value): one.value for one in self.extensions}

    @property
    def subject_der(self) -> bytes:
        """The subject, as an ID_DER_ASN1_DN carries it."""
        return self.fields.subject

    @property
    def issuer_der(self) -> bytes:
        """The issuer, as an ID_DER_ASN1_DN would carry it."""
        return self.fields.issuer

    @cached_property
    def subject(self) -> str:
        """The subject for people."""
        return name_text(self.subject_der)

    @cached_property
    def issuer(self) -> str:
        """The issuer for people."""
        return name_text(self.issuer_der)

    @cached_property
    def public_key(self) -> PublicKey:
        """The subject's key.

        Raises:
            AuthenticationError: a kind of key that we do not use, or a weak one.
        """
        try:
            return PublicKey.of(self.handle.public_key())
        except _UNREADABLE as error:
            raise AuthenticationError(f"the key of {self.subject}: {error}") from error

    @cached_property
    def sans(self) -> tuple[Identity, ...]:
        """The names and addresses of subjectAltName that an ID payload can claim."""
        names = self.find(x509.SubjectAlternativeName) or ()
        return tuple(identity for name in names if (identity := san_identity(name)))

    @cached_property
    def subject_key_hash(self) -> bytes:
        """SHA-1 of the SubjectPublicKeyInfo: how CERTREQ names an authority (RFC 7296 §3.7)."""
        return sha1(self.fields.public_key_info, usedforsecurity=False).digest()

    @property
    def not_before(self) -> datetime:
        """The first moment of validity, in UTC."""
        return self.handle.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """The last moment of validity, in UTC."""
        return self.handle.not_valid_after_utc

    @property
    def serial(self) -> int:
        """The number that its issuer gave it."""
        return self.handle.serial_number


def load_certificates(octets: bytes) -> tuple[Certificate, ...]:
    """Return the certificates of a file: one in DER, or any number in PEM.

    Raises:
        ConfigError: there is none, or one that we cannot read.
    """
    try:
        if b"-----BEGIN" not in octets:
            return (Certificate.of(octets),)
        found = tuple(Certificate.of(b64decode(block)) for block in _PEM.findall(octets))
    except (AuthenticationError, ValueError) as error:
        raise ConfigError(f"certificate file: {error}") from error
    if not found:
        raise ConfigError("certificate file: it is PEM, but holds no certificate")
    return found


def _fields(certificate: bytes) -> _Fields:
    """Return the parts of a certificate, RFC 5280 §4.1."""
    to_be_signed, algorithm, _signature = wholes(certificate)
    parts = wholes(to_be_signed)
    if parts[0][0] == _VERSION:
        parts = parts[1:]
    _serial, inner, issuer, _validity, subject, key = parts[:6]
    return _Fields(algorithm, inner, issuer, subject, key)


def san_identity(name: x509.GeneralName) -> Identity | None:
    """Return the identity that a name of subjectAltName proves, None if it is of no such kind."""
    if isinstance(name, x509.DNSName):
        return Identity(IdType.FQDN, name.value.encode())
    if isinstance(name, x509.RFC822Name):
        return Identity(IdType.RFC822_ADDR, name.value.encode())
    if isinstance(name, x509.IPAddress) and isinstance(name.value, IPv4Address):
        return Identity(IdType.IPV4_ADDR, name.value.packed)
    if isinstance(name, x509.IPAddress) and isinstance(name.value, IPv6Address):
        return Identity(IdType.IPV6_ADDR, name.value.packed)
    return None

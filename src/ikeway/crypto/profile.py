# SPDX-License-Identifier: Apache-2.0
"""What IKE asks of each certificate of a chain (RFC 5280 §4.2, §6.1; RFC 4945 §5.1.3)."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.names import names_equal
from ikeway.crypto.sign import SignatureHash, scheme_of, verify
from ikeway.model.errors import AuthenticationError

Purpose: TypeAlias = Literal["server", "client"]

_IKE_INTERMEDIATE: Final = ObjectIdentifier("1.3.6.1.5.5.8.2.2")
_IPSEC_IKE: Final = ObjectIdentifier("1.3.6.1.5.5.7.3.17")
_SERVER: Final = frozenset(
    {
        _IPSEC_IKE,
        _IKE_INTERMEDIATE,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.SERVER_AUTH,
    }
)
USAGES: Final[dict[Purpose, frozenset[ObjectIdentifier]]] = {
    "server": _SERVER,
    "client": _SERVER | {ExtendedKeyUsageOID.CLIENT_AUTH},
}
"""Extended key usages, any of which will do. A gateway may act as a client, but no client as a
gateway: each user of a VPN could else pose as it."""

_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,  # for a whole chain: `constraints`
        ExtensionOID.CERTIFICATE_POLICIES,  # we ask for none, so any will do
    }
)


def check_certificate(certificate: Certificate, at: datetime) -> None:
    """Check what every certificate of a chain must be: valid now, understood, with a strong key.

    Raises:
        AuthenticationError: it is not.
    """
    if not certificate.not_before <= at <= certificate.not_after:
        raise AuthenticationError(
            f"{certificate.subject}: valid from {certificate.not_before} to"
            f" {certificate.not_after}, not at {at}"
        )
    _check_content(certificate)


@lru_cache(maxsize=64)
def _check_content(certificate: Certificate) -> None:
    """Check what does not depend on the time. Authorities, which come often, are looked at once."""
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise AuthenticationError(
                f"{certificate.subject}: a critical extension that we do not know,"
                f" {extension.oid.dotted_string}"
            )
    _ = certificate.public_key  # raises where the key is weak


def check_leaf(certificate: Certificate, purpose: Purpose | None) -> None:
    """Check that the certificate's key may sign AUTH, in that role.

    Raises:
        AuthenticationError: it may not (RFC 4945 §5.1.3.2, §5.1.3.12).
    """
    usage = certificate.find(x509.KeyUsage)
    if usage and not (usage.digital_signature or usage.content_commitment):
        raise AuthenticationError(f"{certificate.subject}: its key usage is not for signatures")
    extended = certificate.find(x509.ExtendedKeyUsage)
    if purpose and extended and USAGES[purpose].isdisjoint(extended):
        seen = ", ".join(code.dotted_string for code in extended)
        raise AuthenticationError(
            f"{certificate.subject}: its extended key usage is not for a {purpose}: {seen}"
        )


def check_issuer(issuer: Certificate, chain: Sequence[Certificate]) -> None:
    """Check that a certificate may issue the last one of a chain, which begins with the leaf.

    Raises:
        AuthenticationError: it is no authority, or not over so long a chain.
    """
    constraints = issuer.find(x509.BasicConstraints)
    if not constraints or not constraints.ca:
        raise AuthenticationError(f"{issuer.subject}: it is no certification authority")
    usage = issuer.find(x509.KeyUsage)
    if usage and not usage.key_cert_sign:
        raise AuthenticationError(f"{issuer.subject}: its key usage is not for certificates")
    between = sum(not names_equal(step.subject_der, step.issuer_der) for step in chain[1:])
    if constraints.path_length is not None and between > constraints.path_length:
        raise AuthenticationError(
            f"{issuer.subject}: {between} authorities below it, not {constraints.path_length}"
        )


def check_signature(certificate: Certificate, issuer: Certificate) -> None:
    """Check that the issuer's key signed the certificate, and not by SHA-1 or MD5.

    Raises:
        AuthenticationError: it did not.
    """
    fields, handle = certificate.fields, certificate.handle
    if fields.algorithm != fields.inner_algorithm:
        raise AuthenticationError(f"{certificate.subject}: it names two signature algorithms")
    scheme = scheme_of(fields.algorithm)
    if scheme.hash is SignatureHash.SHA1:
        raise AuthenticationError(f"{certificate.subject}: it is signed with SHA-1")
    try:
        verify(issuer.public_key, scheme, handle.tbs_certificate_bytes, handle.signature)
    except AuthenticationError as error:
        raise AuthenticationError(f"{certificate.subject}: {error.reason}") from error

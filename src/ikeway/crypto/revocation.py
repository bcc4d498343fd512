# SPDX-License-Identifier: Apache-2.0
"""What an issuer says of a certificate: a status, and until when it counts (RFC 5280 §6.3)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from ikeway.crypto.certificate import Certificate
from ikeway.model.errors import AuthenticationError

SKEW: Final = timedelta(minutes=5)
"""By how much the clock of who publishes a status may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Status:
    """`revoked` says why and since when, None is a good one. It counts until `until`."""

    revoked: str | None
    until: datetime


def check_period(what: str, begin: datetime, end: datetime, at: datetime) -> None:
    """Check that a status is of now: neither of the future nor out of date.

    Raises:
        AuthenticationError: it is.
    """
    if begin > at + SKEW:
        raise AuthenticationError(f"{what} begins only at {begin}")
    if end <= at:
        raise AuthenticationError(f"{what} is out of date since {end}")


def responders(certificate: Certificate) -> tuple[str, ...]:
    """Return the URLs of the OCSP responders that a certificate names (RFC 5280 §4.2.2.1)."""
    access = certificate.find(x509.AuthorityInformationAccess) or ()
    return tuple(
        str(each.access_location.value)
        for each in access
        if each.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(each.access_location, x509.UniformResourceIdentifier)
    )


def distribution_points(certificate: Certificate) -> tuple[str, ...]:
    """Return the URLs at which its issuer publishes CRLs (RFC 5280 §4.2.1.13)."""
    return _urls(certificate.find(x509.CRLDistributionPoints) or ())


def freshest(extensions: x509.Extensions) -> tuple[str, ...]:
    """Return the URLs of delta CRLs, in a certificate or a CRL (RFC 5280 §4.2.1.15, §5.2.6)."""
    try:
        return _urls(extensions.get_extension_for_class(x509.FreshestCRL).value)
    except x509.ExtensionNotFound:
        return ()


def _urls(points: x509.CRLDistributionPoints | x509.FreshestCRL | tuple[()]) -> tuple[str, ...]:
    """A point of another issuer, or for some reasons only, would tell half of it."""
    return tuple(
        str(name.value)
        for point in points
        if not point.crl_issuer and not point.reasons
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    )

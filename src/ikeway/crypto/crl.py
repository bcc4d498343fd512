# SPDX-License-Identifier: Apache-2.0
"""Certificate revocation lists and their deltas (RFC 5280 §5, §6.3)."""

import warnings
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.der import INTEGER, decode
from ikeway.crypto.names import name_text, names_equal
from ikeway.crypto.revocation import Status, check_period
from ikeway.crypto.sign import SignatureHash, scheme_of, verify
from ikeway.model.errors import AuthenticationError

WITHOUT_END: Final = timedelta(days=1)
"""How long a list counts that does not say when the next one comes."""
_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
        ExtensionOID.DELTA_CRL_INDICATOR,
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.FRESHEST_CRL,
    }
)
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True)
class Crl:
    """A list that we could read. Only `check_issuer` says that its issuer made it."""

    der: bytes = field(repr=False)
    handle: x509.CertificateRevocationList = field(compare=False, repr=False)
    extensions: x509.Extensions = field(compare=False, repr=False)
    issuer_der: bytes = field(compare=False, repr=False)
    algorithms: tuple[bytes, bytes] = field(compare=False, repr=False)

    @classmethod
    def of(cls, octets: bytes) -> "Crl":
        """Return the list with this encoding, DER or PEM.

        Raises:
            AuthenticationError: it is none, or one that we cannot read whole.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                is_pem = octets.lstrip().startswith(b"-----BEGIN")
                load = x509.load_pem_x509_crl if is_pem else x509.load_der_x509_crl
                handle = load(octets)
                der = handle.public_bytes(Encoding.DER)
                head, outer, _signature = decode(der).children()
                parts = head.children()
                inner, issuer = parts[1:3] if parts[0].tag == INTEGER else parts[:2]
                return cls(der, handle, handle.extensions, issuer.whole, (outer.whole, inner.whole))
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
            raise AuthenticationError(f"no CRL that we can read: {error}") from error

    @cached_property
    def issuer(self) -> str:
        """Its issuer, for people."""
        return name_text(self.issuer_der)

    @property
    def begins(self) -> datetime:
        """When it was made."""
        return self.handle.last_update_utc

    @property
    def ends(self) -> datetime:
        """When the next one is there at the latest."""
        return self.handle.next_update_utc or self.begins + WITHOUT_END

    @cached_property
    def number(self) -> int:
        """Its number among those of its issuer; -1 if it has none."""
        found = self._find(x509.CRLNumber)
        return found.crl_number if found else -1

    @cached_property
    def base(self) -> int | None:
        """The number of the list that it adds to; None unless it is a delta (§5.2.4)."""
        found = self._find(x509.DeltaCRLIndicator)
        return found.crl_number if found else None

    @cached_property
    def scope(self) -> x509.IssuingDistributionPoint | None:
        """Which certificates it is about, if not all of its issuer's (§5.2.5)."""
        return self._find(x509.IssuingDistributionPoint)

    def _find(self, kind: type[_Extension]) -> _Extension | None:
        try:
            return self.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None


def check_issuer(crl: Crl, issuer: Certificate) -> None:
    """Check that the issuer made the list, and that we understand what it says (§6.3.3 f, g).

    Raises:
        AuthenticationError: it is somebody else's, or of a kind that we do not know.
    """
    if not names_equal(crl.issuer_der, issuer.subject_der):
        raise AuthenticationError(f"the CRL is one of {crl.issuer}, not of {issuer.subject}")
    usage = issuer.find(x509.KeyUsage)
    if usage and not usage.crl_sign:
        raise AuthenticationError(f"{issuer.subject}: its key usage is not for CRLs")
    for extension in crl.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise AuthenticationError(
                f"the CRL of {crl.issuer} has a critical extension that we do not know,"
                f" {extension.oid.dotted_string}"
            )
    if crl.algorithms[0] != crl.algorithms[1]:
        raise AuthenticationError(f"the CRL of {crl.issuer} names two signature algorithms")
    scheme = scheme_of(crl.algorithms[0])
    if scheme.hash is SignatureHash.SHA1:
        raise AuthenticationError(f"the CRL of {crl.issuer} is signed with SHA-1")
    try:
        verify(issuer.public_key, scheme, crl.handle.tbs_certlist_bytes, crl.handle.signature)
    except AuthenticationError as error:
        raise AuthenticationError(f"the CRL of {crl.issuer}: {error.reason}") from error


def status(crl: Crl, delta: Crl | None, certificate: Certificate, at: datetime) -> Status:
    """Return what a list, whose issuer was checked, says of a certificate at that time.

    `delta` counts if it adds to that list. What was revoked once stays so in a list that is out of
    date.

    Raises:
        AuthenticationError: nothing: it is about other certificates, or out of date.
    """
    _check_scope(crl, certificate)
    if crl.base is not None:
        raise AuthenticationError(f"the CRL of {crl.issuer} is a delta without its base")
    if delta is not None and not _adds_to(delta, crl, at):
        delta = None
    found = _entry(crl, certificate)
    latest = _entry(delta, certificate) if delta else None
    if latest is not None:
        found = None if latest == x509.ReasonFlags.remove_from_crl.value else latest
    if found is not None:
        return Status(f"revoked: {found}", crl.ends)
    check_period(f"the CRL of {crl.issuer}", crl.begins, crl.ends, at)
    return Status(None, min(crl.ends, delta.ends) if delta else crl.ends)


def _adds_to(delta: Crl, crl: Crl, at: datetime) -> bool:
    """Whether a delta is for this list, newer and of now (§6.3.3 c, §5.2.4)."""
    return (
        delta.base is not None
        and delta.base <= crl.number < delta.number
        and delta.scope == crl.scope
        and delta.begins <= at < delta.ends
    )


def _entry(crl: Crl, certificate: Certificate) -> str | None:
    """Return why the list has the certificate, None if it has not."""
    entry = crl.handle.get_revoked_certificate_by_serial_number(certificate.serial)
    if entry is None:
        return None
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except (x509.ExtensionNotFound, ValueError):
        return f"on {entry.revocation_date_utc:%Y-%m-%d}"


def _check_scope(crl: Crl, certificate: Certificate) -> None:
    """Check that a certificate would be in the list if it were revoked (§6.3.3 b 2)."""
    scope = crl.scope
    if scope is None:
        return
    constraints = certificate.find(x509.BasicConstraints)
    is_authority = constraints is not None and constraints.ca
    if (
        scope.indirect_crl
        or scope.only_some_reasons
        or scope.only_contains_attribute_certs
        or scope.relative_name
        or (scope.only_contains_ca_certs and not is_authority)
        or (scope.only_contains_user_certs and is_authority)
    ):
        raise AuthenticationError(f"the CRL of {crl.issuer} is about other certificates")
    if scope.full_name:
        points = certificate.find(x509.CRLDistributionPoints) or ()
        named = [name for point in points for name in point.full_name or ()]
        if not any(name in named for name in scope.full_name):
            raise AuthenticationError(f"the CRL of {crl.issuer} is one for another part of it")

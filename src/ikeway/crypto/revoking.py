# SPDX-License-Identifier: Apache-2.0
"""CRLs that an authority of ours publishes (RFC 5280 §5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ikeway.crypto.authority import Authority

REASONS: Final = {
    "unspecified": None,
    "key-compromise": x509.ReasonFlags.key_compromise,
    "ca-compromise": x509.ReasonFlags.ca_compromise,
    "affiliation-changed": x509.ReasonFlags.affiliation_changed,
    "superseded": x509.ReasonFlags.superseded,
    "cessation-of-operation": x509.ReasonFlags.cessation_of_operation,
    "privilege-withdrawn": x509.ReasonFlags.privilege_withdrawn,
}
"""Why certificates are revoked; the code of "unspecified" is left out (§5.3.1)."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """One entry: a serial number, since when, and one of `REASONS`."""

    serial: int
    since: datetime
    reason: str = "unspecified"


def make_crl(
    issuer: Authority, entries: Sequence[Revoked], number: int, now: datetime, days: int
) -> bytes:
    """Return the CRL with these entries as PEM; the next one is due after so many days."""
    public = issuer.key.public.handle
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.handle.subject)
        .last_update(now)
        .next_update(now + timedelta(days=days))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    for entry in entries:
        builder = builder.add_revoked_certificate(_entry(entry))
    signed = builder.sign(issuer.key.handle, issuer.key.digest)
    return signed.public_bytes(Encoding.PEM)


def _entry(entry: Revoked) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(entry.serial)
    builder = builder.revocation_date(entry.since)
    reason = REASONS[entry.reason]
    if reason is not None:
        builder = builder.add_extension(x509.CRLReason(reason), critical=False)
    return builder.build()

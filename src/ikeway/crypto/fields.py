# SPDX-License-Identifier: Apache-2.0
"""What our certificates and requests say: names, usages, limits, places (RFC 5280 §4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from cryptography import x509
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    NameOID,
    ObjectIdentifier,
)

from ikeway.crypto.profile import Purpose
from ikeway.model.identity import Identity, IdType

USAGES: Final[dict[Purpose, Sequence[ObjectIdentifier]]] = {
    # INTEROP apple: ikeIntermediate beside serverAuth does no harm, and old clients ask for it.
    "server": (ExtendedKeyUsageOID.SERVER_AUTH, ObjectIdentifier("1.3.6.1.5.5.8.2.2")),
    "client": (ExtendedKeyUsageOID.CLIENT_AUTH,),
}
"""Extended key usages of either role."""


@dataclass(frozen=True, slots=True)
class Places:
    """The URLs at which an authority publishes its CRL, and answers OCSP requests."""

    crls: tuple[str, ...] = ()
    ocsp: tuple[str, ...] = ()

    def written(self, unsigned: x509.CertificateBuilder) -> x509.CertificateBuilder:
        """Return a certificate with them (RFC 5280 §4.2.1.13, §4.2.2.1)."""
        if self.crls:
            uris = [x509.UniformResourceIdentifier(url) for url in self.crls]
            points = [x509.DistributionPoint(uris, None, None, None)]
            unsigned = unsigned.add_extension(x509.CRLDistributionPoints(points), critical=False)
        if self.ocsp:
            access = [
                x509.AccessDescription(
                    AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url)
                )
                for url in self.ocsp
            ]
            unsigned = unsigned.add_extension(
                x509.AuthorityInformationAccess(access), critical=False
            )
        return unsigned


NOWHERE: Final = Places()


def common_name(text: str) -> x509.Name:
    """Return a subject with nothing but a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def general_names(name: Identity) -> tuple[x509.GeneralName, ...]:
    """Return how a name stands in subjectAltName.

    Raises:
        ValueError: it cannot.
    """
    if name.type is IdType.FQDN:
        return (x509.DNSName(str(name)),)
    if name.type is IdType.RFC822_ADDR:
        return (x509.RFC822Name(str(name)),)
    if name.type in {IdType.IPV4_ADDR, IdType.IPV6_ADDR}:
        # INTEROP windows: an address as server name must also stand there as dNSName.
        return x509.IPAddress(ip_address(name.data)), x509.DNSName(str(name))
    raise ValueError(f"{name} cannot stand in subjectAltName")


def key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    """Return what a key is for (RFC 5280 §4.2.1.3)."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def subtrees(text: str) -> tuple[x509.GeneralName, ...]:
    """Return the names within a domain, hosts and mailboxes, or the addresses of a prefix.

    Raises:
        ValueError: it is neither.
    """
    try:
        return (x509.IPAddress(ip_network(text)),)
    except ValueError:
        pass
    if "/" in text or not text.isascii() or not text.strip("."):
        raise ValueError(f"{text!r} is no domain and no prefix")
    domain = text.strip(".")
    return x509.DNSName(domain), x509.RFC822Name(domain), x509.RFC822Name(f".{domain}")


def limited(
    unsigned: x509.CertificateBuilder, permitted: Sequence[x509.GeneralName]
) -> x509.CertificateBuilder:
    """Return an authority's certificate that vouches for names within `permitted` only."""
    if not permitted:
        return unsigned
    limits = x509.NameConstraints(list(permitted), None)
    return unsigned.add_extension(limits, critical=True)

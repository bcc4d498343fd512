# SPDX-License-Identifier: Apache-2.0
"""A small certification authority: for `ikeway demo` and `ikeway ca` (RFC 5280 §4, RFC 4945 §5).

The keys come from OpenSSL's own random source; nothing here runs inside the IKE core.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    NameOID,
    ObjectIdentifier,
)

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.keypair import KeyAlgorithm, PrivateHandle, PrivateKey, PublicKey
from ikeway.crypto.profile import Purpose
from ikeway.model.identity import Identity, IdType

_RSA_BITS: Final = 3072
_BACKDATE: Final = timedelta(minutes=5)
"""Clocks of devices differ a little from ours."""

_GENERATE: Final[dict[KeyAlgorithm, Callable[[], PrivateHandle]]] = {
    KeyAlgorithm.RSA: lambda: rsa.generate_private_key(65537, _RSA_BITS),
    KeyAlgorithm.ECDSA_256: lambda: ec.generate_private_key(ec.SECP256R1()),
    KeyAlgorithm.ECDSA_384: lambda: ec.generate_private_key(ec.SECP384R1()),
    KeyAlgorithm.ECDSA_521: lambda: ec.generate_private_key(ec.SECP521R1()),
    KeyAlgorithm.ED25519: ed25519.Ed25519PrivateKey.generate,
    KeyAlgorithm.ED448: ed448.Ed448PrivateKey.generate,
    KeyAlgorithm.MLDSA_44: mldsa.MLDSA44PrivateKey.generate,
    KeyAlgorithm.MLDSA_65: mldsa.MLDSA65PrivateKey.generate,
    KeyAlgorithm.MLDSA_87: mldsa.MLDSA87PrivateKey.generate,
}
HASHES: Final[dict[KeyAlgorithm, hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    KeyAlgorithm.RSA: hashes.SHA256(),
    KeyAlgorithm.ECDSA_256: hashes.SHA256(),
    KeyAlgorithm.ECDSA_384: hashes.SHA384(),
    KeyAlgorithm.ECDSA_521: hashes.SHA512(),
}
"""What is hashed before it is signed; other algorithms sign the message itself."""
_USAGES: Final[dict[Purpose, Sequence[ObjectIdentifier]]] = {
    # INTEROP apple: ikeIntermediate beside serverAuth does no harm, and old clients ask for it.
    "server": (ExtendedKeyUsageOID.SERVER_AUTH, ObjectIdentifier("1.3.6.1.5.5.8.2.2")),
    "client": (ExtendedKeyUsageOID.CLIENT_AUTH,),
}


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


_NOWHERE: Final = Places()


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate with the key that issues others."""

    certificate: Certificate
    key: PrivateKey


def generate_key(algorithm: KeyAlgorithm) -> PrivateKey:
    """Return a fresh key."""
    return PrivateKey.of(_GENERATE[algorithm]())


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
    unsigned = _limited(unsigned, permitted)
    return Authority(_signed(unsigned.issuer_name(subject), key), key)


def issue_authority(  # noqa: PLR0913, PLR0917 - what stands in its certificate
    issuer: Authority,
    name: str,
    algorithm: KeyAlgorithm,
    now: datetime,
    days: int,
    path_length: int | None = 0,
    permitted: Sequence[x509.GeneralName] = (),
    places: Places = _NOWHERE,
) -> Authority:
    """Return an authority below another one; with a path length of 0 it issues leaves only."""
    key = generate_key(algorithm)
    dated = _dated(common_name(name), key.public, now, days)
    unsigned = _authority_fields(dated, key.public, path_length)
    unsigned = _limited(places.written(unsigned), permitted)
    return Authority(_signed(_below(unsigned, issuer), issuer.key), key)


def issue(  # noqa: PLR0913, PLR0917 - what stands in a certificate
    issuer: Authority,
    public: PublicKey,
    names: Sequence[Identity],
    purpose: Purpose,
    now: datetime,
    days: int,
    places: Places = _NOWHERE,
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
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USAGES[purpose]), critical=False)
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
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public.handle), critical=False)
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


def _limited(
    unsigned: x509.CertificateBuilder, permitted: Sequence[x509.GeneralName]
) -> x509.CertificateBuilder:
    if not permitted:
        return unsigned
    limits = x509.NameConstraints(list(permitted), None)
    return unsigned.add_extension(limits, critical=True)


def _below(unsigned: x509.CertificateBuilder, issuer: Authority) -> x509.CertificateBuilder:
    public = issuer.key.public.handle
    return unsigned.issuer_name(issuer.certificate.handle.subject).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False
    )


def _signed(unsigned: x509.CertificateBuilder, key: PrivateKey) -> Certificate:
    handle = unsigned.sign(key.handle, HASHES.get(key.algorithm))
    return Certificate.of(handle.public_bytes(Encoding.DER))


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


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
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

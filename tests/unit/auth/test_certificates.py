# SPDX-License-Identifier: Apache-2.0
"""Which identities a certificate proves."""

from ipaddress import ip_address

import pytest
from cryptography import x509

from ikeway.auth.certificates import identity_matches
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.names import distinguished_name
from ikeway.model.identity import Identity, IdType
from support.pki import certificate, private_key

KEY = private_key(KeyAlgorithm.ECDSA_256)
SANS = x509.SubjectAlternativeName(
    [
        x509.DNSName("vpn.example.com"),
        x509.DNSName("*.wild.example"),
        x509.RFC822Name("Jo@Example.com"),
        x509.IPAddress(ip_address("192.0.2.1")),
        x509.IPAddress(ip_address("2001:db8::1")),
    ]
)
CERTIFICATE = certificate("cn.example.com", KEY, "root", KEY, [(SANS, False)])


@pytest.mark.conformance("CF-I18")
@pytest.mark.parametrize(
    "text",
    ["vpn.example.com", "VPN.Example.COM", "Jo@example.COM", "192.0.2.1", "2001:db8::1"],
)
def test_a_name_or_address_of_subject_alt_name_is_proven(text: str) -> None:
    assert identity_matches(Identity.parse(text), CERTIFICATE)


@pytest.mark.conformance("CF-I18")
@pytest.mark.parametrize(
    "identity",
    [
        Identity.parse("cn.example.com"),
        Identity.parse("example.com"),
        Identity.parse("a.wild.example"),
        Identity.parse("*.example.com"),
        Identity.parse("vpn.example.com."),
        Identity(IdType.FQDN, b"vpn.example.com\0"),
        Identity(IdType.FQDN, b""),
        Identity.parse("jo@example.com"),
        Identity(IdType.RFC822_ADDR, b"example.com"),
        Identity(IdType.RFC822_ADDR, b"vpn.example.com"),
        Identity(IdType.FQDN, b"Jo@Example.com"),
        Identity(IdType.FQDN, b"192.0.2.1"),
        Identity.parse("192.0.2.2"),
        Identity(IdType.IPV6_ADDR, bytes(12) + ip_address("192.0.2.1").packed),
        Identity(IdType.KEY_ID, b"vpn.example.com"),
        Identity(IdType.NULL, b""),
        Identity(IdType(201), b"vpn.example.com"),
    ],
    ids=str,
)
def test_everything_else_is_not(identity: Identity) -> None:
    """Neither the common name, nor wildcards, nor the right octets under another type."""
    assert not identity_matches(identity, CERTIFICATE)


@pytest.mark.conformance("CF-I18")
def test_a_distinguished_name_is_that_of_the_subject_by_x500_rules() -> None:
    assert identity_matches(distinguished_name("CN=CN.EXAMPLE.com"), CERTIFICATE)
    assert not identity_matches(distinguished_name("CN=vpn.example.com"), CERTIFICATE)
    assert not identity_matches(distinguished_name("C=CH, CN=cn.example.com"), CERTIFICATE)
    assert not identity_matches(Identity(IdType.DER_ASN1_DN, b""), CERTIFICATE)


def test_a_certificate_without_names_proves_its_subject_only() -> None:
    bare = certificate("cn.example.com", KEY, "root", KEY)
    assert identity_matches(distinguished_name("CN=cn.example.com"), bare)
    assert not identity_matches(Identity.parse("cn.example.com"), bare)

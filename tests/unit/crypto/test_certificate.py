# SPDX-License-Identifier: Apache-2.0
"""Certificates as values."""

import hashlib
import random
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from ikeway.crypto.authority import create_authority, pem
from ikeway.crypto.certificate import Certificate, load_certificates
from ikeway.crypto.der import SEQUENCE, decode, encode
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.profile import check_issuer
from ikeway.model.errors import AuthenticationError, ConfigError
from ikeway.model.identity import Identity
from support.pki import NOW, certificate, private_key, root, rsa_public_key_info

KEY = private_key(KeyAlgorithm.ECDSA_256)
SANS = x509.SubjectAlternativeName(
    [
        x509.DNSName("vpn.example.com"),
        x509.RFC822Name("jo@example.com"),
        x509.IPAddress(ip_address("192.0.2.1")),
        x509.IPAddress(ip_address("2001:db8::1")),
        x509.UniformResourceIdentifier("https://example.com"),
    ]
)
LEAF = certificate("leaf", KEY, "root", KEY, [(SANS, False)])


def test_names_and_addresses_become_identities() -> None:
    texts = ("vpn.example.com", "jo@example.com", "192.0.2.1", "2001:db8::1")
    assert LEAF.sans == tuple(map(Identity.parse, texts))
    assert root("root", KEY).sans == ()


def test_subject_issuer_and_dates_are_those_of_the_certificate() -> None:
    assert (LEAF.subject, LEAF.issuer) == ("CN=leaf", "CN=root")
    assert LEAF.subject_der == LEAF.handle.subject.public_bytes()
    assert LEAF.issuer_der == LEAF.handle.issuer.public_bytes()
    assert LEAF.not_before < NOW < LEAF.not_after
    assert LEAF.serial == LEAF.handle.serial_number


def test_the_key_hash_is_that_of_the_subject_public_key_info() -> None:
    """RFC 7296 §3.7: how CERTREQ names an authority."""
    assert LEAF.subject_key_hash == hashlib.sha1(LEAF.public_key.der).digest()


def test_certificates_with_the_same_octets_are_equal() -> None:
    assert Certificate.of(LEAF.der) == LEAF
    assert root("root", KEY) != LEAF
    assert len({Certificate.of(LEAF.der), LEAF}) == 1


def test_files_load_as_pem_with_several_and_as_der() -> None:
    other = root("root", KEY)
    file = b"subject=CN leaf\n" + pem(LEAF) + b"\n# the root\n" + pem(other)
    assert load_certificates(file) == (LEAF, other)
    assert load_certificates(file.replace(b"\n", b"\r\n")) == (LEAF, other)
    assert load_certificates(LEAF.der) == (LEAF,)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"nothing",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
)
def test_a_file_without_a_certificate_is_the_operators_error(octets: bytes) -> None:
    with pytest.raises(ConfigError, match="certificate file"):
        load_certificates(octets)


def test_octets_after_a_certificate_are_refused() -> None:
    with pytest.raises(AuthenticationError, match="no certificate that we can read"):
        Certificate.of(LEAF.der + b"\0")


def test_no_change_of_a_certificate_raises_anything_else() -> None:
    """A peer's CERT payload may hold any octets (and pyca warns of some odd certificates)."""
    source = random.Random(7)
    for _ in range(3000):
        changed = bytearray(LEAF.der)
        for _ in range(source.randint(1, 3)):
            changed[source.randrange(len(changed))] = source.randrange(256)
        try:
            one = Certificate.of(bytes(changed))
            assert one.subject
            assert one.issuer
            assert one.sans is not None
            assert one.public_key
        except AuthenticationError:
            pass


def test_every_part_of_a_certificate_is_an_authentication_error() -> None:
    for size in range(len(LEAF.der)):
        with pytest.raises(AuthenticationError):
            Certificate.of(LEAF.der[:size])


@pytest.mark.parametrize("exponent", [1, 2, 3, 65536])
def test_a_certificate_with_an_odd_rsa_key_has_no_usable_key(exponent: int) -> None:
    """RSA with e = 1: whoever pads a hash has signed it."""
    handle = private_key(KeyAlgorithm.RSA).handle
    assert isinstance(handle, rsa.RSAPrivateKey)
    modulus = handle.private_numbers().public_numbers.n
    with pytest.raises(AuthenticationError, match=r"RSA|key"):
        _ = with_key(rsa_public_key_info(modulus, exponent)).public_key


def test_a_certificate_with_a_fine_rsa_key_in_its_place_has_one() -> None:
    handle = private_key(KeyAlgorithm.RSA).handle
    assert isinstance(handle, rsa.RSAPrivateKey)
    modulus = handle.private_numbers().public_numbers.n
    assert with_key(rsa_public_key_info(modulus, 65537)).public_key.algorithm is KeyAlgorithm.RSA


def test_the_key_of_a_curve_that_we_do_not_use_is_refused_when_asked_for() -> None:
    curve = bytes.fromhex("06052b8104000a")  # secp256k1
    p256 = bytes.fromhex("06082a8648ce3d030107")
    info = LEAF.fields.public_key_info
    element = decode(info)
    algorithm, key = element.children()
    other = encode(SEQUENCE, encode(SEQUENCE, algorithm.contents.replace(p256, curve)), key.whole)
    with pytest.raises(AuthenticationError):
        _ = with_key(other).public_key


def test_a_certificate_of_version_1_is_read_but_issues_nothing() -> None:
    """It has no version field and no extensions, so nothing says that it is an authority."""
    whole, algorithm, signature = decode(certificate("old", KEY, "old", KEY).der).children()
    fields = [part.whole for part in whole.children()][1:]
    old = Certificate.of(
        encode(SEQUENCE, encode(SEQUENCE, *fields), algorithm.whole, signature.whole)
    )
    assert (old.subject, old.issuer, old.sans) == ("CN=old", "CN=old", ())
    assert old.public_key.der == KEY.public.der
    with pytest.raises(AuthenticationError, match="no certification authority"):
        check_issuer(old, [LEAF])


def test_an_authority_made_by_us_is_read_again() -> None:
    made = create_authority("Root", KeyAlgorithm.ED25519, NOW, 10).certificate
    assert made.handle.public_bytes(Encoding.DER) == made.der


def with_key(info: bytes) -> Certificate:
    """The certificate LEAF with another SubjectPublicKeyInfo, and so with a wrong signature."""
    whole, algorithm, signature = decode(LEAF.der).children()
    parts = [
        info if part.whole == LEAF.fields.public_key_info else part.whole
        for part in whole.children()
    ]
    return Certificate.of(
        encode(SEQUENCE, encode(SEQUENCE, *parts), algorithm.whole, signature.whole)
    )

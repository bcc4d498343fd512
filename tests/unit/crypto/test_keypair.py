# SPDX-License-Identifier: Apache-2.0
"""Loading of keys, and which keys are refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import PrivateKey, PublicKey
from ikeway.model.errors import AuthenticationError, ConfigError
from ikeway.model.secret import Secret
from support.pki import private_key, rsa_public_key_info

EVERY = pytest.mark.parametrize("algorithm", KeyAlgorithm, ids=lambda one: one.value)
MODULUS = (1 << 2047) + 12345678901


@EVERY
def test_a_private_key_survives_a_file_with_and_without_password(algorithm: KeyAlgorithm) -> None:
    key = private_key(algorithm)
    for password in (None, Secret(b"correct horse")):
        again = PrivateKey.load(key.pem(password), password)
        assert again.algorithm is algorithm
        assert again.public.der == key.public.der


@EVERY
def test_der_and_the_older_formats_load_too(algorithm: KeyAlgorithm) -> None:
    key = private_key(algorithm)
    forms = [(Encoding.DER, PrivateFormat.PKCS8)]
    if algorithm is KeyAlgorithm.RSA or algorithm.value.startswith("ecdsa"):
        forms += [(Encoding.PEM, PrivateFormat.TraditionalOpenSSL)]
    for encoding, form in forms:
        octets = key.handle.private_bytes(encoding, form, NoEncryption())
        assert PrivateKey.load(octets).public.der == key.public.der


@EVERY
def test_a_public_key_loads_from_der_and_pem(algorithm: KeyAlgorithm) -> None:
    public = private_key(algorithm).public
    pem = public.handle.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert PublicKey.load(public.der).der == PublicKey.load(pem).der == public.der
    assert PublicKey.load(pem).algorithm is algorithm


def test_a_wrong_or_missing_password_is_the_operators_error() -> None:
    octets = private_key(KeyAlgorithm.ED25519).pem(Secret(b"right"))
    for password in (None, Secret(b"wrong")):
        with pytest.raises(ConfigError, match="no private key that we can use"):
            PrivateKey.load(octets, password)


@pytest.mark.parametrize("octets", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\n"])
def test_what_is_no_key_is_an_error_of_its_owner(octets: bytes) -> None:
    with pytest.raises(ConfigError):
        PrivateKey.load(octets)
    with pytest.raises(AuthenticationError):
        PublicKey.load(octets)


@pytest.mark.parametrize(
    "handle",
    [
        ec.generate_private_key(ec.SECP256K1()),
        ec.generate_private_key(ec.BrainpoolP256R1()),
        x25519.X25519PrivateKey.generate(),
        dsa.generate_private_key(2048),
    ],
    ids=["secp256k1", "brainpoolP256r1", "X25519", "DSA"],
)
def test_other_kinds_of_keys_are_refused(handle: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(ConfigError, match="do not use"):
        PrivateKey.of(handle)
    with pytest.raises(AuthenticationError, match="do not use"):
        PublicKey.of(handle.public_key())


def test_a_short_rsa_key_is_refused() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    with pytest.raises(ConfigError, match="an RSA key of 1024 bits"):
        PrivateKey.of(weak)
    with pytest.raises(AuthenticationError, match="an RSA key of 1024 bits"):
        PublicKey.of(weak.public_key())


@pytest.mark.parametrize("exponent", [1, 2, 3, 17, 65536, 1 << 40, (1 << 40) + 1, MODULUS - 2])
def test_an_rsa_key_with_an_odd_exponent_of_ill_size_or_an_even_one_is_refused(
    exponent: int,
) -> None:
    """With e = 1 the padded message is its own signature; a huge e keeps us busy."""
    with pytest.raises(AuthenticationError):
        PublicKey.load(rsa_public_key_info(MODULUS, exponent))


def test_an_rsa_key_with_an_even_modulus_or_a_huge_one_is_refused() -> None:
    for modulus in (MODULUS + 1, (1 << 8300) + 1, (1 << 20000) + 1):
        with pytest.raises(AuthenticationError):
            PublicKey.load(rsa_public_key_info(modulus, 65537))


def test_an_rsa_key_of_two_plain_numbers_loads() -> None:
    """So that the refusals above are about the numbers, not about the encoding."""
    assert PublicKey.load(rsa_public_key_info(MODULUS, 65537)).algorithm is KeyAlgorithm.RSA


def test_nothing_of_a_private_key_is_printed() -> None:
    key = private_key(KeyAlgorithm.RSA)
    assert isinstance(key.handle, rsa.RSAPrivateKey)
    assert str(key.handle.private_numbers().d)[:12] not in repr(key)

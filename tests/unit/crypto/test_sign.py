# SPDX-License-Identifier: Apache-2.0
"""Signature schemes: what verifies, and every way in which something does not."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS

from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.sign import OLDER_METHODS, SCHEMES, Scheme, scheme_named, sign, verify
from ikeway.model.errors import AuthenticationError
from support.pki import private_key

EVERY = (*SCHEMES, *(OLDER_METHODS[method] for method in (9, 10, 11)))
PAIRS = [
    pytest.param(scheme, algorithm, id=f"{scheme.name}-{algorithm.value}")
    for scheme in EVERY
    for algorithm in KeyAlgorithm
]
OCTETS = b"what a side signs"


@pytest.mark.conformance("CF-N09")
@pytest.mark.parametrize(("scheme", "algorithm"), PAIRS)
def test_a_scheme_works_with_its_own_kind_of_key_only(
    scheme: Scheme, algorithm: KeyAlgorithm
) -> None:
    key = private_key(algorithm)
    if algorithm in scheme.algorithms:
        verify(key.public, scheme, OCTETS, sign(key, scheme, OCTETS))
        return
    with pytest.raises(ValueError, match="with a key for"):
        sign(key, scheme, OCTETS)
    with pytest.raises(AuthenticationError, match="with a key for"):
        verify(key.public, scheme, OCTETS, bytes(64))


@pytest.mark.parametrize("scheme", EVERY, ids=lambda row: row.name)
def test_a_changed_signature_or_message_does_not_verify(scheme: Scheme) -> None:
    algorithm = min(scheme.algorithms, key=lambda one: one.value)
    key = private_key(algorithm)
    signature = sign(key, scheme, OCTETS)
    changed = bytes([*signature[:-1], signature[-1] ^ 1])
    wrong = [b"", bytes(1), signature[:-1], b"\0" + signature, changed, bytes(len(signature))]
    for candidate in wrong:
        with pytest.raises(AuthenticationError, match="does not verify"):
            verify(key.public, scheme, OCTETS, candidate)
    with pytest.raises(AuthenticationError, match="does not verify"):
        verify(key.public, scheme, OCTETS + b"!", signature)


@pytest.mark.parametrize("scheme", EVERY, ids=lambda row: row.name)
def test_another_key_of_the_same_kind_does_not_verify(scheme: Scheme) -> None:
    algorithm = min(scheme.algorithms, key=lambda one: one.value)
    signature = sign(private_key(algorithm), scheme, OCTETS)
    with pytest.raises(AuthenticationError, match="does not verify"):
        verify(private_key(algorithm, 1).public, scheme, OCTETS, signature)


@pytest.mark.parametrize("name", ["RSA_SHA2_256", "ECDSA_SHA2_256", "ED25519"])
def test_octets_after_a_signature_are_refused(name: str) -> None:
    scheme = scheme_named(name)
    key = private_key(min(scheme.algorithms, key=lambda one: one.value))
    with pytest.raises(AuthenticationError, match="does not verify"):
        verify(key.public, scheme, OCTETS, sign(key, scheme, OCTETS) + b"\0")


@pytest.mark.conformance("CF-N06")
@pytest.mark.parametrize(
    "padding",
    [
        PSS(MGF1(hashes.SHA256()), salt_length=20),
        PSS(MGF1(hashes.SHA256()), salt_length=0),
        PSS(MGF1(hashes.SHA512()), salt_length=32),
        PSS(MGF1(hashes.SHA1()), salt_length=32),
    ],
    ids=["salt of 20", "no salt", "MGF1 with SHA-512", "MGF1 with SHA-1"],
)
def test_pss_with_other_parameters_than_its_identifier_says_does_not_verify(padding: PSS) -> None:
    key = private_key(KeyAlgorithm.RSA)
    assert isinstance(key.handle, rsa.RSAPrivateKey)
    signature = key.handle.sign(OCTETS, padding, hashes.SHA256())
    with pytest.raises(AuthenticationError, match="does not verify"):
        verify(key.public, scheme_named("RSA_PSS_SHA2_256"), OCTETS, signature)


def test_pkcs1_and_pss_do_not_verify_for_each_other() -> None:
    key = private_key(KeyAlgorithm.RSA)
    one, two = scheme_named("RSA_SHA2_256"), scheme_named("RSA_PSS_SHA2_256")
    for made, checked in ((one, two), (two, one)):
        with pytest.raises(AuthenticationError, match="does not verify"):
            verify(key.public, checked, OCTETS, sign(key, made, OCTETS))


@pytest.mark.conformance("CF-N10")
@pytest.mark.parametrize(
    ("method", "algorithm", "octets"),
    [
        (9, KeyAlgorithm.ECDSA_256, 64),
        (10, KeyAlgorithm.ECDSA_384, 96),
        (11, KeyAlgorithm.ECDSA_521, 132),
    ],
)
def test_the_older_ecdsa_methods_have_r_and_s_of_fixed_length(
    method: int, algorithm: KeyAlgorithm, octets: int
) -> None:
    """RFC 4754 §7; each curve is bound to its hash."""
    scheme = OLDER_METHODS[method]
    assert scheme.algorithms == {algorithm}
    key = private_key(algorithm)
    signature = sign(key, scheme, OCTETS)
    assert len(signature) == octets
    half = octets // 2
    for wrong in (signature[:-2], bytes(half) + signature[half:], signature[:half] + bytes(half)):
        with pytest.raises(AuthenticationError, match="does not verify"):
            verify(key.public, scheme, OCTETS, wrong)


@pytest.mark.conformance("CF-N10")
def test_a_der_signature_is_none_of_the_older_methods() -> None:
    key = private_key(KeyAlgorithm.ECDSA_256)
    der = sign(key, scheme_named("ECDSA_SHA2_256"), OCTETS)
    with pytest.raises(AuthenticationError, match="does not verify"):
        verify(key.public, OLDER_METHODS[9], OCTETS, der)


@pytest.mark.conformance("CF-N07")
@pytest.mark.parametrize("name", ["ED25519", "ED448"])
def test_eddsa_is_pure_and_needs_the_identity_hash(name: str) -> None:
    scheme = scheme_named(name)
    assert scheme.hash == 5
    key = private_key(KeyAlgorithm[name])
    assert sign(key, scheme, OCTETS) == key.handle.sign(OCTETS)  # type: ignore[call-arg, union-attr]


def test_a_scheme_without_a_name_is_a_lookup_error() -> None:
    with pytest.raises(LookupError):
        scheme_named("RSA_MD5")

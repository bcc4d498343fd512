# SPDX-License-Identifier: Apache-2.0
"""Authentication with signatures: choice, Authentication Data, refusals (RFC 7427)."""

from collections.abc import Collection

import pytest

from ikeway.auth import signatures
from ikeway.auth.signatures import (
    DIGITAL_SIGNATURE,
    OUR_HASHES,
    choose,
    decode_hashes,
    encode_hashes,
    verify,
)
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.sign import SignatureHash, scheme_named, sign
from ikeway.model.errors import AuthenticationError, MalformedError
from support.pki import private_key

OCTETS = b"what a side signs"
RSA, P256, P384, P521 = (
    KeyAlgorithm.RSA,
    KeyAlgorithm.ECDSA_256,
    KeyAlgorithm.ECDSA_384,
    KeyAlgorithm.ECDSA_521,
)
SHA1, SHA256, SHA384, SHA512 = (
    SignatureHash(1),
    SignatureHash(2),
    SignatureHash(3),
    SignatureHash(4),
)


def auth_data(algorithm: KeyAlgorithm, method: int, name: str) -> bytes:
    signature = sign(private_key(algorithm), scheme_named(name), OCTETS)
    return signatures.encode(method, name, signature)


@pytest.mark.conformance("CF-N01", "CF-N08")
def test_we_announce_sha2_and_identity_but_not_sha1() -> None:
    assert encode_hashes(OUR_HASHES) == bytes.fromhex("0002000300040005")


@pytest.mark.conformance("CF-N01")
def test_hashes_that_we_do_not_know_are_ignored() -> None:
    assert decode_hashes(bytes.fromhex("000212340005ffff0000")) == {2, 5}
    assert decode_hashes(b"") == frozenset()


@pytest.mark.parametrize("data", [b"\0", b"\0\2\0"])
def test_half_a_number_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError, match="an odd number"):
        decode_hashes(data)


CHOICES = [
    (RSA, OUR_HASHES, "RSA_SHA2_256"),
    (RSA, {SHA512}, "RSA_SHA2_512"),
    (P256, OUR_HASHES, "ECDSA_SHA2_256"),
    (P384, OUR_HASHES, "ECDSA_SHA2_384"),
    (P384, {SHA256, SHA512}, "ECDSA_SHA2_512"),
    (P384, {SHA256}, "ECDSA_SHA2_256"),
    (P521, OUR_HASHES, "ECDSA_SHA2_512"),
    (KeyAlgorithm.ED25519, {5}, "ED25519"),
    (KeyAlgorithm.ED448, OUR_HASHES, "ED448"),
]


@pytest.mark.conformance("CF-N02", "CF-N03")
@pytest.mark.parametrize(("algorithm", "hashes", "name"), CHOICES)
def test_we_sign_by_method_14_with_a_hash_that_the_peer_listed(
    algorithm: KeyAlgorithm, hashes: Collection[int], name: str
) -> None:
    assert choose(private_key(algorithm).public, hashes) == (DIGITAL_SIGNATURE, name)


@pytest.mark.conformance("CF-N07")
@pytest.mark.parametrize("algorithm", [KeyAlgorithm.ED25519, KeyAlgorithm.ED448])
@pytest.mark.parametrize("hashes", [{SHA256, SHA384, SHA512}, set(), None])
def test_eddsa_needs_a_peer_that_lists_identity(
    algorithm: KeyAlgorithm, hashes: set[int] | None
) -> None:
    with pytest.raises(AuthenticationError, match="no way to sign"):
        choose(private_key(algorithm).public, hashes, allow_sha1=True)


@pytest.mark.parametrize(
    ("algorithm", "method", "name"),
    [
        (P256, 9, "ECDSA_256_SHA2_256_RAW"),
        (P384, 10, "ECDSA_384_SHA2_384_RAW"),
        (P521, 11, "ECDSA_521_SHA2_512_RAW"),
    ],
)
@pytest.mark.conformance("CF-N10")
def test_a_peer_without_rfc_7427_gets_the_older_ecdsa_methods(
    algorithm: KeyAlgorithm, method: int, name: str
) -> None:
    assert choose(private_key(algorithm).public, None) == (method, name)
    verify(method, auth_data(algorithm, method, name), private_key(algorithm).public, OCTETS)


@pytest.mark.conformance("CF-N08")
def test_rsa_signs_with_sha1_only_where_it_is_allowed() -> None:
    public = private_key(RSA).public
    for hashes in (None, {SHA1}):
        with pytest.raises(AuthenticationError, match="no way to sign"):
            choose(public, hashes)
    assert choose(public, None, allow_sha1=True) == (1, "RSA_SHA1")
    assert choose(public, {SHA1}, allow_sha1=True) == (14, "RSA_SHA1")
    assert choose(public, {SHA1, SHA512}, allow_sha1=True) == (14, "RSA_SHA2_512")


def test_pss_is_chosen_only_where_the_connection_says_so() -> None:
    public = private_key(RSA).public
    assert choose(public, OUR_HASHES, pss=True) == (14, "RSA_PSS_SHA2_256")
    assert choose(public, {SHA384}, pss=True) == (14, "RSA_PSS_SHA2_384")
    assert choose(private_key(P256).public, OUR_HASHES, pss=True) == (14, "ECDSA_SHA2_256")


@pytest.mark.parametrize("algorithm", KeyAlgorithm, ids=lambda one: one.value)
def test_what_we_sign_verifies(algorithm: KeyAlgorithm) -> None:
    method, name = choose(private_key(algorithm).public, OUR_HASHES)
    data = auth_data(algorithm, method, name)
    scheme = verify(method, data, private_key(algorithm).public, OCTETS)
    assert scheme.name == name


@pytest.mark.conformance("CF-N04")
def test_authentication_data_is_length_identifier_and_signature() -> None:
    data = auth_data(RSA, DIGITAL_SIGNATURE, "RSA_SHA2_256")
    assert data[:16].hex() == "0f300d06092a864886f70d01010b0500"
    assert len(data) == 16 + 256


@pytest.mark.conformance("CF-N04")
def test_authentication_data_of_another_shape_is_refused() -> None:
    data = auth_data(P256, DIGITAL_SIGNATURE, "ECDSA_SHA2_256")
    wrong = [
        b"",
        b"\0",
        b"\0" + data[1:],
        b"\x0c",
        data[:13],
        b"\xff" + data[1:],
        bytes([data[0] + 1]) + data[1:],
        bytes([data[0] - 1]) + data[1:],
        data + b"\0",
        data[1:],
    ]
    for claimed in wrong:
        with pytest.raises(AuthenticationError):
            verify(DIGITAL_SIGNATURE, claimed, private_key(P256).public, OCTETS)


@pytest.mark.conformance("CF-N03")
def test_a_hash_that_we_did_not_list_is_refused() -> None:
    data = auth_data(RSA, DIGITAL_SIGNATURE, "RSA_SHA2_256")
    with pytest.raises(AuthenticationError, match="its hash is not one that we allow"):
        verify(DIGITAL_SIGNATURE, data, private_key(RSA).public, OCTETS, {SHA384, SHA512})


@pytest.mark.conformance("CF-N08")
def test_sha1_is_accepted_by_method_1_only_and_only_where_allowed() -> None:
    public = private_key(RSA).public
    older, newer = (auth_data(RSA, method, "RSA_SHA1") for method in (1, DIGITAL_SIGNATURE))
    verify(1, older, public, OCTETS, allow_sha1=True)
    for method, data, allowed in ((1, older, False), (14, newer, False), (14, newer, True)):
        with pytest.raises(AuthenticationError, match="its hash is not one that we allow"):
            verify(method, data, public, OCTETS, allow_sha1=allowed)


@pytest.mark.conformance("CF-N09")
def test_the_key_of_the_certificate_must_be_of_the_kind_that_signed() -> None:
    data = auth_data(P256, DIGITAL_SIGNATURE, "ECDSA_SHA2_256")
    for algorithm in (RSA, KeyAlgorithm.ED25519):
        with pytest.raises(AuthenticationError, match="with a key for"):
            verify(DIGITAL_SIGNATURE, data, private_key(algorithm).public, OCTETS)
    with pytest.raises(AuthenticationError, match="with a key for"):
        verify(10, bytes(96), private_key(P256).public, OCTETS)


@pytest.mark.parametrize("method", [0, 2, 3, 12, 13, 15, 255])
def test_methods_that_are_no_signature_of_ours_are_refused(method: int) -> None:
    with pytest.raises(AuthenticationError, match=f"authentication method {method}"):
        verify(method, bytes(64), private_key(P256).public, OCTETS)

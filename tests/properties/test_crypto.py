# SPDX-License-Identifier: Apache-2.0
"""Laws for every row of every table, and for whatever a stranger sends."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ikeway.auth import signatures
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.encr import ROWS as CIPHERS
from ikeway.crypto.integ import ROWS as INTEGRITIES
from ikeway.crypto.kex import key_exchange
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import PublicKey
from ikeway.crypto.protection import DirectionKeys, Protection
from ikeway.crypto.random import SeededRandom
from ikeway.model.errors import AuthenticationError, IntegrityError, InvalidPublicValueError
from ikeway.model.secret import Secret
from support.pki import private_key

PROTECTIONS = [
    Protection.of(row.code, bits, integ)
    for row in CIPHERS
    if row.serves_ike
    for bits in row.key_bits
    for integ in ((0,) if row.icv else [one.code for one in INTEGRITIES])
]
protections = st.sampled_from(PROTECTIONS)
# One method of each family; MODP 2048 stands for its kind.
methods = st.sampled_from([key_exchange(code) for code in (14, 19, 20, 21, 31, 32)])


def keys(protection: Protection, seed: bytes) -> DirectionKeys:
    source = SeededRandom(Secret(seed))
    encr, integ = protection.encr_key_octets, protection.integ_key_octets
    return DirectionKeys(Secret(source.octets(encr)), Secret(source.octets(integ)))


@given(
    protection=protections,
    seed=st.binary(min_size=32, max_size=32),
    prefix=st.binary(min_size=32, max_size=80),
    plaintext=st.binary(max_size=300),
)
def test_what_is_sealed_opens_to_itself(
    protection: Protection, seed: bytes, prefix: bytes, plaintext: bytes
) -> None:
    both = keys(protection, seed)
    body = protection.seal(both, seed[: protection.iv_octets], prefix, plaintext)
    assert len(body) == protection.body_octets(len(plaintext))
    assert protection.open(both, prefix, body) == plaintext


@given(protection=protections, body=st.binary(max_size=200))
def test_any_octets_that_nobody_sealed_are_an_integrity_error(
    protection: Protection, body: bytes
) -> None:
    try:
        protection.open(keys(protection, bytes(32)), bytes(32), body)
    except IntegrityError:
        return
    raise AssertionError("a forgery opened")


@settings(max_examples=200)
@given(data=st.data(), method=methods)
def test_any_public_value_gives_a_secret_or_is_refused(data: st.DataObject, method: object) -> None:
    assert isinstance(method, type(key_exchange(14)))
    size = method.offer_octets
    offer = data.draw(st.binary(min_size=size, max_size=size) | st.binary(max_size=300))
    try:
        answer, shared = method.answer(SeededRandom(Secret(bytes(32))), offer)
    except InvalidPublicValueError:
        return
    assert len(offer) == size
    assert len(answer) == method.answer_octets
    assert any(shared.octets)


@given(
    method=st.sampled_from([1, 9, 10, 11, 14]) | st.integers(0, 255),
    data=st.binary(max_size=200),
    algorithm=st.sampled_from(KeyAlgorithm),
)
def test_any_authentication_data_is_refused(
    method: int, data: bytes, algorithm: KeyAlgorithm
) -> None:
    try:
        signatures.verify(method, data, private_key(algorithm).public, b"octets", allow_sha1=True)
    except AuthenticationError:
        return
    raise AssertionError("a forgery verified")


@given(st.binary(max_size=300))
def test_any_octets_are_no_certificate_and_no_key(octets: bytes) -> None:
    for read in (Certificate.of, PublicKey.load):
        try:
            read(octets)
        except AuthenticationError:
            continue
        raise AssertionError("octets that nobody made were taken")

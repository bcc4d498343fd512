# SPDX-License-Identifier: Apache-2.0
"""Signatures that must prove nothing, whichever side makes them (RFC 7296 §2.15, RFC 7427 §3)."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS

from ikeway.crypto.der import SEQUENCE, decode, encode
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.sign import scheme_named
from ikeway.ike.questions import Sign, Signed
from ikeway.model.identity import Identity
from ikeway.policy.credentials import IdPattern
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Authentication, Certificate
from ikeway.wire.registry import AuthMethod, CertEncoding, ExchangeType
from support.forge import edited, opened
from support.hosts import CA, LEFT, Row, authority, leaf, which
from support.ladder import Ladder
from support.pki import private_key, rsa_public_key_info
from support.shell import Host

AUTH = ExchangeType.IKE_AUTH
RSA, P256 = KeyAlgorithm.RSA, KeyAlgorithm.ECDSA_256
WHOLE = {"fragment_size": 0}
Edit = Callable[[Body], Body]
SIDES = pytest.mark.parametrize("side", ["left", "right"])


def attacked(row: Row, side: str, kind: KeyAlgorithm, edit: Edit) -> Host:
    """Have a side send other payloads in IKE_AUTH than it should; return who judges them."""
    ladder = row.certificates(WHOLE, WHOLE, kind)
    sender: Host = getattr(ladder, side)
    edited(ladder, lambda payloads: tuple(edit(body) for body in payloads), AUTH, sender)
    return refused(ladder, ladder.other(sender))


def refused(ladder: Ladder, judge: Host) -> Host:
    ladder.connect()
    assert not judge.established
    assert not judge.installed
    ladder.wait(40)
    assert not ladder.left.states
    assert not ladder.right.states
    return judge


def named(scheme: str, identifier: bytes | None = None) -> Edit:
    """Have AUTH say that it is made in another way than it is."""

    def edit(body: Body) -> Body:
        if not isinstance(body, Authentication):
            return body
        signature = body.data[1 + body.data[0] :]
        said = scheme_named(scheme).identifier if identifier is None else identifier
        return replace(body, data=bytes([len(said)]) + said + signature)

    return edit


@pytest.mark.conformance("CF-N09")
@SIDES
@pytest.mark.parametrize("scheme", ["RSA_SHA2_256", "RSA_PSS_SHA2_256", "ED25519", "ML_DSA_65"])
def test_the_algorithm_of_another_kind_of_key_is_refused(row: Row, side: str, scheme: str) -> None:
    """Which key it is, the certificate says, and not the signature."""
    judge = attacked(row, side, P256, named(scheme))
    assert f"{scheme} with a key for ecdsa256" in judge.ends[0].reason


@pytest.mark.conformance("CF-N09", "CF-N10")
@SIDES
def test_an_older_method_of_another_curve_is_refused(row: Row, side: str) -> None:
    """RFC 4754: method 10 is for P-384 only."""

    def edit(body: Body) -> Body:
        if isinstance(body, Authentication):
            return Authentication(AuthMethod.ECDSA_SHA384_P384, bytes(96))
        return body

    assert "with a key for ecdsa256" in attacked(row, side, P256, edit).ends[0].reason


@pytest.mark.conformance("CF-N06")
@SIDES
@pytest.mark.parametrize("octets", [0, 20, 190, 255])
def test_a_salt_of_another_length_than_the_hash_is_refused(
    row: Row, side: str, octets: int
) -> None:
    """RFC 4055 §3.1; a salt of 190 octets would leave the hash of SHA-256 no room beside it."""
    plain = scheme_named("RSA_PSS_SHA2_256").identifier
    salt = b"\2\1" + bytes([octets]) if octets < 128 else b"\2\2\0" + bytes([octets])
    whole = decode(plain)
    oid, parameters = whole.children()
    parts = [part.whole for part in parameters.children()]
    parts[2] = encode(0xA2, salt)
    other = encode(SEQUENCE, oid.whole, encode(SEQUENCE, *parts))
    judge = attacked(row, side, RSA, named("", other))
    assert "a signature algorithm that we do not use" in judge.ends[0].reason


@pytest.mark.conformance("CF-N06")
@SIDES
@pytest.mark.parametrize("octets", [0, 20, 64])
def test_a_salt_of_another_length_than_is_said_is_refused(row: Row, side: str, octets: int) -> None:
    """The right key signs, and the identifier is fine: the parameters are checked all the same."""
    ladder = row.certificates(WHOLE, WHOLE, RSA)
    sender: Host = getattr(ladder, side)
    sender.holds = (Sign,)
    edited(
        ladder,
        lambda payloads: tuple(named("RSA_PSS_SHA2_256")(body) for body in payloads),
        AUTH,
        sender,
    )
    ladder.connect()
    (asked,) = sender.held
    question = asked.question  # type: ignore[union-attr]
    assert isinstance(question, Sign)
    key = sender.pki._keys[question.key].handle
    assert isinstance(key, rsa.RSAPrivateKey)
    padding = PSS(MGF1(hashes.SHA256()), octets)
    ladder.answer(sender, Signed(key.sign(question.octets, padding, hashes.SHA256())))
    judge = refused(ladder, ladder.other(sender))
    assert "signature does not verify" in judge.ends[0].reason


@SIDES
@pytest.mark.parametrize("exponent", [1, 2, 3])
def test_an_rsa_key_that_anybody_can_sign_for_is_refused(
    row: Row, side: str, exponent: int
) -> None:
    """With e = 1 the padded hash is its own signature; the authority has signed it regardless."""
    own = leaf(LEFT if side == "left" else "right.example", P256, CA).leaf
    modulus = 1 << 2047 | 1
    info = rsa_public_key_info(modulus, exponent)
    forged = certified(own.der, own.fields.public_key_info, info)

    def edit(body: Body) -> Body:
        if isinstance(body, Certificate):
            return Certificate(CertEncoding.X509_SIGNATURE, forged)
        return named("RSA_SHA2_256")(body)

    reason = attacked(row, side, P256, edit).ends[0].reason
    assert ("the public exponent 3" if exponent == 3 else "e must be >= 3") in reason


def certified(der: bytes, old: bytes, new: bytes) -> bytes:
    """A certificate with another key, signed by the authority of all ladders."""
    whole, algorithm, _ = decode(der).children()
    parts = [new if part.whole == old else part.whole for part in whole.children()]
    body = encode(SEQUENCE, *parts)
    key = authority(CA).key.handle
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(body, ec.ECDSA(hashes.SHA256()))
    return encode(SEQUENCE, body, algorithm.whole, encode(0x03, b"\0" + signature))


def test_our_own_signature_does_not_come_back_to_us(row: Row) -> None:
    """§2.15: the octets of both sides differ, by message, nonce and identity."""
    ladder = row.certificates(
        left={"peer_id": IdPattern("*")}, right={"local_id": Identity.parse(LEFT)}
    )

    def reflect(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        ours = opened(ladder.right, ladder.sent[2][1].octets)
        (auth,), (shown,) = ours.all(Authentication), ours.all(Certificate)
        return tuple(
            auth
            if isinstance(body, Authentication)
            else shown
            if isinstance(body, Certificate)
            else body
            for body in payloads
        )

    edited(ladder, reflect, AUTH, ladder.right)
    judge = refused(ladder, ladder.left)
    reason = judge.ends[0].reason
    assert "is not for a server" in reason or "signature does not verify" in reason
    assert private_key(P256, which(LEFT)).public.der == leaf(LEFT, P256, CA).public.der

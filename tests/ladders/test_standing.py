# SPDX-License-Identifier: Apache-2.0
"""RFC 5280 §3.3: a certificate that is revoked counts no more, also on an IKE SA that is there."""

import pytest

from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.ike.io import Ask
from ikeway.ike.questions import Refused, Trusted, VerifyCertificate
from ikeway.policy.revocation import Revocation
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Certificate
from ikeway.wire.registry import CertEncoding, ExchangeType
from support.crossing import rekey_ike
from support.forge import edited
from support.hosts import GCM, LEFT, RIGHT, Row, leaf
from support.ladder import Ladder
from support.shell import Host

STRICT = {"revocation": Revocation.STRICT}


def peer_certificate(host: Host) -> Trusted:
    name = RIGHT if host.name == "left" else LEFT
    return Trusted(leaf(name, KeyAlgorithm.ECDSA_256, "Ladder CA").leaf, 600.0)


def watched(row: Row, side: str) -> tuple[Ladder, Host]:
    """A ladder with an IKE SA whose one side looks the other's certificate up again."""
    ladder = row.certificates(left=STRICT, right=STRICT)
    host: Host = getattr(ladder, side)
    host.holds = (VerifyCertificate,)
    ladder.connect()
    ladder.answer(host, peer_certificate(host))
    ladder.settle()
    assert ladder.left.established
    assert ladder.right.established
    return ladder, host


def is_down(ladder: Ladder) -> bool:
    return not any(host.states or host.installed for host in (ladder.left, ladder.right))


def question(host: Host) -> VerifyCertificate:
    (asked,) = host.held
    assert isinstance(asked, Ask)
    assert isinstance(asked.question, VerifyCertificate)
    return asked.question


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_question_says_how_much_is_to_be_known(row: Row, side: str) -> None:
    ladder = row.certificates(left=STRICT, right=STRICT)
    host: Host = getattr(ladder, side)
    host.holds = (VerifyCertificate,)
    ladder.connect()
    assert question(host).revocation is Revocation.STRICT


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_certificate_of_a_connected_peer_is_looked_up_again(row: Row, side: str) -> None:
    ladder, host = watched(row, side)
    first = host.asked.count(VerifyCertificate)
    ladder.wait(590)
    assert host.asked.count(VerifyCertificate) == first
    ladder.wait(15)
    assert question(host).chain
    ladder.answer(host, peer_certificate(host))
    ladder.wait(590)
    assert not host.held
    assert host.established
    ladder.wait(15)
    assert host.held


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_revocation_ends_the_ike_sa_and_its_child(row: Row, side: str) -> None:
    ladder, host = watched(row, side)
    ladder.wait(605)
    ladder.answer(host, Refused("CN=x was revoked: keyCompromise"))
    ladder.settle()
    assert "counts no more: CN=x was revoked" in host.ends[0].reason
    ladder.wait(60)
    assert is_down(ladder)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_rekey_does_not_renew_what_a_certificate_counts(row: Row, side: str) -> None:
    """RFC 7296 §2.8.3: it proves nothing anew; so the successor goes on asking."""
    ladder, host = watched(row, side)
    rekey_ike(ladder, ladder.left)
    ladder.settle()
    ladder.wait(605)
    ladder.answer(host, Refused("CN=x was revoked"))
    ladder.wait(60)
    assert is_down(ladder)


def test_an_answer_that_never_comes_is_asked_for_again(row: Row) -> None:
    ladder, host = watched(row, "right")
    ladder.wait(605)
    assert len(host.held) == 1
    ladder.wait(125)
    assert len(host.held) == 2
    assert host.established


def test_responses_in_the_message_go_with_the_question() -> None:
    """RFC 4806 §3.2: "OCSP Content" in a CERT payload."""
    ladder = GCM.certificates(right=STRICT)
    staple = Certificate(CertEncoding.OCSP_CONTENT, b"response")

    def add(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return (*payloads, staple)

    edited(ladder, add, ExchangeType.IKE_AUTH, ladder.left)
    ladder.right.holds = (VerifyCertificate,)
    ladder.connect()
    assert question(ladder.right).ocsp == (b"response",)


def test_without_a_policy_the_peer_is_believed_once_and_for_all(row: Row) -> None:
    off = {"revocation": Revocation.OFF}
    ladder = row.certificates(left=off, right=off)
    ladder.connect()
    assert ladder.left.asked.count(VerifyCertificate) == 1
    ladder.wait(2000)
    assert ladder.left.asked.count(VerifyCertificate) == 1

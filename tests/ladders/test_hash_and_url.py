# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §3.6: certificates by hash and URL, only where the operator has said from where."""

from dataclasses import replace
from hashlib import sha1

import pytest

from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.ike.io import Ask
from ikeway.ike.questions import Trusted, VerifyCertificate
from ikeway.model.reference import Reference
from ikeway.policy.revocation import Revocation
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Certificate
from ikeway.wire.registry import CertEncoding, ExchangeType, NotifyType
from support.forge import edited
from support.hosts import CA, LEFT, RIGHT, Row, leaf
from support.ladder import Ladder
from support.shell import Host

AUTH = ExchangeType.IKE_AUTH
LOOKUP = NotifyType.HTTP_CERT_LOOKUP_SUPPORTED
URL = "http://certs.example.com/x"


def allowing(row: Row, side: str) -> tuple[Ladder, Host]:
    """A ladder whose one side may fetch, and whose other names its certificate by URL."""
    keep = {"revocation": Revocation.LENIENT}
    ladder = row.certificates(left=keep, right=keep)
    host: Host = getattr(ladder, side)
    env = host.endpoint.env
    allowed = replace(env.credentials, certificate_urls=("http://certs.example.com/",))
    host.endpoint.env = replace(env, credentials=allowed)

    def name(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(_named(body) if isinstance(body, Certificate) else body for body in payloads)

    edited(ladder, name, AUTH, ladder.other(host))
    return ladder, host


def _named(sent: Certificate) -> Certificate:
    data = sha1(sent.data).digest() + URL.encode()
    return Certificate(CertEncoding.HASH_AND_URL_X509, data)


def peer_leaf(host: Host) -> bytes:
    return leaf(RIGHT if host.name == "left" else LEFT, KeyAlgorithm.ECDSA_256, CA).leaf.der


@pytest.mark.conformance("CF-I20")
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_question_names_what_is_to_be_fetched(row: Row, side: str) -> None:
    ladder, host = allowing(row, side)
    host.holds = (VerifyCertificate,)
    ladder.connect()
    (asked,) = host.held
    assert isinstance(asked, Ask)
    assert isinstance(asked.question, VerifyCertificate)
    der = peer_leaf(host)
    assert asked.question.references == (Reference(0, sha1(der).digest(), URL, False),)
    ours = leaf(RIGHT if host.name == "left" else LEFT, KeyAlgorithm.ECDSA_256, CA).leaf
    ladder.answer(host, Trusted(ours, 600.0, (der,)))
    ladder.settle()
    assert host.established
    kept = host.established[0].standing.question
    assert kept is not None
    assert (kept.chain, kept.references) == ((der,), ())


@pytest.mark.conformance("CF-I20")
@pytest.mark.parametrize("side", ["left", "right"])
def test_who_may_not_fetch_refuses_and_does_not_ask(row: Row, side: str) -> None:
    ladder, host = allowing(row, side)
    env = host.endpoint.env
    host.endpoint.env = replace(env, credentials=replace(env.credentials, certificate_urls=()))
    ladder.connect()
    assert VerifyCertificate not in host.asked
    ladder.wait(40)
    assert any("which we do not fetch" in str(event) for event in host.events)
    assert not ladder.left.states
    assert not ladder.right.states


def test_the_responder_says_in_ike_sa_init_that_it_fetches(row: Row) -> None:
    """§3.7: where a CERTREQ may be."""
    ladder, host = allowing(row, "right")
    host.holds = (VerifyCertificate,)
    ladder.connect()
    assert Message.decode(ladder.sent[1][1].octets).notify(LOOKUP)


def test_the_initiator_says_so_in_ike_auth(row: Row) -> None:
    ladder, host = allowing(row, "left")
    host.holds = (VerifyCertificate,)
    ladder.connect()
    assert "HTTP_CERT_LOOKUP_SUPPORTED" in ladder.left.said[1]

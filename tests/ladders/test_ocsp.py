# SPDX-License-Identifier: Apache-2.0
"""RFC 4806: the status of certificates is asked for and shown in IKE_AUTH."""

from dataclasses import replace

import pytest

from ikeway.ike.io import Ask
from ikeway.ike.questions import Sign, Signed, VerifyCertificate
from ikeway.ike.reports import MessageSent
from ikeway.policy.revocation import Revocation
from ikeway.wire.message import Message
from ikeway.wire.payloads import Certificate, CertificateRequest
from ikeway.wire.registry import CertEncoding, ExchangeType
from support.forge import edited
from support.hosts import LEFT, RIGHT, Row
from support.ladder import Ladder
from support.shell import Host

OCSP = CertEncoding.OCSP_CONTENT
INIT, AUTH = ExchangeType.IKE_SA_INIT, ExchangeType.IKE_AUTH
LENIENT = {"revocation": Revocation.LENIENT}
OFF = {"revocation": Revocation.OFF}


def sent(host: Host, exchange: ExchangeType) -> Message:
    """The first message of a host in an exchange."""
    messages = [event.message for event in host.seen(MessageSent)]
    return next(message for message in messages if message.header.exchange is exchange)


def requests(message: Message) -> list[CertificateRequest]:
    return [one for one in message.all(CertificateRequest) if one.encoding is OCSP]


def holding(row: Row, side: str, *responses: bytes) -> tuple[Ladder, Host]:
    """A side whose shell has these responses at hand when it signs."""
    ladder = row.certificates(LENIENT, LENIENT)
    host: Host = getattr(ladder, side)
    host.holds = (Sign,)
    ladder.connect()
    (asked,) = host.held
    assert isinstance(asked, Ask)
    assert isinstance(asked.question, Sign)
    name = LEFT if side == "left" else RIGHT
    own = next(each for each in host.endpoint.env.credentials.certificates if each.key == name)
    assert asked.question.chain == own.chain
    signed = host.pki.sign(asked.question)
    assert isinstance(signed, Signed)
    ladder.answer(host, replace(signed, ocsp=responses))
    return ladder, host


def test_both_ask_and_name_no_responder_of_their_own(row: Row) -> None:
    """§3.1 (a), (c): the authority signs, or whom it has appointed; "zero or more" hashes."""
    ladder = row.certificates(LENIENT, LENIENT)
    ladder.connect()
    empty = [CertificateRequest(OCSP, b"")]
    assert requests(sent(ladder.right, INIT)) == empty
    assert requests(sent(ladder.left, AUTH)) == empty


def test_it_is_a_payload_of_its_own_behind_the_authorities(row: Row) -> None:
    """§4.1: it is "transmitted separate from any other CERTREQ payloads"."""
    ladder = row.certificates(LENIENT, LENIENT)
    ladder.connect()
    kinds = [each.encoding for each in sent(ladder.left, AUTH).all(CertificateRequest)]
    assert kinds == [CertEncoding.X509_SIGNATURE, OCSP]


@pytest.mark.parametrize("side", ["left", "right"])
def test_who_does_not_look_does_not_ask(row: Row, side: str) -> None:
    changes = (OFF, LENIENT) if side == "left" else (LENIENT, OFF)
    ladder = row.certificates(*changes)
    other = ladder.right if side == "left" else ladder.left
    other.holds = (Sign,)
    ladder.connect()
    host: Host = getattr(ladder, side)
    assert not requests(sent(host, AUTH if side == "left" else INIT))
    (asked,) = other.held
    assert isinstance(asked, Ask)
    assert isinstance(asked.question, Sign)
    assert asked.question.chain == ()


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_is_at_hand_is_shown_behind_the_certificates(row: Row, side: str) -> None:
    """§4.2: each "is transmitted separate from any other CERT payload"."""
    ladder, host = holding(row, side, b"one", b"two")
    other = ladder.other(host)
    other.holds = (VerifyCertificate,)
    ladder.settle()
    shown = sent(host, AUTH).all(Certificate)
    assert [(each.encoding, each.data) for each in shown[1:]] == [(OCSP, b"one"), (OCSP, b"two")]
    asked = next(each for each in other.held if isinstance(each, Ask))
    assert isinstance(asked.question, VerifyCertificate)
    assert asked.question.ocsp == (b"one", b"two")


@pytest.mark.parametrize("side", ["left", "right"])
def test_where_nothing_is_at_hand_the_certificate_goes_alone(row: Row, side: str) -> None:
    """§4.1: the peer looks elsewhere then."""
    ladder, host = holding(row, side)
    ladder.settle()
    assert len(sent(host, AUTH).all(Certificate)) == 1
    assert ladder.left.established
    assert ladder.right.established


def test_a_request_with_responders_that_the_peer_trusts_is_one_too(row: Row) -> None:
    """§3.1 (b): their hashes are a hint which we have no use for."""
    ladder = row.certificates(LENIENT, LENIENT)

    def named(payloads):  # type: ignore[no-untyped-def]
        return tuple(
            CertificateRequest(OCSP, bytes(40))
            if isinstance(body, CertificateRequest) and body.encoding is OCSP
            else body
            for body in payloads
        )

    edited(ladder, named, AUTH, ladder.left)
    ladder.right.holds = (Sign,)
    ladder.connect()
    (asked,) = ladder.right.held
    assert isinstance(asked, Ask)
    assert isinstance(asked.question, Sign)
    assert asked.question.chain != ()

# SPDX-License-Identifier: Apache-2.0
"""Conversations are led for each IKE SA, and end with it; who was revoked has no success."""

import pytest

from ikeway.auth.eap.means import Means
from ikeway.auth.eap.packet import Code, EapType, Packet
from ikeway.auth.eap.progress import Failure, Progress, Success
from ikeway.ike.questions import Converse, Refused, Ticket, VerifyCertificate
from ikeway.policy.revocation import Revocation
from ikeway.runtime.eap import Conversations, sequence, to_verify, verified
from support.eap import Users, random

BEGIN = Converse(True, ("mschapv2",), b"carol", revocation=Revocation.STRICT)
DONE = Packet(Code.SUCCESS, 7).encode()
CHAIN = (b"leaf", b"middle")


def conversations() -> Conversations:
    return Conversations(Means(Users({b"carol": "correct horse"}), random()), rounds_most=10)


def ticket(sa: bytes, branch: bytes = b"") -> Ticket:
    return Ticket(sa, branch, "eap")


def test_each_ike_sa_has_a_conversation_of_its_own_that_goes_with_it() -> None:
    talks = conversations()
    for sa in (b"one", b"two"):
        for branch in (b"a", b"b"):
            said = talks.turn(ticket(sa, branch), BEGIN)
            assert isinstance(said, Progress)
            assert said.outcome is None
    assert len(talks) == 4
    talks.forget(b"one")
    assert len(talks) == 2


def test_a_conversation_that_has_ended_is_forgotten() -> None:
    talks = conversations()
    talks.turn(ticket(b"one"), BEGIN)
    rubbish = Converse(True, ("mschapv2",), b"carol", b"rubbish")
    said = talks.turn(ticket(b"one"), rubbish)
    assert isinstance(said, Progress)
    assert isinstance(said.outcome, Failure)
    assert not len(talks)


def test_an_answer_without_a_conversation_begins_none_that_could_succeed() -> None:
    told = Packet(Code.RESPONSE, 1, EapType.MSCHAPV2, b"\3").encode()
    said = conversations().turn(ticket(b"one"), Converse(True, ("mschapv2",), b"carol", told))
    assert isinstance(said, Progress)
    assert isinstance(said.outcome, Failure)


@pytest.mark.parametrize("is_server", [True, False])
def test_certificates_in_a_success_are_looked_up_as_the_connection_wants(is_server: bool) -> None:
    asked = Converse(is_server, ("tls",), b"carol", revocation=Revocation.STRICT)
    success = Progress(DONE, Success(b"carol", None, "tls", CHAIN))
    purpose = "client" if is_server else "server"
    assert to_verify(asked, success) == VerifyCertificate(CHAIN, purpose, Revocation.STRICT)


def test_nothing_is_looked_up_without_certificates_or_success() -> None:
    assert to_verify(BEGIN, Progress(DONE, Success(b"carol", None))) is None
    assert to_verify(BEGIN, Progress(DONE)) is None
    assert to_verify(BEGIN, Refused("no")) is None


def test_who_was_revoked_is_told_that_it_failed() -> None:
    success = Progress(DONE, Success(b"carol", None, "tls", CHAIN))
    failed = verified(success, Refused("it was revoked"))
    assert isinstance(failed, Progress)
    assert failed.reply == Packet(Code.FAILURE, 7).encode()
    assert failed.outcome == Failure("the certificate in EAP is refused: it was revoked")


def test_numbers_for_usims_grow_with_time_and_fit() -> None:
    one = sequence()
    assert one <= sequence() < 1 << 48

# SPDX-License-Identifier: Apache-2.0
"""What a probe asks, and what it takes from the answers (RFC 7296 §1.2, §2.7)."""

import pytest

from ikeway.client.probe.asking import Verdict, ask, verdict
from ikeway.client.probe.questions import (
    AEAD,
    CIPHERS,
    METHODS,
    POST_QUANTUM,
    STAGES,
    Accepted,
    Offer,
    about_integrity,
)
from ikeway.crypto.random import SeededRandom
from ikeway.ike.exchanges.ike_sa_init import ZERO_SPI
from ikeway.model.secret import Secret
from ikeway.policy.algorithms import ADDITIONAL, ALGORITHMS
from ikeway.wire.codec import Body
from ikeway.wire.message import Flags, Message
from ikeway.wire.payloads import KeyExchange, Nonce, Notify, SecurityAssociation
from ikeway.wire.registry import EncrId, ExchangeType, KeMethod, NotifyType, TransformType

RANDOM = SeededRandom(Secret(bytes(32)))
GCM, CBC = (EncrId.AES_GCM_16, 256), (EncrId.AES_CBC, 128)
DATAGRAM_OCTETS = 1200
"""An offer has to fit into one packet of any path, because a fragment may not get through."""


def known(*encr: tuple[int, int]) -> Accepted:
    found = {
        TransformType.KE: ((KeMethod.CURVE25519, 0), (KeMethod.ECP_256, 0)),
        TransformType.ENCR: encr,
    }
    return Accepted(found)  # type: ignore[arg-type]


def transforms(message: Message, kind: TransformType) -> set[tuple[int, int]]:
    offered = message.one(SecurityAssociation)
    assert offered is not None
    return {
        (one.id, one.key_bits or 0)
        for proposal in offered.proposals
        for one in proposal.transforms
        if one.type is kind
    }


@pytest.mark.parametrize("accepted", [Accepted(), known(), known(GCM), known(GCM, CBC)])
@pytest.mark.parametrize("stage", range(len(STAGES)))
def test_a_question_offers_one_algorithm_of_its_kind(accepted: Accepted, stage: int) -> None:
    kind, questions = STAGES[stage]
    for choice, offer in questions(accepted):
        message = Message.decode(ask(offer, RANDOM).encode())
        assert transforms(message, kind) == {choice}


@pytest.mark.parametrize("offer", [Offer(), known(GCM).offer(), known(GCM, CBC).offer()])
def test_the_value_is_of_a_method_that_is_not_offered(offer: Offer) -> None:
    """So neither side computes, and the peer keeps nothing: INVALID_KE_PAYLOAD."""
    message = Message.decode(ask(offer, RANDOM).encode())
    value = message.one(KeyExchange)
    assert value is not None
    if offer.ke != METHODS:
        assert (value.method, 0) not in transforms(message, TransformType.KE)


def test_aead_and_other_ciphers_have_proposals_of_their_own() -> None:
    """RFC 7296 §3.3: integrity goes with the latter only."""
    offered = Message.decode(ask(Offer(), RANDOM).encode()).one(SecurityAssociation)
    assert offered is not None
    aead, ciphers = offered.proposals
    assert {one.id for one in aead.transforms if one.type is TransformType.ENCR} == {
        code for code, _ in AEAD
    }
    assert not any(one.type is TransformType.INTEG for one in aead.transforms)
    assert any(one.type is TransformType.INTEG for one in ciphers.transforms)
    assert {one.id for one in ciphers.transforms if one.type is TransformType.ENCR} == {
        code for code, _ in CIPHERS
    }


def test_the_largest_question_fits_into_a_packet() -> None:
    assert len(ask(Offer(), RANDOM).encode()) <= DATAGRAM_OCTETS
    assert len(ask(Offer(additional=POST_QUANTUM), RANDOM).encode()) <= DATAGRAM_OCTETS


def test_integrity_is_asked_about_only_where_a_cipher_needs_it() -> None:
    assert about_integrity(known(GCM)) == ()
    assert all(not offer.aead for _, offer in about_integrity(known(GCM, CBC)))


def test_a_peer_that_wants_additional_exchanges_gets_them_in_every_question() -> None:
    accepted = Accepted(always=POST_QUANTUM)
    for _, offer in STAGES[0][1](accepted):
        message = Message.decode(ask(offer, RANDOM).encode())
        assert transforms(message, ADDITIONAL[0]) == set(POST_QUANTUM)
        assert message.notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED) is not None


def test_a_cookie_is_given_back_first_and_all_else_stays() -> None:
    """RFC 7296 §2.6."""
    request = ask(Offer(), RANDOM)
    again = Message.decode(request.encode(b"cookie"))
    first = again.payloads[0]
    assert isinstance(first, Notify)
    assert (first.type, first.data) == (NotifyType.COOKIE, b"cookie")
    assert again.payloads[1:] == Message.decode(request.encode()).payloads


@pytest.mark.parametrize(
    ("payloads", "said"),
    [
        ((Notify(NotifyType.NO_PROPOSAL_CHOSEN),), Verdict.REFUSED),
        ((Notify(NotifyType.INVALID_KE_PAYLOAD, b"\0\x1f"),), Verdict.ACCEPTED),
        ((Notify(NotifyType.COOKIE, b"c"),), Verdict.COOKIE),
        ((SecurityAssociation(()), Nonce(bytes(32))), Verdict.ACCEPTED),
        ((Notify(NotifyType.INVALID_SYNTAX),), Verdict.ODD),
        ((), Verdict.ODD),
    ],
)
def test_what_an_answer_says(payloads: tuple[Body, ...], said: Verdict) -> None:
    kind = ExchangeType.IKE_SA_INIT
    answer = Message.build(b"\x01" * 8, ZERO_SPI, kind, Flags.RESPONSE, 0, payloads)
    assert verdict(answer) is said


def test_only_what_we_have_goes_on_to_a_whole_exchange() -> None:
    accepted = Accepted(
        {
            TransformType.KE: ((KeMethod.MODP_768, 0), (KeMethod.CURVE25519, 0)),
            TransformType.ENCR: ((EncrId.CAST, 0), GCM),
        }
    )
    common = accepted.among(ALGORITHMS)
    assert common.of(TransformType.KE) == ((KeMethod.CURVE25519, 0),)
    assert common.of(TransformType.ENCR) == (GCM,)

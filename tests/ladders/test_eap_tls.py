# SPDX-License-Identifier: Apache-2.0
"""EAP-TLS in IKE_AUTH, beside a certificate of the gateway or alone (RFC 5216, RFC 5998)."""

import pytest

from ikeway.ike.questions import Converse
from ikeway.ike.reports import MessageSent
from ikeway.model.identity import Identity
from ikeway.policy.connection import Proof
from ikeway.policy.credentials import IdPattern
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Authentication, Eap, IdI, IdR, Notify
from ikeway.wire.registry import ExchangeType, NotifyType
from support.eap_hosts import alone, eap
from support.forge import edited
from support.hosts import LEFT, RIGHT, Row
from support.ladder import Ladder

AUTH = ExchangeType.IKE_AUTH
ALONE = (Proof.EAP_TLS, Proof.EAP_TTLS, Proof.EAP_AKA, Proof.EAP_AKA_PRIME)
"""What RFC 5998 §4 allows, of what we have."""


def is_up(ladder: Ladder) -> bool:
    return bool(ladder.left.established and ladder.right.established and ladder.right.installed)


def is_down(ladder: Ladder) -> bool:
    ladder.wait(90)
    hosts = (ladder.left, ladder.right)
    return not any(host.states or host.installed or len(host.eap) for host in hosts)


def test_certificates_in_eap_prove_both(row: Row) -> None:
    ladder = eap(row, Proof.EAP_TLS, LEFT)
    ladder.connect()
    assert is_up(ladder)
    assert ladder.right.established[0].peer_id == Identity.parse(LEFT)
    sent = (one.message for one in ladder.right.events if isinstance(one, MessageSent))
    assert sum(len(message.all(Authentication)) for message in sent) == 2


def test_policy_goes_by_the_name_in_the_certificate() -> None:
    """RFC 5216 §5.2: whoever IDi and the EAP identity say."""
    ladder = eap(proof=Proof.EAP_TLS, user="boss", right={"peer_id": IdPattern("boss")})
    ladder.connect()
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert is_down(ladder)


def test_the_server_behind_the_gateway_may_have_a_name_of_its_own() -> None:
    other = {"eap_server": Identity.parse("aaa.example")}
    ladder = eap(proof=Proof.EAP_TLS, user=LEFT, left=other)
    ladder.connect()
    assert "is not for aaa.example" in ladder.left.warnings[-1]
    assert is_down(ladder)


# EAP only -----------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-W06")
@pytest.mark.parametrize("proof", ALONE)
def test_eap_alone_proves_both_where_both_want_that(row: Row, proof: Proof) -> None:
    """RFC 5998 §3: the responder leaves AUTH and CERT out of its first response."""
    ladder = alone(row, proof=proof)
    ladder.connect()
    assert is_up(ladder)
    assert "N(EAP_ONLY_AUTHENTICATION)" in ladder.left.said[1]
    assert ladder.right.said[1] == "IKE_AUTH response 1 [IDr EAP]"
    assert ladder.left.established[0].peer_id == Identity.parse(RIGHT)


@pytest.mark.conformance("CF-W06")
def test_who_did_not_ask_for_it_gets_no_eap_alone() -> None:
    """RFC 5998 §3: "the responder MUST NOT" then leave its AUTH out."""
    ladder = alone(left={"peer_auth": (Proof.CERTIFICATE,)})
    ladder.connect()
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert is_down(ladder)


@pytest.mark.conformance("CF-W06", "CF-I09")
def test_a_server_without_auth_is_left_by_who_did_not_ask_for_it() -> None:
    ladder = alone(left={"peer_auth": (Proof.CERTIFICATE,)})
    only = Notify(NotifyType.EAP_ONLY_AUTHENTICATION)
    edited(ladder, lambda payloads: (*payloads, only), AUTH, ladder.left)
    ladder.connect()
    assert Converse not in ladder.left.asked
    assert not ladder.left.established
    assert is_down(ladder)


@pytest.mark.conformance("CF-W06")
def test_a_server_with_a_certificate_goes_on_showing_it() -> None:
    """RFC 5998 §3: a client that does without AUTH checks it where it comes."""
    both = {"peer_auth": (Proof.EAP_TLS, Proof.CERTIFICATE)}
    ladder = alone(left=both, right={"local_auth": Proof.CERTIFICATE})
    ladder.connect()
    assert is_up(ladder)
    assert ladder.right.said[1] == "IKE_AUTH response 1 [IDr CERT AUTH EAP]"


@pytest.mark.conformance("CF-W06")
def test_eap_alone_leads_to_the_gateway_that_is_asked_for() -> None:
    """RFC 5998 §4: else any server of the same authority could play it."""
    ladder = alone(
        left={"peer_id": IdPattern("*")}, right={"local_id": Identity.parse("x.example")}
    )
    edited(
        ladder,
        lambda payloads: tuple(one for one in payloads if not isinstance(one, IdR)),
        AUTH,
        ladder.left,
    )
    ladder.connect()
    assert "is not for x.example" in ladder.left.warnings[-1]
    assert is_down(ladder)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_last_auth_is_what_proves_them_alone(side: str) -> None:
    """RFC 5998 §3: the MSK binds EAP to this IKE SA."""
    ladder = alone()

    def spoil(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        if any(isinstance(body, Eap | IdI | IdR) for body in payloads):
            return payloads
        return tuple(
            Authentication(one.method, bytes(len(one.data)))
            if isinstance(one, Authentication)
            else one
            for one in payloads
        )

    edited(ladder, spoil, AUTH, getattr(ladder, side))
    ladder.connect()
    other = ladder.right if side == "left" else ladder.left
    assert not other.established
    assert is_down(ladder)

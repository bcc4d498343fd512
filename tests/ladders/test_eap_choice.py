# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.16, §3.16: which connection it is, once EAP has shown who somebody is."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ikeway.auth.eap.packet import EapType, Packet
from ikeway.ike.reports import MessageSent
from ikeway.model.identity import Identity, IdType
from ikeway.policy.connection import Connection, Proof
from ikeway.policy.credentials import IdPattern
from ikeway.policy.revocation import Revocation
from ikeway.wire.payloads import Eap
from support.eap_hosts import eap
from support.hosts import LEFT
from support.ladder import Ladder
from support.shell import Host

ADDRESS = Identity.parse("192.0.2.7")


def served(ladder: Ladder, change: Callable[[Connection], tuple[Connection, ...]]) -> Ladder:
    """Let the gateway have connections that are made of its only one."""
    env = ladder.right.endpoint.env
    ladder.right.endpoint.env = replace(env, connections=change(env.connections[0]))
    return ladder


def entered(ladder: Ladder) -> str | None:
    """Return the connection that the client has got into, if any."""
    ladder.connect()
    found = [state.connection.name for state in ladder.right.established]
    ladder.wait(90)
    return found[0] if found else None


def eap_said(one: Host) -> list[Packet]:
    sent = (event.message for event in one.events if isinstance(event, MessageSent))
    return [Packet.decode(body.data) for message in sent for body in message.all(Eap)]


def two(plain: Connection) -> tuple[Connection, ...]:
    """Return one for mailboxes by MD5, and one for carol by MSCHAPv2."""
    mail = replace(plain, name="mail", peer_id=IdPattern("*@example.com"))
    mail = replace(mail, peer_auth=(Proof.EAP_MD5,))
    carols = replace(plain, name="carols", peer_id=IdPattern("carol"))
    return mail, replace(carols, peer_auth=(Proof.EAP_MSCHAPV2,))


# What is offered before anybody is known ----------------------------------------------------------


@pytest.mark.parametrize(
    ("proof", "user", "password", "name"),
    [
        (Proof.EAP_MSCHAPV2, "carol", "correct horse", "carols"),
        (Proof.EAP_MD5, "dora@example.com", "battery staple", "mail"),
    ],
)
def test_who_says_an_address_may_be_for_any(
    proof: Proof, user: str, password: str, name: str
) -> None:
    """§3.16: who is asked for a name is offered the methods of all whom it may turn out to be."""
    ladder = served(eap(proof=proof, user=user, password=password, left={"local_id": ADDRESS}), two)
    assert entered(ladder) == name


def test_a_method_of_another_connection_opens_none() -> None:
    """MD5 is offered, since it may be dora: it does not make it enough for carol."""
    ladder = served(eap(proof=Proof.EAP_MD5, left={"local_id": ADDRESS}), two)
    assert entered(ladder) is None
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]


def test_who_says_a_name_is_offered_what_is_for_that_name() -> None:
    ladder = served(eap(), two)
    assert entered(ladder) == "carols"
    assert eap_said(ladder.right)[0].type is EapType.MSCHAPV2


# Who is asked -------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-I15")
@pytest.mark.parametrize(
    ("said", "is_asked"),
    [
        (Identity(IdType.KEY_ID, b"carol"), False),
        (Identity.parse("carol"), False),
        (Identity.parse("iphone.example.org"), True),
        (Identity.parse("192.0.2.7"), True),
        (Identity(IdType.DER_ASN1_DN, b"\x30\x00"), True),
    ],
)
def test_a_device_that_says_its_own_name_is_asked_for_its_users(
    said: Identity, *, is_asked: bool
) -> None:
    """§3.5: NAIs are mailboxes or key IDs; a domain name is what a phone calls itself."""
    ladder = eap(left={"local_id": said})
    assert entered(ladder) == "to-left.example"
    assert (eap_said(ladder.right)[0].type is EapType.IDENTITY) == is_asked


@pytest.mark.conformance("CF-I15")
def test_a_mailbox_is_a_users_name() -> None:
    ladder = eap(
        user="dora@example.com",
        password="battery staple",
        left={"local_id": Identity.parse("dora@example.com")},
    )
    assert entered(ladder)
    assert eap_said(ladder.right)[0].type is EapType.MSCHAPV2


# No oracle ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("proof", [Proof.EAP_MSCHAPV2, Proof.EAP_MD5, Proof.EAP_GTC])
@pytest.mark.parametrize("left", [{}, {"local_id": ADDRESS}])
def test_a_name_that_is_not_known_looks_like_a_wrong_password(
    proof: Proof, left: dict[str, object]
) -> None:
    """Else names could be tried until one is known."""
    seen = []
    for user in ("carol", "nobody"):
        ladder = eap(proof=proof, user=user, password="wrong", left=left)
        assert entered(ladder) is None
        packets = eap_said(ladder.right)
        kinds = [(packet.code, packet.type, len(packet.data)) for packet in packets]
        seen.append((ladder.right.said, kinds))
    assert seen[0] == seen[1]


# What was shown has to be what is wanted ----------------------------------------------------------


def test_a_connection_with_another_name_of_ours_is_not_entered() -> None:
    """We have shown one identity: a connection with another one cannot be the outcome."""

    def change(plain: Connection) -> tuple[Connection, ...]:
        shown = replace(plain, name="shown", peer_id=IdPattern("dora@example.com"))
        other = replace(plain, name="other", local_id=Identity.parse("other.example"))
        return shown, replace(other, peer_id=IdPattern("carol"))

    assert entered(served(eap(left={"local_id": ADDRESS}), change)) is None


def test_a_certificate_that_was_checked_less_opens_nothing_that_checks_more() -> None:
    """IDi chooses how closely revocation is looked at: it must not choose that for others."""

    def change(plain: Connection) -> tuple[Connection, ...]:
        lax = replace(plain, name="lax", peer_id=IdPattern("dora@example.com"))
        strict = replace(plain, name="strict", peer_id=IdPattern(LEFT))
        return (
            replace(lax, revocation=Revocation.OFF),
            replace(strict, revocation=Revocation.STRICT),
        )

    dora = Identity.parse("dora@example.com")
    for said in (dora, ADDRESS):
        ladder = eap(proof=Proof.EAP_TLS, user=LEFT, left={"local_id": said})
        assert entered(served(ladder, change)) is None


def test_the_most_exact_of_several_is_chosen_and_no_file_order() -> None:
    def change(plain: Connection) -> tuple[Connection, ...]:
        names = {"all": "*", "mail": "*@example.com", "dora": "dora@example.com"}
        made = [replace(plain, name=name, peer_id=IdPattern(text)) for name, text in names.items()]
        return tuple(made)

    for order in (lambda all_: all_, lambda all_: all_[::-1]):
        ladder = eap(user="dora@example.com", password="battery staple")
        assert entered(served(ladder, lambda plain, order=order: order(change(plain)))) == "dora"  # type: ignore[misc]

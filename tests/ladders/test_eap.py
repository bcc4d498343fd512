# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.16, §3.16: EAP in IKE_AUTH, and what each side does to the other with it."""

from dataclasses import replace

import pytest

from ikeway.auth.eap.packet import Code, EapType, Packet
from ikeway.auth.eap.progress import Progress, Success
from ikeway.ike.admission import Admit
from ikeway.ike.eap_states import AdmittingUser, AwaitEapResponse
from ikeway.ike.io import Disconnect
from ikeway.ike.questions import Answer, Converse, Sign, Ticket
from ikeway.ike.reports import Established as EstablishedReport
from ikeway.ike.reports import MessageSent
from ikeway.ike.states import Established
from ikeway.model.identity import Identity, IdType
from ikeway.model.secret import Secret
from ikeway.policy.connection import Proof
from ikeway.policy.credentials import IdPattern
from ikeway.policy.proposals import parse_ike
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Authentication, Certificate, Eap, IdI, IdR, Notify
from ikeway.wire.registry import AuthMethod, ExchangeType, NotifyType
from support.eap_hosts import eap
from support.forge import Edit, edited, request, session_of
from support.hosts import (
    GCM,
    RIGHT,
    Row,
)
from support.hybrid import KEM
from support.ladder import Ladder
from support.shell import Host

AUTH = ExchangeType.IKE_AUTH
METHODS = (Proof.EAP_MSCHAPV2, Proof.EAP_MD5, Proof.EAP_GTC)


def is_up(ladder: Ladder) -> bool:
    return bool(ladder.left.established and ladder.right.established and ladder.right.installed)


def is_down(ladder: Ladder) -> bool:
    ladder.wait(90)
    left_nothing = not (ladder.left.states or ladder.left.installed or len(ladder.left.eap))
    return left_nothing and not (
        ladder.right.states or ladder.right.installed or len(ladder.right.eap)
    )


def said(one: Host) -> list[Packet]:
    """Return the EAP packets that a host sent."""
    sent = (event.message for event in one.events if isinstance(event, MessageSent))
    return [Packet.decode(body.data) for message in sent for body in message.all(Eap)]


def kinds(ladder: Ladder) -> list[EapType]:
    """Return the types of the EAP packets, those of the gateway first."""
    return [packet.type for packet in (*said(ladder.right), *said(ladder.left))]


# The exchange -------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-I06", "CF-I07", "CF-I10", "CF-I11", "CF-B12", "CF-J04")
@pytest.mark.parametrize("proof", METHODS)
def test_a_password_proves_the_initiator(row: Row, proof: Proof) -> None:
    """§2.16: EAP "is used within an IKE_AUTH exchange", and both AUTHs come once more, of its key.

    The MSK is that key; "if the EAP method does not generate a shared key", SK_pi and SK_pr are.
    """
    ladder = eap(row, proof)
    ladder.connect()
    assert is_up(ladder)
    first, last = ladder.left.said[1], ladder.left.said[-1]
    assert " AUTH" not in first
    assert " CP(" in first or " CP " in first
    assert " SA " in first
    assert first.startswith("IKE_AUTH request 1 ")
    number = 4 if proof is Proof.EAP_MSCHAPV2 else 3
    assert last == f"IKE_AUTH request {number} [AUTH]"
    shown, *told, done = [one for one in ladder.right.said if one.startswith("IKE_AUTH")]
    assert shown.startswith("IKE_AUTH response 1 [IDr CERT AUTH EAP]")
    assert all(one.endswith(" [EAP]") for one in told)
    assert done.startswith(f"IKE_AUTH response {number} [")
    assert done.endswith(" AUTH CP(CFG_REPLY) N(NON_FIRST_FRAGMENTS_ALSO) SA TSi TSr]")
    assert "IDr" not in done


def test_who_has_proven_itself_is_named_by_eap() -> None:
    ladder = eap(user="dora@example.com", password="battery staple")
    ladder.connect()
    assert ladder.right.established[0].peer_id == Identity.parse("dora@example.com")
    assert ladder.left.established[0].peer_id == Identity.parse(RIGHT)


@pytest.mark.conformance("CF-I12")
@pytest.mark.parametrize("proof", METHODS)
def test_a_wrong_password_ends_it(row: Row, proof: Proof) -> None:
    """§2.16: the responder says EAP Failure, and there is no IKE SA."""
    ladder = eap(row, proof, password="wrong")
    ladder.connect()
    (closed,) = ladder.right.ends
    assert closed.is_failure
    assert said(ladder.right)[-1].code is Code.FAILURE
    assert is_down(ladder)


@pytest.mark.conformance("CF-I12")
def test_a_failure_that_was_lost_is_said_again() -> None:
    """§2.1: the last response is kept for a while."""
    ladder = eap(proof=Proof.EAP_MD5, password="wrong")
    lost = []

    def fate(sender, datagram):  # type: ignore[no-untyped-def]
        message = Message.decode(datagram.octets)
        is_last = sender is ladder.right and message.header.message_id == 2
        if is_last and not lost:
            lost.append(datagram)
            return []
        return [datagram]

    ladder.fate = fate
    ladder.connect()
    ladder.wait(2)
    assert lost
    assert "the server says EAP Failure" in ladder.left.warnings[-1]
    assert is_down(ladder)


@pytest.mark.conformance("CF-I13")
def test_a_server_that_never_ends_is_left() -> None:
    """§2.16: the rounds are bounded at both ends, whatever the other one likes."""
    ladder = eap()
    ladder.right.eap.turn = Endless().turn  # type: ignore[method-assign]
    ladder.connect()
    assert "more than 50 EAP requests" in ladder.left.warnings[0]
    assert len(said(ladder.left)) == 50
    assert is_down(ladder)


class Endless:
    """A server that always asks for something more."""

    def __init__(self) -> None:
        self.count = 0

    def turn(self, _ticket: object, _question: object) -> Progress:
        self.count += 1
        asked = Packet(Code.REQUEST, self.count % 256, EapType.NOTIFICATION, b"wait")
        return Progress(asked.encode())


@pytest.mark.conformance("CF-I15")
def test_who_idi_names_is_not_asked_for_its_name() -> None:
    """§3.16: "the responder should not send EAP Identity requests"; one who does is answered."""
    ladder = eap()
    ladder.connect()
    assert kinds(ladder)[0] is EapType.MSCHAPV2
    ladder = eap(right={"ask_eap_identity": True})
    ladder.connect()
    assert said(ladder.right)[0].type is EapType.IDENTITY
    assert said(ladder.left)[0].data == b"carol"
    assert is_up(ladder)


@pytest.mark.parametrize("identity", ["192.0.2.7", "2001:db8::7"])
def test_who_idi_does_not_name_is_asked(identity: str) -> None:
    """§3.16: an address is no name of a user; built-in clients of phones send one."""
    ladder = eap(left={"local_id": Identity.parse(identity)})
    ladder.connect()
    assert kinds(ladder)[0] is EapType.IDENTITY
    assert is_up(ladder)
    assert ladder.right.established[0].peer_id == Identity.parse("carol")


@pytest.mark.parametrize("name", ["CORP\\carol", "corp\\Carol", "CAROL"])
def test_a_domain_before_a_name_does_not_matter(name: str) -> None:
    ladder = eap(user=name)
    ladder.connect()
    assert is_up(ladder)
    assert ladder.right.established[0].peer_id == Identity.parse("carol")


def test_an_eap_conversation_survives_lost_messages() -> None:
    ladder = eap()
    lost: set[bytes] = set()

    def once(_sender: object, datagram):  # type: ignore[no-untyped-def]
        if datagram.octets in lost:
            return [datagram]
        lost.add(datagram.octets)
        return []

    ladder.fate = once
    ladder.connect()
    ladder.wait(60)
    assert is_up(ladder)


# Policy -------------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-I14")
def test_policy_goes_by_who_eap_has_proven() -> None:
    """§2.16: IDi "can be different" from EAP's identity, which alone is authenticated."""
    claims = Identity.parse("boss")
    ladder = eap(
        left={"local_id": claims}, right={"peer_id": IdPattern("boss"), "ask_eap_identity": True}
    )
    ladder.connect()
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert not ladder.right.established
    assert is_down(ladder)


@pytest.mark.conformance("CF-I14")
def test_the_connection_is_that_of_who_has_been_proven() -> None:
    ladder = eap(left={"local_id": Identity.parse("boss")}, right={"ask_eap_identity": True})
    env = ladder.right.endpoint.env
    plain = env.connections[0]
    boss = replace(plain, name="bosses", peer_id=IdPattern("boss"))
    carol = replace(plain, name="carols", peer_id=IdPattern("carol"))
    ladder.right.endpoint.env = replace(env, connections=(boss, plain, carol))
    ladder.connect()
    assert ladder.right.established[0].connection.name == "carols"


def test_a_nak_cannot_name_what_policy_forbids() -> None:
    """RFC 3748 §5.3.1: only what the server offers can be asked for."""
    ladder = eap(proof=Proof.EAP_MD5, right={"peer_auth": (Proof.EAP_MSCHAPV2,)})
    ladder.connect()
    assert EapType.NAK in kinds(ladder)
    assert "no EAP method in common" in ladder.right.ends[0].reason
    assert is_down(ladder)


def test_a_nak_gets_another_method_that_policy_allows() -> None:
    ladder = eap(proof=Proof.EAP_MD5, right={"peer_auth": (Proof.EAP_MSCHAPV2, Proof.EAP_MD5)})
    ladder.connect()
    assert is_up(ladder)


def test_a_method_that_proved_somebody_must_be_allowed_for_him() -> None:
    """Else whoever is at a connection with weak methods would get into one with strong ones."""
    ladder = eap(proof=Proof.EAP_MD5, right={"ask_eap_identity": True})
    env = ladder.right.endpoint.env
    weak = replace(env.connections[0], name="weak", peer_id=IdPattern("dora@example.com"))
    strong = replace(weak, name="strong", peer_id=IdPattern("carol"))
    strong = replace(strong, peer_auth=(Proof.EAP_MSCHAPV2,))
    ladder.right.endpoint.env = replace(env, connections=(weak, strong))
    ladder.left.endpoint.env = replace(
        ladder.left.endpoint.env,
        connections=(
            replace(
                ladder.left.endpoint.env.connections[0],
                local_id=Identity.parse("dora@example.com"),
            ),
        ),
    )
    ladder.connect()
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert is_down(ladder)


# The responder proves itself first ----------------------------------------------------------------


@pytest.mark.conformance("CF-I09")
def test_a_server_with_another_name_hears_nothing_of_us(row: Row) -> None:
    """§2.16: "the initiator must verify" the responder before it goes on."""
    ladder = eap(row, left={"peer_id": IdPattern("other.example")})
    edited(
        ladder,
        lambda payloads: tuple(one for one in payloads if not isinstance(one, IdR)),
        AUTH,
        ladder.left,
    )
    ladder.connect()
    assert "EAP" not in " ".join(ladder.left.said)
    assert Converse not in ladder.left.asked
    assert is_down(ladder)


def spoilt(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
    return tuple(
        replace(body, data=body.data[:-1] + bytes([body.data[-1] ^ 1]))
        if isinstance(body, Authentication)
        else body
        for body in payloads
    )


def without_auth(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
    return tuple(body for body in payloads if not isinstance(body, Authentication | Certificate))


def by_nobody(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
    kind = AuthMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE
    return tuple(
        Authentication(kind, bytes(32)) if isinstance(body, Authentication) else body
        for body in payloads
    )


@pytest.mark.conformance("CF-I09")
@pytest.mark.parametrize("edit", [spoilt, without_auth, by_nobody])
def test_a_server_that_does_not_prove_itself_hears_nothing_of_us(row: Row, edit: Edit) -> None:
    ladder = eap(row)
    edited(ladder, edit, AUTH, ladder.right)
    ladder.connect()
    assert "EAP" not in " ".join(ladder.left.said)
    assert Converse not in ladder.left.asked
    assert is_down(ladder)


@pytest.mark.conformance("CF-W06")
def test_eap_only_is_not_for_methods_that_do_not_prove_the_server(row: Row) -> None:
    """RFC 5998 §4: nobody says EAP_ONLY_AUTHENTICATION with MSCHAPv2, or accepts it."""
    ladder = eap(
        row,
        left={"peer_auth": (Proof.EAP_MSCHAPV2, Proof.CERTIFICATE)},
        right={"local_auth": Proof.EAP_MSCHAPV2},
    )
    ladder.connect()
    assert "EAP_ONLY" not in " ".join(ladder.left.said)
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert is_down(ladder)


def test_a_server_with_a_certificate_proves_itself_also_to_who_does_not_want_it() -> None:
    """RFC 5998 §3: the responder "MAY" leave AUTH out; ours is careful."""
    ladder = eap()
    only = Notify(NotifyType.EAP_ONLY_AUTHENTICATION)
    edited(ladder, lambda payloads: (*payloads, only), AUTH, ladder.left)
    ladder.connect()
    assert "AUTH EAP" in ladder.right.said[1]


# AUTH after EAP -----------------------------------------------------------------------------------


@pytest.mark.conformance("CF-I10")
@pytest.mark.parametrize("proof", METHODS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_last_auth_must_be_of_the_key(proof: Proof, side: str) -> None:
    """§2.16: else somebody between could have carried EAP to another one."""
    ladder = eap(proof=proof)

    def change(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        is_last = not any(isinstance(body, Eap | IdI | IdR) for body in payloads)
        return spoilt(payloads) if is_last else payloads

    edited(ladder, change, AUTH, getattr(ladder, side))
    ladder.connect()
    other = ladder.right if side == "left" else ladder.left
    assert not other.established
    assert is_down(ladder)


def test_a_success_without_a_challenge_is_not_believed() -> None:
    """RFC 3748 §7.16: EAP Success is not protected by EAP itself."""
    ladder = eap()
    said = Packet(Code.SUCCESS, 1).encode()
    edited(
        ladder,
        lambda payloads: tuple(Eap(said) if isinstance(one, Eap) else one for one in payloads),
        AUTH,
        ladder.right,
    )
    ladder.connect()
    assert ladder.left.said[-1].startswith("INFORMATIONAL request 2 [N(AUTHENTICATION_FAILED)]")
    assert is_down(ladder)


def test_a_server_cannot_leave_eap_out() -> None:
    """A response with AUTH and a Child SA at once would let us in without our proof."""
    ladder = eap()
    edited(
        ladder,
        lambda payloads: tuple(one for one in payloads if not isinstance(one, Eap)),
        AUTH,
        ladder.right,
    )
    ladder.connect()
    assert not ladder.left.established
    assert is_down(ladder)


def test_an_initiator_cannot_leave_eap_out() -> None:
    """AUTH of SK_pi in place of an EAP response: it would be right, and proves nothing."""
    ladder = eap(proof=Proof.EAP_MD5)
    ladder.left.holds = (Converse,)
    ladder.connect()
    (state,) = ladder.right.states
    assert isinstance(state, AwaitEapResponse)
    session = session_of(ladder.left)
    from ikeway.ike import proof

    keys = proof.eap_keys(session, None)
    identity = IdI(IdType.KEY_ID, b"carol")
    transcript = ladder.left.states[0].branches[0].transcript  # type: ignore[union-attr]
    ours = proof.claim(session, transcript, identity, is_local=True)
    lie = proof.eap_proof(session, ours, keys)
    ladder.deliver(ladder.right, request(ladder, ladder.left, lie, AUTH))
    assert not ladder.right.established
    assert ladder.right.refusals == ["INVALID_SYNTAX"]
    assert is_down(ladder)


def test_keys_of_a_method_that_makes_none_are_those_of_each_side() -> None:
    """§2.16: an MSK of zeros, or the other side's SK_p, is not taken for one."""
    for shown in (Secret(bytes(64)), Secret(b"")):
        ladder = eap(proof=Proof.EAP_MD5)
        ladder.left.holds = (Converse,)
        ladder.connect()
        ladder.left.holds = ()
        ladder.left.eap.turn = told(ladder, shown)  # type: ignore[method-assign]
        ladder.answer(ladder.left)
        ladder.settle()
        assert not ladder.right.established
        assert is_down(ladder)


def told(ladder: Ladder, msk: Secret):  # type: ignore[no-untyped-def]
    """Return what leads the client's conversations and says that they had a key."""
    honest = type(ladder.left.eap).turn

    def turn(ticket, question):  # type: ignore[no-untyped-def]
        progress = honest(ladder.left.eap, ticket, question)
        if progress.outcome is None:
            return progress
        return replace(progress, outcome=replace(progress.outcome, msk=msk))

    return turn


# Half open ----------------------------------------------------------------------------------------


def test_an_initiator_that_falls_silent_is_forgotten() -> None:
    """§2.6: a half-open IKE SA does not wait for ever."""
    ladder = eap()
    ladder.left.holds = (Converse,)
    ladder.connect()
    assert isinstance(ladder.right.states[0], AwaitEapResponse)
    ladder.wait(31)
    assert not ladder.right.states
    assert not len(ladder.right.eap)


def test_an_initiator_that_never_gets_on_is_forgotten() -> None:
    """§2.6: nor does one that answers every half minute."""
    ladder = eap()
    ladder.right.eap.turn = Endless().turn  # type: ignore[method-assign]
    ladder.left.holds = (Converse,)
    ladder.connect()
    for _ in range(5):
        assert isinstance(ladder.right.states[0], AwaitEapResponse)
        ladder.wait(20)
        ladder.answer(ladder.left)
        ladder.settle()
    ladder.wait(25)
    assert not ladder.right.states


def test_an_eap_packet_that_cannot_be_is_refused() -> None:
    ladder = eap()
    ladder.left.holds = (Converse,)
    ladder.connect()
    ladder.deliver(ladder.right, request(ladder, ladder.left, (Eap(b"\x09\x01\x00\x04"),), AUTH))
    assert ladder.right.ends[0].is_failure
    assert is_down(ladder)


def test_an_answer_of_the_signer_that_comes_late_changes_nothing() -> None:
    ladder = eap()
    ladder.right.holds = (Sign, Converse)
    ladder.connect()
    assert [type(one.question) for one in ladder.right.held] == [Sign]  # type: ignore[union-attr]
    ladder.answer(ladder.right)
    ladder.answer(ladder.right)
    ladder.right.holds = ()
    ladder.settle()
    assert is_up(ladder)
    assert isinstance(ladder.left.states[0], Established)


def test_eap_goes_on_top_of_additional_key_exchanges() -> None:
    """RFC 9242 §3.3.2: all AUTHs of EAP cover IKE_INTERMEDIATE."""
    hybrid = {"ike": (parse_ike(f"{GCM.ike}-{KEM}"),)}
    ladder = eap(left=hybrid, right=hybrid)
    ladder.connect()
    assert is_up(ladder)
    assert any(one.startswith("IKE_INTERMEDIATE") for one in ladder.left.said)


def test_a_proxy_without_the_msk_gets_nothing() -> None:
    """§2.16: whoever passes EAP on, to a gateway where the client believes it, lacks the key."""
    ladder = eap()
    honest = ladder.left.eap.turn

    def turn(ticket: Ticket, question: Converse) -> Answer:
        progress = honest(ticket, question)
        if isinstance(progress, Progress) and isinstance(progress.outcome, Success):
            return replace(progress, outcome=replace(progress.outcome, msk=Secret(bytes(64))))
        return progress

    ladder.left.eap.turn = turn  # type: ignore[method-assign]
    ladder.connect()
    assert not ladder.right.established
    assert not ladder.left.established
    assert is_down(ladder)


@pytest.mark.parametrize("proof", METHODS)
def test_who_was_taken_away_while_it_logged_in_does_not_come_in(row: Row, proof: Proof) -> None:
    ladder = eap(row, proof)
    ladder.right.barred = (Identity.parse("carol"),)
    ladder.connect()
    assert is_down(ladder)
    assert not ladder.right.seen(EstablishedReport)


@pytest.mark.parametrize("proof", METHODS)
def test_who_is_being_asked_about_can_be_sent_away(row: Row, proof: Proof) -> None:
    ladder = eap(row, proof)
    ladder.right.holds = (Admit,)
    ladder.connect()
    (sa,) = ladder.right.endpoint.sas
    assert isinstance(sa.state, AdmittingUser)
    ladder.perform(ladder.right, sa.handle(Disconnect("disabled"), ladder.now))
    assert is_down(ladder)

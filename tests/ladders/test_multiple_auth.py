# SPDX-License-Identifier: Apache-2.0
"""RFC 4739: a device proves itself, then its user by EAP; neither is enough."""

from dataclasses import replace

import pytest

from ikeway.auth.eap.packet import Code, Packet
from ikeway.ike.eap_states import AwaitSecond
from ikeway.ike.questions import Converse, Lease, Sign, Ticket
from ikeway.ike.reports import DeviceProven
from ikeway.ike.tickets import TicketSecrets
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.connection import Connection, Proof, Twofold
from ikeway.policy.credentials import IdPattern, PreSharedKey
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import (
    Authentication,
    Eap,
    IdI,
    Notify,
    SecurityAssociation,
)
from ikeway.wire.registry import ExchangeType, NotifyType
from support.eap_hosts import eap, twofold
from support.forge import edited, request, rewritten, session_of
from support.hosts import LEFT, PSK, RIGHT, Changes, Row
from support.ladder import Ladder

AUTH = ExchangeType.IKE_AUTH
METHODS = (Proof.EAP_MSCHAPV2, Proof.EAP_MD5, Proof.EAP_GTC)
BOTH = Twofold(Proof.CERTIFICATE, Proof.EAP_MSCHAPV2)
FOLLOWS = Notify(NotifyType.ANOTHER_AUTH_FOLLOWS)
WITH_PSK: Changes = {"local_auth": Proof.PSK, "peer_auth": (Proof.PSK,)}


def is_up(ladder: Ladder) -> bool:
    return bool(ladder.left.established and ladder.right.established and ladder.right.installed)


def is_down(ladder: Ladder) -> bool:
    ladder.wait(150)
    sides = ladder.left, ladder.right
    return not any(side.states or side.installed or len(side.eap) for side in sides)


def served(ladder: Ladder, *connections: Connection) -> None:
    """Let the gateway have these connections."""
    env = ladder.right.endpoint.env
    ladder.right.endpoint.env = replace(env, connections=connections)


def gateways(ladder: Ladder) -> Connection:
    return ladder.right.endpoint.env.connections[0]


# The exchange -------------------------------------------------------------------------------------


@pytest.mark.parametrize("then", METHODS)
def test_a_certificate_and_a_password_open_a_tunnel(row: Row, then: Proof) -> None:
    """§2.3: IDi CERT AUTH and the announcement, IDr CERT AUTH, IDi alone, EAP, AUTH for AUTH."""
    ladder = twofold(row, then)
    ladder.connect()
    assert is_up(ladder)
    first, second, *_, last = [one for one in ladder.left.said if one.startswith("IKE_AUTH")]
    assert " CERT " in first
    assert "AUTH N(MULTIPLE_AUTH_SUPPORTED) N(ANOTHER_AUTH_FOLLOWS)" in first
    assert second == "IKE_AUTH request 2 [IDi]"
    assert last.endswith("[AUTH]")
    shown, asked, *_, done = [one for one in ladder.right.said if one.startswith("IKE_AUTH")]
    assert shown == "IKE_AUTH response 1 [IDr CERT AUTH]"
    assert asked == "IKE_AUTH response 2 [EAP]"
    assert done.endswith(" AUTH CP(CFG_REPLY) N(NON_FIRST_FRAGMENTS_ALSO) SA TSi TSr]")
    assert "N(MULTIPLE_AUTH_SUPPORTED)" in ladder.right.said[0]


def test_a_shared_key_and_a_password_open_a_tunnel(row: Row) -> None:
    """§2.3: "authenticated using certificates (or shared secrets)"."""
    both = Twofold(Proof.PSK, Proof.EAP_MSCHAPV2)
    theirs: Changes = {"local_auth": Proof.PSK, "peer_twofold": (both,)}
    ladder = twofold(row, left=WITH_PSK, right=theirs)
    for side in (ladder.left, ladder.right):
        env = side.endpoint.env
        shared = (PreSharedKey(IdPattern("*"), PSK),)
        side.endpoint.env = replace(env, credentials=replace(env.credentials, secrets=shared))
    ladder.connect()
    assert is_up(ladder)
    assert ladder.right.said[1].startswith("IKE_AUTH response 1 [IDr AUTH]")


def test_both_identities_are_known_and_the_user_counts() -> None:
    """§2.1: AUTH covers "the latest IDi payload"; and addresses are lent to the user."""
    ladder = twofold(user="dora@example.com", password="battery staple")
    ladder.connect()
    assert ladder.right.established[0].peer_id == Identity.parse("dora@example.com")
    assert ladder.left.established[0].peer_id == Identity.parse(RIGHT)
    (known,) = ladder.right.seen(DeviceProven)
    assert isinstance(known, DeviceProven)
    assert known.device == Identity.parse(LEFT)


def test_what_gets_lost_is_said_again() -> None:
    ladder = twofold()
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


def test_a_gateway_that_wants_one_proof_does_not_speak_of_several() -> None:
    """§2.1: "peers announce support": only where there is something to support."""
    ladder = eap()
    ladder.connect()
    assert "MULTIPLE_AUTH" not in " ".join(ladder.right.said)
    assert is_up(ladder)


# One proof is not enough --------------------------------------------------------------------------


@pytest.mark.parametrize("then", METHODS)
def test_a_wrong_password_ends_it(row: Row, then: Proof) -> None:
    """§2.1: "only if all the individual authentication exchanges complete successfully"."""
    ladder = twofold(row, then, password="wrong")
    ladder.connect()
    assert not ladder.right.established
    assert Lease not in ladder.right.asked
    assert is_down(ladder)


def test_a_device_with_a_foreign_certificate_hears_nothing_of_eap() -> None:
    ladder = twofold(left={"local_id": Identity.parse("other.example")})
    ladder.connect()
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert Converse not in ladder.right.asked
    assert is_down(ladder)


def without(*kinds: NotifyType):  # type: ignore[no-untyped-def]
    def edit(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(
            body for body in payloads if not (isinstance(body, Notify) and body.type in kinds)
        )

    return edit


def test_who_leaves_the_second_proof_out_is_refused() -> None:
    """The certificate alone, without a word of another proof, is what no connection takes."""
    ladder = twofold()
    edited(ladder, without(NotifyType.ANOTHER_AUTH_FOLLOWS), AUTH, ladder.left)
    ladder.connect()
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert not ladder.right.established
    assert is_down(ladder)


def test_who_leaves_the_first_proof_out_is_refused() -> None:
    """EAP alone is the cheaper half of what is configured."""
    ladder = eap(right={"peer_auth": (), "peer_twofold": (BOTH,)})
    ladder.connect()
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert Converse not in ladder.right.asked
    assert is_down(ladder)


def stopped(ladder: Ladder) -> Ladder:
    """Let the device be proven, and the gateway wait for its user."""
    ladder.fate = lambda side, one: (
        [] if side is ladder.left and Message.decode(one.octets).header.message_id == 2 else [one]
    )
    ladder.connect()
    assert isinstance(ladder.right.states[0], AwaitSecond)
    return ladder


@pytest.mark.parametrize("exchange", [ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL])
def test_between_the_proofs_nothing_else_is_possible(exchange: ExchangeType) -> None:
    """A device that has proven itself has no IKE SA yet to make Child SAs on."""
    ladder = stopped(twofold())
    ladder.deliver(ladder.right, request(ladder, ladder.left, (), exchange, 2))
    assert isinstance(ladder.right.states[0], AwaitSecond)
    assert not ladder.right.established


@pytest.mark.parametrize("with_auth", [True, False])
def test_a_request_that_is_no_second_proof_ends_it(*, with_auth: bool) -> None:
    """The device's AUTH once more, or an EAP packet that nobody has asked for."""
    ladder = stopped(twofold())
    said = Message.decode(ladder.sent[2][1].octets)
    first = session_of(ladder.right).keyring.open(said.header, ladder.sent[2][1].octets)
    auth = first.one(Authentication)
    identity = first.one(IdI)
    assert auth is not None
    assert identity is not None
    payloads: tuple[Body, ...] = (identity, auth) if with_auth else (Eap(b"\x02\x01\x00\x04"),)
    ladder.deliver(ladder.right, request(ladder, ladder.left, payloads, AUTH, 2))
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED" if with_auth else "INVALID_SYNTAX"]
    assert not ladder.right.established


def test_a_device_without_a_user_is_forgotten() -> None:
    """RFC 7296 §2.6: it is half open, and counts as such."""
    ladder = stopped(twofold())
    assert len(ladder.right.endpoint._half_open) == 1
    ladder.wait(31)
    assert not ladder.right.states


def test_more_proofs_than_are_wanted_are_refused() -> None:
    """A third one would end in nothing: it is refused before anything is given."""
    ladder = twofold()
    edited(
        ladder,
        lambda all_: all_ if any(isinstance(b, IdI | Eap) for b in all_) else (*all_, FOLLOWS),
        AUTH,
        ladder.left,
    )
    ladder.connect()
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert not ladder.right.established
    assert is_down(ladder)


def test_a_gateway_that_wants_one_proof_refuses_two() -> None:
    """A client that believes in a second proof must not be let in by the first."""
    ladder = twofold(right={"peer_auth": (Proof.CERTIFICATE,), "peer_twofold": ()})
    ladder.connect()
    assert "does not take a second proof" in ladder.left.warnings[-1]
    assert "IKE_AUTH" not in " ".join(ladder.left.said)
    assert not ladder.right.established
    assert is_down(ladder)


# AUTH ---------------------------------------------------------------------------------------------


def last_spoilt(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
    if any(isinstance(body, Eap | IdI) for body in payloads):
        return payloads
    return tuple(
        replace(body, data=bytes(len(body.data))) if isinstance(body, Authentication) else body
        for body in payloads
    )


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("then", [Proof.EAP_MSCHAPV2, Proof.EAP_MD5])
def test_the_second_auth_must_be_of_the_key_of_eap(then: Proof, side: str) -> None:
    """§2.1: "calculated as specified in Sections 2.15 and 2.16"."""
    ladder = twofold(then=then)
    teller, other = (ladder.left, ladder.right) if side == "left" else (ladder.right, ladder.left)
    edited(ladder, last_spoilt, AUTH, teller)
    ladder.connect()
    assert not other.established
    assert is_down(ladder)


def test_the_second_auth_covers_the_second_idi() -> None:
    """§2.1: "IDi' refers to the latest IDi payload": another name in it shows in AUTH."""
    ladder = twofold(then=Proof.EAP_MD5, right={"ask_eap_identity": True})
    edited(
        ladder,
        lambda all_: tuple(
            replace(body, data=b"dora@example.com")
            if isinstance(body, IdI) and len(all_) == 1
            else body
            for body in all_
        ),
        AUTH,
        ladder.left,
    )
    ladder.connect()
    assert not ladder.right.established
    assert is_down(ladder)


def test_a_success_without_a_challenge_is_not_believed() -> None:
    ladder = twofold()
    said = Eap(Packet(Code.SUCCESS, 1).encode())
    edited(
        ladder,
        lambda all_: tuple(said if isinstance(one, Eap) else one for one in all_),
        AUTH,
        ladder.right,
    )
    ladder.connect()
    assert not ladder.left.established
    assert is_down(ladder)


# The initiator is careful -------------------------------------------------------------------------


def test_a_gateway_that_lets_in_too_early_is_left() -> None:
    """One that gives a Child SA for the first proof does not want what we believe it wants."""
    ladder = twofold()

    def early(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        offered = Message.decode(ladder.sent[0][1].octets).one(SecurityAssociation)
        assert offered is not None
        return (*payloads, offered)

    edited(ladder, early, AUTH, ladder.right)
    ladder.connect()
    assert "does not wait for the second proof" in ladder.left.warnings[-1]
    assert not ladder.left.established
    assert Converse not in ladder.left.asked
    assert is_down(ladder)


def test_a_gateway_that_wants_to_prove_itself_twice_is_left() -> None:
    """§2.1: "both peers know what credentials they want to present": we know of one."""
    ladder = twofold()
    edited(
        ladder,
        lambda all_: (*all_, FOLLOWS) if any(isinstance(b, Authentication) for b in all_) else all_,
        AUTH,
        ladder.right,
    )
    ladder.connect()
    assert not ladder.left.established
    assert Converse not in ladder.left.asked
    assert is_down(ladder)


def test_a_gateway_with_another_name_hears_nothing_of_the_user() -> None:
    ladder = twofold(left={"peer_id": IdPattern("other.example")})
    ladder.connect()
    assert Converse not in ladder.left.asked
    assert not any(one.startswith("IKE_AUTH request 2") for one in ladder.left.said)
    assert is_down(ladder)


def test_who_takes_the_announcement_away_hears_nothing_of_us() -> None:
    """A man in the middle of IKE_SA_INIT cannot make us do with one proof, or show any."""

    def plain(message: Message) -> Message:
        kept = without(NotifyType.MULTIPLE_AUTH_SUPPORTED)(message.payloads)
        return replace(message, payloads=kept)

    ladder = twofold()
    rewritten(ladder, plain, ladder.right)
    ladder.connect()
    assert "IKE_AUTH" not in " ".join(ladder.left.said)
    assert Sign not in ladder.left.asked
    assert not ladder.right.established


# Policy -------------------------------------------------------------------------------------------


def test_a_device_must_be_one_of_those_that_may() -> None:
    """`device_id` is for the first proof: whoever the user is."""
    ladder = twofold(right={"device_id": IdPattern("*.devices.example")})
    ladder.connect()
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert Converse not in ladder.right.asked
    assert is_down(ladder)


def test_a_user_must_be_one_of_those_that_may() -> None:
    """`peer_id` is for the second: a device cannot stand for its user."""
    ladder = twofold(right={"peer_id": IdPattern(LEFT)})
    ladder.connect()
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert not ladder.right.established
    assert is_down(ladder)


def test_policy_goes_by_who_eap_has_proven_not_by_the_second_idi() -> None:
    """RFC 7296 §2.16: IDi "can be different" from EAP's identity, which alone is authentic."""
    ladder = twofold(right={"peer_id": IdPattern("boss"), "ask_eap_identity": True})
    edited(
        ladder,
        lambda all_: tuple(
            replace(body, data=b"boss") if isinstance(body, IdI) and len(all_) == 1 else body
            for body in all_
        ),
        AUTH,
        ladder.left,
    )
    ladder.connect()
    assert not ladder.right.established
    assert is_down(ladder)


def test_the_connection_is_that_of_the_device_and_its_user() -> None:
    """Both identities decide, the user's first."""
    ladder = twofold()
    plain = gateways(ladder)
    other = replace(plain, name="other", device_id=IdPattern("other.example"))
    guests = replace(plain, name="guests", peer_id=IdPattern("dora@example.com"))
    staff = replace(plain, name="staff", peer_id=IdPattern("carol"))
    served(ladder, other, guests, plain, staff)
    ladder.connect()
    assert ladder.right.established[0].connection.name == "staff"


def test_a_method_must_be_allowed_after_that_first_proof() -> None:
    """`psk+eap-md5` for a device with a key does not make MD5 enough for one with a certificate."""
    pairs = (BOTH, Twofold(Proof.PSK, Proof.EAP_MD5))
    ladder = twofold(then=Proof.EAP_MD5, right={"peer_twofold": pairs})
    ladder.connect()
    assert "no EAP method in common" in ladder.right.ends[0].reason
    assert is_down(ladder)


def test_a_connection_with_one_proof_does_not_open_one_with_two() -> None:
    """A user without a device comes into the connection for such, and no other."""
    ladder = eap()
    single = gateways(ladder)
    strong = replace(single, name="strong", peer_auth=(), peer_twofold=(BOTH,))
    strong = replace(strong, peer_id=IdPattern("carol"))
    served(ladder, strong, single)
    ladder.connect()
    assert ladder.right.established[0].connection.name == single.name


def test_a_device_that_is_checked_less_does_not_open_what_checks_more() -> None:
    """SHA-1 or unchecked revocation of one connection must not be a way into another one."""
    ladder = twofold()
    plain = gateways(ladder)
    lax = replace(plain, name="lax", device_id=IdPattern(LEFT), allow_sha1_signatures=True)
    lax = replace(lax, peer_id=IdPattern("nobody"))
    served(ladder, lax, replace(plain, name="strict"))
    ladder.connect()
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert not ladder.right.established


def test_there_is_no_ticket_for_two_proofs() -> None:
    """RFC 5723 §5: a ticket says how one identity was proven."""
    ladder = twofold(left={"resumption": True}, right={"resumption": True})
    env = ladder.right.endpoint.env
    ladder.right.endpoint.env = replace(env, tickets=TicketSecrets((Secret(bytes(32)),)))
    ladder.connect()
    assert is_up(ladder)
    assert "TICKET_NACK" in " ".join(ladder.right.said)


def test_an_answer_of_the_signer_that_comes_late_changes_nothing() -> None:
    ladder = twofold()
    ladder.right.holds = (Sign,)
    ladder.connect()
    ladder.answer(ladder.right)
    ladder.right.holds = ()
    ladder.settle()
    assert is_up(ladder)


def test_a_key_of_another_conversation_is_worth_nothing() -> None:
    ladder = twofold()
    honest = ladder.left.eap.turn

    def turn(ticket: Ticket, question: Converse):  # type: ignore[no-untyped-def]
        progress = honest(ticket, question)
        outcome = getattr(progress, "outcome", None)
        if outcome is None:
            return progress
        return replace(progress, outcome=replace(outcome, msk=Secret(bytes(64))))  # type: ignore[type-var]

    ladder.left.eap.turn = turn  # type: ignore[method-assign]
    ladder.connect()
    assert not ladder.right.established
    assert is_down(ladder)

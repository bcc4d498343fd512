# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.4: several answer our IKE_SA_INIT, and only one of them is the peer."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from ikeway.ike import reports
from ikeway.ike.candidates import ANSWERS_MOST
from ikeway.ike.io import Datagram
from ikeway.ike.questions import Sign
from ikeway.ike.states import AwaitInitResponse, Candidates, Established
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.credentials import Credentials, IdPattern, PreSharedKey
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import IdR, KeyExchange, Nonce, Notify, SecurityAssociation
from ikeway.wire.registry import ExchangeType, KeMethod, NotifyType
from support.forge import edited, first_message, put, sealed, with_header
from support.hosts import LEFT, RIGHT, Row, host
from support.ladder import Ladder
from support.shell import Host

Start = Callable[[Row], Ladder]
WAYS = pytest.mark.parametrize(
    "start", [lambda row: row.psk(), lambda row: row.certificates()], ids=["psk", "certificate"]
)


def mallory(row: Row, name: str = "mallory") -> Host:
    """Return a host that answers as the right one would, but cannot prove to be it."""
    keys = Credentials(secrets=(PreSharedKey(IdPattern("*"), Secret(b"a guess")),))
    return host(name, (row.connection(RIGHT, LEFT),), keys)


def answers(row: Row, ladder: Ladder, count: int) -> tuple[list[bytes], bytes]:
    """Return forged answers and the genuine one to the left host's request."""
    message = first_message(ladder).encode()
    forged = []
    for number in range(count):
        other = Ladder(ladder.left, mallory(row, f"mallory {number}"), ladder.addresses)
        forged += other.arrive(other.right, message)
    (genuine,) = ladder.arrive(ladder.right, message)
    ladder.wire.clear()
    return forged, genuine


@WAYS
@pytest.mark.conformance("CF-C15")
@pytest.mark.parametrize("count", range(1, ANSWERS_MOST))
def test_the_genuine_answer_wins_after_forged_ones(row: Row, start: Start, count: int) -> None:
    """§2.4: "the initiator MAY be willing to accept multiple responses to its first message"."""
    ladder = start(row)
    forged, genuine = answers(row, ladder, count)
    for octets in (*forged, genuine):
        ladder.arrive(ladder.left, octets)
    assert len(ladder.left.states[0].branches) == count + 1  # type: ignore[union-attr]
    ladder.settle()
    assert isinstance(ladder.left.states[0], Established)
    assert ladder.left.child.keys_in == ladder.right.child.keys_out
    assert len(ladder.left.installs) == 1


@WAYS
@pytest.mark.conformance("CF-C15")
def test_the_genuine_answer_wins_after_a_forged_peer_has_failed(row: Row, start: Start) -> None:
    """§2.4: who answers first and proves nothing does not end the attempt."""
    ladder = start(row)
    (forged,), genuine = answers(row, ladder, 1)
    header = Message.decode(forged).header
    ladder.arrive(ladder.left, forged)
    ladder.wire.clear()
    refusal = failed(ladder, header.spi_r)
    ladder.arrive(ladder.left, refusal)
    (state,) = ladder.left.states
    assert isinstance(state, Candidates)
    assert state.branches == ()
    assert ladder.left.ends == []
    ladder.wait(1)
    ladder.arrive(ladder.left, genuine)
    ladder.settle()
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


def failed(ladder: Ladder, spi_r: bytes) -> bytes:
    """Return an AUTHENTICATION_FAILED of the one who chose this SPI, with the keys that it has."""
    (state,) = ladder.left.states
    assert isinstance(state, Candidates)
    session = next(one.session for one in state.branches if one.session.link.spi_r == spi_r)
    ring = session.keyring
    mirrored = replace(
        session,
        link=replace(session.link, is_initiator=False),
        keyring=replace(ring, local=ring.peer, peer=ring.local, is_initiator=False),
    )
    word = Notify(NotifyType.AUTHENTICATION_FAILED)
    return sealed(mirrored, (word,), 1, ExchangeType.IKE_AUTH, is_response=True)


@pytest.mark.conformance("CF-C15")
def test_a_forged_peer_that_says_nothing_does_not_stop_the_genuine_one(row: Row) -> None:
    """§2.4: the request to it is repeated, and meanwhile another answer may come."""
    ladder = row.psk()
    (forged,), genuine = answers(row, ladder, 1)
    ladder.arrive(ladder.left, forged)
    ladder.wire.clear()
    ladder.fate = lambda _host, _datagram: []
    ladder.wait(5)
    assert ladder.left.repeats > 1
    ladder.fate = lambda _host, datagram: [datagram]
    ladder.arrive(ladder.left, genuine)
    ladder.settle()
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


@pytest.mark.conformance("CF-C15")
def test_more_than_four_answers_are_not_followed_up(row: Row) -> None:
    """I5: each answer costs a key exchange."""
    ladder = row.psk()
    forged, genuine = answers(row, ladder, ANSWERS_MOST)
    for octets in forged:
        assert len(ladder.arrive(ladder.left, octets)) == 1
    before = ladder.left.states
    assert ladder.arrive(ladder.left, genuine) == []
    assert ladder.left.states == before


@pytest.mark.conformance("CF-C15", "CF-B05")
def test_the_same_answer_twice_is_one_answer(row: Row) -> None:
    """§2.1: networks repeat datagrams."""
    ladder = row.psk()
    _, genuine = answers(row, ladder, 0)
    ladder.arrive(ladder.left, genuine)
    before = ladder.left.states
    assert ladder.arrive(ladder.left, genuine) == []
    assert ladder.left.states == before


@pytest.mark.conformance("CF-C15")
def test_two_answers_with_the_same_spi_are_told_apart_by_their_keys(row: Row) -> None:
    """§2.4: a forger who sees the genuine answer can take its SPI."""
    ladder = row.certificates()
    ladder.left.holds = (Sign,)
    _, genuine = answers(row, ladder, 0)
    message = Message.decode(genuine)
    forged = put(message, Nonce(bytes(range(32)))).encode()
    ladder.arrive(ladder.left, forged)
    ladder.arrive(ladder.left, genuine)
    assert len({asked.ticket for asked in ladder.left.held}) == 2
    ladder.answer(ladder.left)
    ladder.answer(ladder.left)
    ladder.settle()
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


@pytest.mark.conformance("CF-C15")
def test_two_answers_that_make_the_same_keys_get_one_request(row: Row) -> None:
    """RFC 5282 §3.1: a second request would be sealed with the key and the IV of the first."""
    ladder = row.psk()
    _, genuine = answers(row, ladder, 0)
    message = Message.decode(genuine)
    changed = put(message, Notify(NotifyType(40960))).encode()
    ladder.arrive(ladder.left, genuine)
    assert ladder.arrive(ladder.left, changed) == []
    assert len(ladder.left.states[0].branches) == 1  # type: ignore[union-attr]
    ladder.settle()
    assert isinstance(ladder.left.states[0], Established)


P256: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
"""The prime of ECP-256 (RFC 5903 §3.1)."""


def mirrored(public: bytes) -> bytes:
    """Return the public value of ECP-256 with the same x."""
    x, y = public[:32], int.from_bytes(public[32:])
    return x + (P256 - y).to_bytes(32)


@pytest.mark.conformance("CF-C15")
@pytest.mark.parametrize(
    ("group", "alike"),
    [
        ("x25519", lambda public: public[:-1] + bytes([public[-1] ^ 0x80])),
        ("ecp256", mirrored),
    ],
)
def test_another_public_value_that_makes_the_same_keys_gets_no_request(
    row: Row, group: str, alike: Callable[[bytes], bytes]
) -> None:
    """RFC 5282 §3.1, again: X25519 "MUST mask the most significant bit" (RFC 7748 §5), and the
    secret of ECP groups "consists of the x value" (RFC 5903 §7)."""
    ladder = replace(row, ike=row.ike.replace("x25519", group)).psk()
    _, genuine = answers(row, ladder, 0)
    message = Message.decode(genuine)
    exchange = message.one(KeyExchange)
    assert exchange is not None
    other = replace(exchange, data=alike(exchange.data))
    ladder.arrive(ladder.left, genuine)
    assert ladder.arrive(ladder.left, put(message, other).encode()) == []
    assert len(ladder.left.states[0].branches) == 1  # type: ignore[union-attr]
    ladder.settle()
    assert isinstance(ladder.left.states[0], Established)


@pytest.mark.conformance("CF-C15")
def test_a_forged_cookie_after_the_genuine_answer_does_no_harm(row: Row) -> None:
    """§2.6: the request is sent again, and the SA comes up on the first answer."""
    ladder = row.psk()
    _, genuine = answers(row, ladder, 0)
    ladder.arrive(ladder.left, genuine)
    cookie = replace(
        with_header(Message.decode(genuine), spi_r=bytes(8)),
        payloads=(Notify(NotifyType.COOKIE, b"forged"),),
    )
    assert len(ladder.arrive(ladder.left, cookie.encode())) == 1
    ladder.settle()
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


@pytest.mark.conformance("CF-C15")
def test_a_genuine_cookie_after_a_forged_answer_is_followed(row: Row) -> None:
    """§2.6: the genuine responder may be under load."""
    ladder = row.psk()
    (forged,), genuine = answers(row, ladder, 1)
    ladder.arrive(ladder.left, forged)
    ladder.wire.clear()
    cookie = replace(
        with_header(Message.decode(genuine), spi_r=bytes(8)),
        payloads=(Notify(NotifyType.COOKIE, b"genuine"),),
    )
    ladder.arrive(ladder.left, cookie.encode())
    ladder.settle()
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


def test_an_unprotected_error_after_an_answer_changes_nothing(row: Row) -> None:
    """§2.21.1: it is worth less than an answer."""
    ladder = row.psk()
    _, genuine = answers(row, ladder, 0)
    ladder.arrive(ladder.left, genuine)
    before = ladder.left.states
    error = replace(Message.decode(genuine), payloads=(Notify(NotifyType.NO_PROPOSAL_CHOSEN),))
    assert ladder.arrive(ladder.left, error.encode()) == []
    assert ladder.left.states == before


def test_a_failed_proof_ends_the_attempt_if_no_other_answer_comes(row: Row) -> None:
    """§2.21.2: the news that authentication failed is taken "with caution", for two seconds."""
    ladder = row.psk()
    ladder.left.endpoint.env = replace(
        ladder.left.endpoint.env, credentials=mallory(row).endpoint.env.credentials
    )
    ladder.connect()
    assert ladder.left.ends == []
    ladder.wait(1.9)
    assert ladder.left.ends == []
    ladder.wait(0.2)
    (end,) = ladder.left.ends
    assert end == reports.Closed("to-right.example", "the peer says AUTHENTICATION_FAILED", True)
    assert ladder.left.endpoint.sas == ()


def test_an_initiator_without_a_key_gives_up(row: Row) -> None:
    """§2.15: there is nothing to prove an identity with."""
    ladder = row.psk()
    ladder.left.endpoint.env = replace(ladder.left.endpoint.env, credentials=Credentials())
    ladder.connect()
    ladder.wait(3)
    (end,) = ladder.left.ends
    assert end.reason == "no pre-shared key for left.example with right.example"


def test_disconnecting_drops_all_answers(row: Row) -> None:
    """§2.4: none of them has proven anything yet."""
    ladder = row.psk()
    forged, genuine = answers(row, ladder, 2)
    for octets in (*forged, genuine):
        ladder.arrive(ladder.left, octets)
    ladder.check_liveness(ladder.left)
    ladder.disconnect(ladder.left)
    assert ladder.left.endpoint.sas == ()
    assert ladder.left.timers == {}
    assert [end.is_failure for end in ladder.left.ends] == [False]


def disconnected_in_ike_auth(ladder: Ladder) -> None:
    """Let the left host be told to go once it has asked IKE_AUTH, and the rest happen."""
    ladder.initiate()
    for _ in range(2):
        ladder.deliver(*ladder.wire.popleft())
    (_, asked) = ladder.wire[0]
    assert asked.octets[18] == ExchangeType.IKE_AUTH
    ladder.disconnect(ladder.left)
    assert [end.is_failure for end in ladder.left.ends] == [False]


@WAYS
def test_who_was_asked_ike_auth_is_told_that_it_is_over(row: Row, start: Start) -> None:
    """§1.4.1: it may be established with us, and would send through its Child SA into the void; the
    Delete has to wait for the response (§2.3)."""
    ladder = start(row)
    disconnected_in_ike_auth(ladder)
    ladder.settle()
    assert ladder.left.endpoint.sas == ()
    assert len(ladder.right.ends) == 1
    assert ladder.right.installed == ladder.left.installed == {}
    ladder.wait(16)
    assert ladder.right.endpoint.sas == ()
    assert len(ladder.left.ends) == 1


def test_who_never_answers_is_told_nothing_after_a_while(row: Row) -> None:
    """§2.4: what is over here does not wait for ever."""
    ladder = row.psk()
    disconnected_in_ike_auth(ladder)
    ladder.fate = lambda _host, _datagram: []
    ladder.wire.clear()
    ladder.wait(60)
    assert ladder.left.endpoint.sas == ()
    assert len(ladder.left.ends) == 1


def test_who_has_refused_us_is_told_nothing(row: Row) -> None:
    """§2.21.2: there is no IKE SA that could be deleted."""
    ladder = Ladder(row.psk().left, mallory(row), row.addresses)
    disconnected_in_ike_auth(ladder)
    ladder.settle()
    assert ladder.left.endpoint.sas == ()
    assert [Message.decode(sent.octets).header.exchange for _, sent in ladder.sent[2:]] == [
        ExchangeType.IKE_AUTH,
        ExchangeType.IKE_AUTH,
    ]


@pytest.mark.conformance("CF-E03")
@pytest.mark.parametrize(
    "change",
    [
        lambda message: put(message, KeyExchange(KeMethod.CURVE25519, bytes(32))),
        lambda message: put(message, KeyExchange(KeMethod.CURVE25519, bytes(31))),
        lambda message: put(message, KeyExchange(KeMethod.ECP_256, bytes(64))),
        lambda message: replace(message, payloads=message.payloads[1:]),
        lambda message: replace(message, payloads=message.payloads * 2),
        lambda message: with_header(message, spi_r=bytes(8)),
        lambda message: with_header(message, message_id=1),
        lambda message: with_header(message, exchange=ExchangeType.IKE_AUTH),
        lambda message: put(message, SecurityAssociation(())),
    ],
)
def test_an_answer_that_cannot_be_is_dropped(
    row: Row, change: Callable[[Message], Message]
) -> None:
    """RFC 6989 §2.5: and the genuine one is waited for."""
    ladder = row.psk()
    _, genuine = answers(row, ladder, 0)
    octets = change(Message.decode(genuine)).encode()
    assert ladder.arrive(ladder.left, octets) == []
    assert isinstance(ladder.left.states[0], AwaitInitResponse)
    ladder.arrive(ladder.left, genuine)
    ladder.settle()
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


def test_a_branch_that_says_goodbye_may_finish(row: Row) -> None:
    """§2.21.2: the AUTHENTICATION_FAILED of an initiator is repeated until it is answered."""
    ladder = row.psk(right={"local_id": Identity.parse("liar.example")})
    edited(ladder, without_id_r, ExchangeType.IKE_AUTH, ladder.left)
    inner = ladder.fate
    ladder.fate = lambda sender, datagram: (
        [] if is_informational(datagram) else inner(sender, datagram)
    )
    ladder.connect()
    assert "INFORMATIONAL request 2 [N(AUTHENTICATION_FAILED)]" in ladder.left.said
    ladder.wait(3)
    assert len(ladder.left.ends) == len(ladder.left.endpoint.sas) == 1
    ladder.fate = lambda _host, datagram: [datagram]
    ladder.wait(10)
    assert ladder.left.endpoint.sas == ()
    assert ladder.right.installed == {}


def without_id_r(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
    return tuple(body for body in payloads if not isinstance(body, IdR))


def is_informational(datagram: Datagram) -> bool:
    return Message.decode(datagram.octets).header.exchange is ExchangeType.INFORMATIONAL

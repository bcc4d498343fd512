# SPDX-License-Identifier: Apache-2.0
"""RFC 9242: IKE_INTERMEDIATE between IKE_SA_INIT and IKE_AUTH."""

import hmac
from dataclasses import replace
from hashlib import sha384

import pytest

from ikeway.ike import int_auth
from ikeway.ike.exchanges.ike_intermediate_responder import EXCHANGES_MOST
from ikeway.ike.int_auth import IntAuth
from ikeway.ike.io import CheckLiveness, Datagram
from ikeway.ike.states import (
    AwaitAuthRequest,
    AwaitIntermediateRequest,
    AwaitIntermediateResponse,
    Candidates,
)
from ikeway.wire.codec import Body
from ikeway.wire.message import Header, Message
from ikeway.wire.payloads import Authentication, KeyExchange, Notify
from ikeway.wire.registry import AuthMethod, ExchangeType, KeMethod, NotifyType, PayloadType
from support.agreement import agree
from support.forge import edited, rewritten, sealed, session_in, session_of
from support.fragmenting import Cutter, NarrowPath, is_fragment, sizes
from support.hosts import GCM, Row
from support.hybrid import KEM, THREE, TWO, exchanges, hybrid, lose
from support.ladder import Ladder
from support.shell import Host

INTERMEDIATE, AUTH = ExchangeType.IKE_INTERMEDIATE, ExchangeType.IKE_AUTH
SUPPORTED = NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED


def kind_of(datagram: Datagram) -> ExchangeType:
    return Header.decode(datagram.octets).exchange


def held_before(ladder: Ladder, exchange: ExchangeType) -> None:
    """Connect, and lose all of an exchange, so that both sides wait for it."""
    ladder.fate = lambda _, datagram: [] if kind_of(datagram) is exchange else [datagram]
    ladder.connect()


def first(ladder: Ladder, host: Host) -> Message:
    return next(Message.decode(sent.octets) for one, sent in ladder.sent if one is host)


# Agreeing on it -----------------------------------------------------------------------------------


@pytest.mark.conformance("CF-P01", "CF-Q01")
def test_both_sides_say_that_they_have_it_where_it_is_needed(row: Row) -> None:
    """§3.1; RFC 9370 §2.2.1: with ADDKE the initiator "MUST also negotiate the use"."""
    ladder = hybrid(row)
    ladder.connect()
    for host in (ladder.left, ladder.right):
        assert first(ladder, host).notify(SUPPORTED) == Notify(SUPPORTED)
    agree(ladder)
    plain = row.psk()
    plain.connect()
    for host in (plain.left, plain.right):
        assert first(plain, host).notify(SUPPORTED) is None


@pytest.mark.conformance("CF-P01")
def test_data_in_the_notify_is_ignored(row: Row) -> None:
    """§3.1: "Implementations MUST ignore non-empty Notification Data"."""
    ladder = hybrid(row)

    def filled(message: Message) -> Message:
        bodies = (
            replace(body, data=b"later")
            if isinstance(body, Notify) and body.type is SUPPORTED
            else body
            for body in message.payloads
        )
        return replace(message, payloads=tuple(bodies))

    rewritten(ladder, filled, ladder.left)
    ladder.initiate()
    host, datagram = ladder.wire.popleft()
    ladder.deliver(host, datagram)
    assert isinstance(ladder.right.states[0], AwaitIntermediateRequest)


@pytest.mark.conformance("CF-P01", "CF-P09")
@pytest.mark.parametrize("extra", [None, KEM])
def test_more_of_them_than_agreed_on_end_the_sa(row: Row, extra: str | None) -> None:
    """§5: no "unlimited number of these exchanges ... at the initiator's discretion"."""
    ladder = hybrid(row, extra) if extra else row.psk()
    held_before(ladder, AUTH)
    (state,) = ladder.right.states
    assert isinstance(state, AwaitAuthRequest)
    number = state.session.window.expected
    more = KeyExchange(KeMethod.ML_KEM_768, bytes(1184))
    octets = sealed(session_of(ladder.left), (more,), number, INTERMEDIATE)
    (said,) = ladder.arrive(ladder.right, octets)
    assert opened_by(ladder.left, said).notify(NotifyType.INVALID_SYNTAX)
    ladder.wait(60)
    assert ladder.right.states == []
    assert ladder.right.established == []


def test_one_for_nothing_is_answered_and_covered(row: Row) -> None:
    """§3.2: an exchange that both sides know of; AUTH covers it as any other (§3.3.2)."""
    ladder = hybrid(row)
    held_before(ladder, AUTH)
    for _ in range(2):
        session = session_of(ladder.left)
        number = session_of(ladder.right).window.expected
        (said,) = ladder.arrive(ladder.right, sealed(session, (), number, INTERMEDIATE))
        reply = session_of(ladder.left).keyring.open(Header.decode(said), said)
        assert (reply.header.exchange, reply.payloads) == (INTERMEDIATE, ())
    (state,) = ladder.right.states
    assert isinstance(state, AwaitAuthRequest)
    assert state.transcript.int_auth.exchanges == 3
    assert state.transcript.int_auth.octets[-4:] == (4).to_bytes(4)


@pytest.mark.conformance("CF-P09")
def test_but_there_is_an_end_to_them(row: Row) -> None:
    """§5: no "unlimited number of these exchanges ... at the initiator's discretion"."""
    ladder = hybrid(row)
    held_before(ladder, AUTH)
    for number in range(2, EXCHANGES_MOST + 1):
        octets = sealed(session_of(ladder.left), (), number, INTERMEDIATE)
        (said,) = ladder.arrive(ladder.right, octets)
        assert opened_by(ladder.left, said).payloads == ()
    octets = sealed(session_of(ladder.left), (), EXCHANGES_MOST + 1, INTERMEDIATE)
    (said,) = ladder.arrive(ladder.right, octets)
    assert opened_by(ladder.left, said).notify(NotifyType.INVALID_SYNTAX)


@pytest.mark.parametrize("announced", [False, True])
def test_one_for_nothing_is_refused_where_we_did_not_say_that_we_know_it(
    row: Row, announced: bool
) -> None:
    """§3.1: the exchange is there for both, or for neither."""
    ladder = row.psk()
    supported = Notify(SUPPORTED) if announced else Notify(NotifyType.MOBIKE_SUPPORTED)
    rewritten(
        ladder,
        lambda message: replace(message, payloads=(*message.payloads, supported)),
        ladder.left,
    )
    ladder.initiate()
    ladder.deliver(*ladder.wire.popleft())
    ladder.deliver(*ladder.wire.popleft())
    ladder.wire.clear()
    octets = sealed(session_of(ladder.left), (), 1, INTERMEDIATE)
    (said,) = ladder.arrive(ladder.right, octets)
    assert opened_by(ladder.left, said).notify(NotifyType.INVALID_SYNTAX)


def opened_by(host: Host, octets: bytes) -> Message:
    return session_of(host).keyring.open(Header.decode(octets), octets)


# Using it -----------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-P02", "CF-Q05")
@pytest.mark.parametrize(("extra", "count"), [(KEM, 1), (TWO, 2), (THREE, 3)])
def test_they_are_sequential_and_ike_auth_follows(row: Row, extra: str, count: int) -> None:
    """§3.2: "set to 1 for the first IKE_INTERMEDIATE exchange, 2 for the next"."""
    ladder = hybrid(row, extra)
    ladder.connect()
    expected = [("IKE_SA_INIT", 0)]
    expected += [("IKE_INTERMEDIATE", number) for number in range(1, count + 1)]
    expected += [("IKE_AUTH", count + 1)]
    for host in (ladder.left, ladder.right):
        assert exchanges(ladder, host) == expected
    agree(ladder)


@pytest.mark.conformance("CF-P02")
@pytest.mark.parametrize("number", [0, 2, 7])
def test_another_message_id_is_dropped(row: Row, number: int) -> None:
    """§3.2: "MUST verify that Message IDs ... actually follow this rule"."""
    ladder = hybrid(row)
    held_before(ladder, INTERMEDIATE)
    (before,) = ladder.right.states
    body = KeyExchange(KeMethod.ML_KEM_768, bytes(1184))
    octets = sealed(session_of(ladder.left), (body,), number, INTERMEDIATE)
    assert ladder.arrive(ladder.right, octets) == []
    assert ladder.right.states == [before]


@pytest.mark.conformance("CF-P03")
def test_the_sa_is_not_established_before_ike_auth(row: Row) -> None:
    """§3.2: "MUST NOT be considered as established until" IKE_AUTH; nothing else is taken."""
    ladder = hybrid(row, TWO)
    held_before(ladder, AUTH)
    for host in (ladder.left, ladder.right):
        assert host.established == []
        assert not host.installed
    (before,) = ladder.right.states
    for exchange in (ExchangeType.INFORMATIONAL, ExchangeType.CREATE_CHILD_SA):
        octets = sealed(session_of(ladder.left), (), 3, exchange)
        assert ladder.arrive(ladder.right, octets) == []
        assert ladder.right.states == [before]
    (sa,) = ladder.left.endpoint.sas
    assert ladder.left.endpoint.handle(sa.spi, CheckLiveness(), ladder.now) == ()


@pytest.mark.conformance("CF-P03", "CF-Q05")
@pytest.mark.parametrize("exchange", [ExchangeType.INFORMATIONAL, ExchangeType.CREATE_CHILD_SA])
def test_other_exchanges_have_to_wait_while_they_are_due(row: Row, exchange: ExchangeType) -> None:
    ladder = hybrid(row)
    held_before(ladder, INTERMEDIATE)
    (before,) = ladder.right.states
    octets = sealed(session_of(ladder.left), (), 1, exchange)
    assert ladder.arrive(ladder.right, octets) == []
    assert ladder.right.states == [before]
    octets = sealed(session_of(ladder.right), (), 0, exchange)
    assert ladder.arrive(ladder.left, octets) == []


@pytest.mark.conformance("CF-P03")
def test_ike_auth_cannot_come_before_them(row: Row) -> None:
    """An initiator that leaves out what was agreed on gets no IKE SA without ML-KEM."""
    ladder = hybrid(row)
    held_before(ladder, INTERMEDIATE)
    auth = Authentication(AuthMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE, bytes(48))
    octets = sealed(session_of(ladder.left), (auth,), 1, AUTH)
    (said,) = ladder.arrive(ladder.right, octets)
    assert opened_by(ladder.left, said).notify(NotifyType.INVALID_SYNTAX)
    assert ladder.right.established == []
    ladder.wait(60)
    assert ladder.right.states == []


@pytest.mark.conformance("CF-P04", "CF-P07")
@pytest.mark.parametrize("extra", [KEM, THREE])
def test_they_go_in_fragments_where_they_are_long(row: Row, extra: str) -> None:
    """§3.2: "payloads containing large amounts of data MUST be placed inside" SK."""
    ladder = hybrid(row, extra, fragment_size=576)
    ladder.connect()
    agree(ladder)
    for host in (ladder.left, ladder.right):
        assert max(sizes(ladder, host)) <= 576
    heads = [Header.decode(sent.octets) for _, sent in ladder.sent]
    inside = {head.next_payload for head in heads if head.exchange is INTERMEDIATE}
    assert inside <= {PayloadType.SKF, PayloadType.SK}
    assert PayloadType.SKF in inside


@pytest.mark.conformance("CF-P04", "CF-P07")
def test_a_narrow_path_is_found_and_the_proof_stays_the_same(row: Row) -> None:
    """§3.3.2: "regardless of whether or not IKE fragmentation takes place"."""
    ladder = hybrid(row, "ke1_mlkem1024", fragment_size=1500)
    narrow = NarrowPath(ladder, 1280)
    ladder.connect()
    ladder.wait(30)
    assert narrow.lost
    agree(ladder)


@pytest.mark.conformance("CF-P05")
@pytest.mark.parametrize("extra", [KEM, THREE])
@pytest.mark.parametrize("size", [0, 576])
@pytest.mark.parametrize("by", ["left", "right"])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_lost_fragments_and_messages_cost_time_only(
    row: Row, extra: str, size: int, by: str, times: int
) -> None:
    """§3.3.1: what is repeated is protected with the keys that it had."""
    ladder = hybrid(row, extra, fragment_size=size)
    lost = lose(ladder, INTERMEDIATE, getattr(ladder, by), times)
    ladder.connect()
    ladder.wait(40)
    assert lost() == times
    agree(ladder)
    assert ladder.left.repeats
    whole = ladder.right.drops
    assert not [reason for reason in whole if "integrity" in reason.lower()]


@pytest.mark.conformance("CF-P05", "CF-Q07")
def test_each_exchange_has_the_keys_of_the_one_before(row: Row) -> None:
    """§3.3.1: "the most recently calculated IKE SA keys before this exchange is started"."""
    ladder = hybrid(row, TWO)
    seen: list[bytes] = []

    def fate(host: Host, datagram: Datagram) -> list[Datagram]:
        if host is ladder.left and kind_of(datagram) in {INTERMEDIATE, AUTH}:
            # The reader stands where it was when the request was made.
            session = session_in(ladder.right.states[0])
            seen.append(session.keyring.keys.sk_ei.octets)
            header = Header.decode(datagram.octets)
            if not is_fragment(datagram.octets):
                session.keyring.open(header, datagram.octets)
        return [datagram]

    ladder.fate = fate
    ladder.connect()
    assert len(set(seen)) == 3
    agree(ladder)


# What AUTH covers ---------------------------------------------------------------------------------


@pytest.mark.conformance("CF-P06")
def test_the_octets_that_auth_covers_are_those_of_the_rfc() -> None:
    """§3.3.2: IntAuth_iN | IntAuth_rN | IKE_AUTH_MID, each made with the SK_p of its exchange."""
    ladder = hybrid(GCM, TWO)
    held_before(ladder, AUTH)
    (state,) = ladder.right.states
    assert isinstance(state, AwaitAuthRequest)
    found = state.transcript.int_auth
    assert found.exchanges == 2
    assert found.octets == found.of_initiator + found.of_responder + (3).to_bytes(4)
    assert len(found.octets) == 48 + 48 + 4
    assert IntAuth().octets == b""


@pytest.mark.conformance("CF-P06")
def test_the_chunks_are_put_together_as_the_rfc_says() -> None:
    """§3.3.2, with Python's own HMAC: the next value goes over the last one, A and P."""
    ladder = hybrid(GCM)
    held_before(ladder, INTERMEDIATE)
    keyring = session_of(ladder.left).keyring
    one = IntAuth().after(keyring, b"A1P1", b"a1p1")
    two = one.after(keyring, b"A2P2", b"a2p2")
    sk_pi, sk_pr = keyring.keys.sk_pi.octets, keyring.keys.sk_pr.octets

    def mac(key: bytes, octets: bytes) -> bytes:
        return hmac.new(key, octets, sha384).digest()

    assert two.of_initiator == mac(sk_pi, mac(sk_pi, b"A1P1") + b"A2P2")
    assert two.of_responder == mac(sk_pr, mac(sk_pr, b"a1p1") + b"a2p2")


@pytest.mark.conformance("CF-P07")
def test_lengths_are_adjusted_and_the_first_fragment_gives_reserved() -> None:
    """§3.3.2: no IV, padding or ICV is counted; RESERVED is that of fragment 1."""
    header = bytes(range(16)) + bytes([53, 0x20, 43, 8]) + (1).to_bytes(4) + (999).to_bytes(4)
    octets = int_auth.covered(header, b"\x22\x05", b"inner payloads")
    assert octets[:16] == header[:16]
    assert octets[16:20] == bytes([46, 0x20, 43, 8])
    assert octets[20:24] == (1).to_bytes(4)
    assert octets[24:28] == len(octets).to_bytes(4)
    assert octets[28:32] == b"\x22\x05" + (4 + 14).to_bytes(2)
    assert octets[32:] == b"inner payloads"


@pytest.mark.conformance("CF-P07")
def test_it_is_the_same_whether_or_not_the_message_was_in_fragments() -> None:
    """§3.3.2: the same request, whole for one responder and in five pieces for another."""
    found = []
    for total in (1, 5):
        ladder = hybrid(GCM)
        held_before(ladder, INTERMEDIATE)
        session = session_of(ladder.left)
        (waiting,) = ladder.left.states
        assert isinstance(waiting, Candidates)
        branch = waiting.branches[0]
        assert isinstance(branch, AwaitIntermediateResponse)
        body: Body = KeyExchange(KeMethod.ML_KEM_768, branch.offer.public)
        if total == 1:
            pieces = [sealed(session, (body,), 1, INTERMEDIATE)]
        else:
            pieces = Cutter(session, 1, INTERMEDIATE).cut((body,), total)[::-1]
        for octets in pieces:
            ladder.arrive(ladder.right, octets)
        (state,) = ladder.right.states
        assert isinstance(state, AwaitAuthRequest)
        found.append(state.transcript.int_auth.of_initiator)
        assert branch.covered.endswith(branch.offer.public)
    assert found[0] == found[1]


@pytest.mark.conformance("CF-P06")
@pytest.mark.parametrize("by", ["left", "right"])
def test_a_changed_message_is_noticed_in_ike_auth(row: Row, by: str) -> None:
    """§5: the forgery of one who has the keys "would become evident in the IKE_AUTH exchange"."""
    ladder = hybrid(row, fragment_size=0)
    host: Host = getattr(ladder, by)
    extra = Notify(NotifyType(40960), b"not what was sent")
    edited(ladder, lambda payloads: (*payloads, extra), INTERMEDIATE, host)
    ladder.connect()
    ladder.wait(60)
    assert ladder.left.established == ladder.right.established == []
    said = [event for event in ladder.right.events if "shared key does not match" in str(event)]
    assert said


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-P08", "CF-Q06", "CF-Q15")
@pytest.mark.parametrize(
    "body",
    [
        (KeyExchange(KeMethod.ML_KEM_1024, bytes(1568)),),
        (KeyExchange(KeMethod.ML_KEM_768, bytes(1183)),),
        (KeyExchange(KeMethod.ML_KEM_768, b"\xff" * 1184),),
        (),
    ],
)
def test_a_wrong_request_is_answered_and_ends_the_half_open_sa(
    row: Row, body: tuple[Body, ...]
) -> None:
    """§3.4: as in RFC 7296 §2.21.2; draft-ietf-ipsecme-ikev2-mlkem: INVALID_SYNTAX."""
    ladder = hybrid(row)
    held_before(ladder, INTERMEDIATE)
    octets = sealed(session_of(ladder.left), body, 1, INTERMEDIATE)
    (said,) = ladder.arrive(ladder.right, octets)
    assert opened_by(ladder.left, said).notify(NotifyType.INVALID_SYNTAX)
    ladder.wait(60)
    assert ladder.right.states == []


@pytest.mark.conformance("CF-P08", "CF-Q06", "CF-Q15")
@pytest.mark.parametrize(
    "body",
    [
        (KeyExchange(KeMethod.ML_KEM_1024, bytes(1568)),),
        (KeyExchange(KeMethod.ML_KEM_768, bytes(1087)),),
        (),
        (Notify(NotifyType.INVALID_SYNTAX),),
        (Notify(NotifyType.NO_PROPOSAL_CHOSEN),),
    ],
)
def test_a_wrong_answer_ends_that_answer_and_another_may_come(
    row: Row, body: tuple[Body, ...]
) -> None:
    """§3.4: who says so is not authentic, so the peer's own answer is still taken for a while."""
    ladder = hybrid(row)
    held_before(ladder, INTERMEDIATE)
    octets = sealed(session_of(ladder.right), body, 1, INTERMEDIATE, is_response=True)
    assert ladder.arrive(ladder.left, octets) == []
    (state,) = ladder.left.states
    assert isinstance(state, Candidates)
    assert state.branches == ()
    ladder.wait(5)
    assert ladder.left.states == []
    assert any("leads nowhere" in str(event) for event in ladder.left.events)


@pytest.mark.conformance("CF-Q15")
@pytest.mark.parametrize("by", ["left", "right"])
def test_a_forged_kem_value_shows_as_a_message_that_does_not_verify(row: Row, by: str) -> None:
    """FIPS 203 §6.3: implicit rejection; both sides have other keys, and nothing goes on."""
    ladder = hybrid(row, fragment_size=0)
    host: Host = getattr(ladder, by)

    def flip(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        (exchange,) = payloads
        assert isinstance(exchange, KeyExchange)
        return (replace(exchange, data=exchange.data[:-1] + bytes([exchange.data[-1] ^ 1])),)

    edited(ladder, flip, INTERMEDIATE, host)
    ladder.connect()
    ladder.wait(200)
    assert ladder.left.states == ladder.right.states == []
    assert not ladder.left.installed
    assert not ladder.right.installed


def test_a_half_open_sa_that_hears_no_more_goes(row: Row) -> None:
    """RFC 7296 §2.6: IKE_INTERMEDIATE is part of the time that a stranger has."""
    ladder = hybrid(row, TWO)
    held_before(ladder, INTERMEDIATE)
    ladder.wait(31)
    assert ladder.right.states == []


def test_a_repeated_ike_sa_init_is_answered_while_they_are_due(row: Row) -> None:
    """RFC 7296 §2.1: the response to the same octets is the same."""
    ladder = hybrid(row)
    lost = lose(ladder, ExchangeType.IKE_SA_INIT, ladder.right, 2)
    ladder.connect()
    ladder.wait(20)
    assert lost() == 2
    agree(ladder)

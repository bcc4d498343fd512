# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §1.5, §2.6, §2.21.4: messages that belong to no IKE SA."""

from dataclasses import replace

import pytest

from ikeway.ike import reports
from ikeway.ike.endpoint import Endpoint as IkeEndpoint
from ikeway.ike.io import Datagram, Send
from ikeway.model.address import Endpoint
from ikeway.policy.limits import Limits
from ikeway.policy.proposals import parse_ike
from ikeway.wire.message import Flags, Header, Message
from ikeway.wire.payloads import Nonce, Notify, Unknown
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType
from support.forge import first_message, request, sealed, session_of, with_header
from support.hosts import CA, GCM, Row, authority, host
from support.ladder import Ladder


@pytest.mark.conformance("CF-J13")
@pytest.mark.parametrize("from_initiator", [True, False])
def test_a_request_of_an_unknown_sa_is_told_so(row: Row, from_initiator: bool) -> None:
    """§2.21.4: "with the same IKE SPIs and the Message ID copied", unprotected, to its source."""
    ladder = row.psk()
    ladder.connect()
    who, whom = (ladder.left, ladder.right) if from_initiator else (ladder.right, ladder.left)
    asking = request(ladder, who, ())
    lost = host("rebooted", (), whom.endpoint.env.credentials)
    actions = lost.endpoint.receive(asking, ladder.now)
    (send,) = (action for action in actions if isinstance(action, Send))
    told = Message.decode(send.octets)
    asked = Message.decode(asking.octets).header
    assert told.payloads == (Notify(NotifyType.INVALID_IKE_SPI),)
    assert (send.local, send.peer) == (asking.local, asking.peer)
    for field in ("spi_i", "spi_r", "message_id", "exchange"):
        assert getattr(told.header, field) == getattr(asked, field)
    assert told.header.is_response
    assert told.header.is_from_initiator != from_initiator


@pytest.mark.conformance("CF-J12")
def test_a_response_of_an_unknown_sa_is_not_answered(row: Row) -> None:
    """§2.21.4: the node "MUST NOT respond"."""
    ladder = row.psk()
    ladder.connect()
    octets = sealed(session_of(ladder.left), (), 0, is_response=True)
    lost = host("rebooted", (), ladder.right.endpoint.env.credentials)
    here, there = ladder.addresses
    datagram = Datagram(Endpoint(there, 500), Endpoint(here, 500), octets)
    (report,) = lost.endpoint.receive(datagram, ladder.now)
    assert isinstance(report.event, reports.Dropped)  # type: ignore[union-attr]


@pytest.mark.conformance("CF-J13")
def test_the_answers_to_strangers_are_limited_in_rate(row: Row) -> None:
    """§2.21.4: "A node needs to limit the rate"."""
    ladder = row.psk()
    message = with_header(first_message(ladder), exchange=ExchangeType.IKE_AUTH, spi_r=b"nobody's")
    answers = [one for _ in range(500) for one in ladder.arrive(ladder.right, message.encode())]
    assert len(answers) == Limits().answers_burst


@pytest.mark.conformance("CF-K01")
def test_an_unknown_exchange_of_an_unknown_sa_is_dropped(row: Row) -> None:
    """§3.1: there is nobody to talk to."""
    ladder = row.psk()
    message = with_header(first_message(ladder), exchange=ExchangeType(77), spi_r=b"nobody's")
    assert ladder.arrive(ladder.right, message.encode()) == []


@pytest.mark.conformance("CF-D02")
def test_a_message_without_initiators_spi_is_dropped(row: Row) -> None:
    """§3.1: "This value MUST NOT be zero"."""
    ladder = row.psk()
    message = with_header(first_message(ladder), spi_i=bytes(8))
    assert ladder.arrive(ladder.right, message.encode()) == []
    assert ladder.right.drops == ["SPIi is zero"]


@pytest.mark.conformance("CF-D03", "CF-K02")
@pytest.mark.parametrize(
    "changes",
    [{"spi_r": b"not zero"}, {"flags": Flags(0)}, {"message_id": 1}, {"flags": Flags.RESPONSE}],
)
def test_an_ike_sa_init_request_of_another_form_is_dropped(
    row: Row, changes: dict[str, object]
) -> None:
    """§3.1: in the first message SPIr "MUST be zero"; its message ID is 0, its I flag is set."""
    ladder = row.psk()
    message = with_header(first_message(ladder), **changes)
    assert ladder.arrive(ladder.right, message.encode()) == []
    assert ladder.right.endpoint.sas == ()


@pytest.mark.conformance("CF-K03")
@pytest.mark.parametrize("change", [-1, 1, 4])
def test_a_header_with_another_length_is_dropped(row: Row, change: int) -> None:
    """§3.1: "Length of the total message (header + payloads) in octets"."""
    ladder = row.psk()
    octets = bytearray(first_message(ladder).encode())
    octets[24:28] = (len(octets) + change).to_bytes(4)
    assert ladder.arrive(ladder.right, bytes(octets)) == []
    assert ladder.right.endpoint.sas == ()


@pytest.mark.conformance("CF-K03")
@pytest.mark.parametrize("octets", range(0, 28, 3))
def test_what_is_shorter_than_a_header_is_dropped(row: Row, octets: int) -> None:
    """§3.1: an IKE header has 28 octets."""
    ladder = row.psk()
    assert ladder.arrive(ladder.right, bytes(octets)) == []


@pytest.mark.conformance("CF-D01")
def test_the_spi_alone_finds_the_sa(row: Row) -> None:
    """§2.6: "mapped to an IKE SA only using the packet's SPI, not ... the source IP address"."""
    ladder = row.psk()
    ladder.connect()
    asking = request(ladder, ladder.left, ())
    elsewhere = replace(asking, peer=Endpoint(ladder.addresses[1], 33333))
    ladder.deliver(ladder.right, elsewhere)
    _, answer = ladder.sent[-1]
    assert answer.local == elsewhere.peer
    assert ladder.right.said[-1] == "INFORMATIONAL response 2 []"


@pytest.mark.conformance("CF-D01", "CF-K02")
def test_the_initiator_flag_says_whose_spi_is_whose(row: Row) -> None:
    """§3.1: the flag "MUST be set in messages sent by the original initiator" and in no others."""
    ladder = row.psk()
    ladder.connect()
    octets = bytearray(request(ladder, ladder.left, ()).octets)
    octets[19] ^= Flags.INITIATOR
    before = ladder.right.states
    ladder.arrive(ladder.right, bytes(octets))
    assert ladder.right.states == before
    swapped = octets[8:16] + octets[:8] + octets[16:]
    ladder.arrive(ladder.right, bytes(swapped))
    assert ladder.right.states == before


@pytest.mark.conformance("CF-E02", "CF-A03")
def test_no_refusal_is_longer_than_the_request() -> None:
    """I2: a forged source address must not make us an amplifier."""
    ladder = GCM.psk(right={"ike": (parse_ike("chacha20poly1305-ecp384"),)})
    message = first_message(ladder)
    cases = [
        message,
        replace(message, payloads=()),
        replace(message, payloads=(Unknown(PayloadType(200), b"", critical=True),)),
        with_header(message, major=3),
        replace(with_header(message, major=3), payloads=()),
        replace(
            with_header(message, spi_r=b"nobody's", exchange=ExchangeType.IKE_AUTH), payloads=()
        ),
        with_header(message, spi_r=b"nobody's", exchange=ExchangeType.IKE_AUTH),
        with_header(message, spi_r=b"nobody's", exchange=ExchangeType.INFORMATIONAL),
    ]
    drawn = 0
    for case in cases:
        octets = case.encode()
        answers = ladder.arrive(ladder.right, octets)
        assert sum(map(len, answers)) <= len(octets)
        drawn += len(answers)
    assert drawn == 4


def test_an_answer_to_ike_sa_init_is_hardly_longer_than_the_request() -> None:
    """I2: what the request does not ask for is not in the answer."""
    ladder = GCM.certificates()
    credentials = ladder.right.endpoint.env.credentials
    many = replace(credentials, authorities=(authority(CA).certificate,) * 100)
    ladder.right.endpoint.env = replace(ladder.right.endpoint.env, credentials=many)
    message = first_message(ladder)
    bare = replace(
        message, payloads=tuple(one for one in message.payloads if not isinstance(one, Notify))
    )
    (answer,) = ladder.arrive(ladder.right, bare.encode())
    assert len(answer) < 3 * len(bare.encode())
    assert Message.decode(answer).all(Notify) == ()


def bound_half_open(ladder: Ladder, most: int) -> None:
    env = replace(ladder.right.endpoint.env, limits=Limits(half_open=most))
    ladder.right.endpoint = IkeEndpoint(env)


def test_half_open_sas_have_a_bound(row: Row) -> None:
    """§2.6: state exhaustion; established SAs lose nothing, and room comes back with time."""
    ladder = row.psk()
    bound_half_open(ladder, 3)
    ladder.connect()
    message = first_message(ladder)
    nonces = [Nonce(bytes([number]) * 32) for number in range(5)]
    answers = []
    for nonce in nonces:
        payloads = tuple(nonce if isinstance(one, Nonce) else one for one in message.payloads)
        answers += ladder.arrive(ladder.right, replace(message, payloads=payloads).encode())
    assert len(answers) == 3
    assert len(ladder.right.endpoint.sas) == 4
    assert ladder.right.drops == ["3 IKE SAs are half open"] * 2
    assert ladder.right.established
    ladder.left.timers.clear()
    ladder.wait(31)
    assert len(ladder.right.endpoint.sas) == 1
    assert ladder.arrive(ladder.right, message.encode())


def test_a_full_endpoint_still_repeats_its_answers(row: Row) -> None:
    """§2.1: a half-open SA is as good as any."""
    ladder = row.psk()
    bound_half_open(ladder, 1)
    octets = first_message(ladder).encode()
    (answer,) = ladder.arrive(ladder.right, octets)
    assert ladder.arrive(ladder.right, octets) == [answer]
    ladder.arrive(ladder.left, answer)
    ladder.settle()
    assert ladder.right.established


def test_a_half_open_sa_that_nothing_follows_is_forgotten(row: Row) -> None:
    """I3: after idling everything is back at the base line."""
    ladder = row.psk()
    ladder.arrive(ladder.right, first_message(ladder).encode())
    ladder.wire.clear()
    ladder.left.timers.clear()
    ladder.wait(31)
    endpoint = ladder.right.endpoint
    assert endpoint.sas == ()
    assert len(endpoint._half_open) == 0
    assert endpoint._half_open._spi == endpoint._half_open._key == {}
    assert ladder.right.timers == {}


def test_a_late_repetition_of_an_ike_sa_init_request_starts_nothing(row: Row) -> None:
    """§2.1: as long as the SA is there, its first request is known."""
    ladder = row.psk()
    ladder.connect()
    octets = ladder.sent[0][1].octets
    source = ladder.sent[0][1]
    before = len(ladder.sent)
    ladder.deliver(ladder.right, source)
    assert len(ladder.sent) == before
    assert len(ladder.right.endpoint.sas) == 1
    assert ladder.right.drops == ["an IKE_SA_INIT request that is long answered"]
    assert Header.decode(octets).is_request

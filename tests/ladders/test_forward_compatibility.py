# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.5: versions, critical payloads, reserved bits, any order."""

from dataclasses import replace

import pytest

from ikeway.ike import proof
from ikeway.ike.states import AwaitAuthRequest, AwaitAuthResponse, AwaitInitResponse, Candidates
from ikeway.wire.codec import Body
from ikeway.wire.message import Flags, Message, encode_chain
from ikeway.wire.payloads import Authentication, Delete, IdI, Nonce, Notify, Unknown
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType, ProtocolId
from support.forge import (
    edited,
    first_message,
    opened,
    request,
    sealed_octets,
    with_header,
)
from support.hosts import PSK, Row
from support.ladder import Ladder
from support.reserved import dirty_chain, dirty_message

AUTH = ExchangeType.IKE_AUTH
STRANGE = PayloadType(200)
CRITICAL = Unknown(STRANGE, b"from the future", critical=True)
SKIPPED = Unknown(STRANGE, b"from the future")


@pytest.mark.conformance("CF-C16", "CF-C18")
@pytest.mark.parametrize("major", [0, 1, 3, 15])
def test_another_major_version_is_told_ours(row: Row, major: int) -> None:
    """§2.5: "it MUST drop the message and SHOULD send an unauthenticated Notify message"."""
    ladder = row.psk()
    message = first_message(ladder)
    octets = with_header(message, major=major).encode()
    (answer,) = ladder.arrive(ladder.right, octets)
    told = Message.decode(answer)
    assert told.payloads == (Notify(NotifyType.INVALID_MAJOR_VERSION, b"\2"),)
    assert (told.header.major, told.header.minor) == (2, 0)
    assert told.header.flags == Flags.RESPONSE
    for field in ("spi_i", "spi_r", "message_id", "exchange"):
        assert getattr(told.header, field) == getattr(message.header, field)
    assert ladder.right.endpoint.sas == ()


@pytest.mark.conformance("CF-C16")
def test_the_answers_about_versions_are_limited_in_rate(row: Row) -> None:
    """§2.21.4: "A node needs to limit the rate"."""
    ladder = row.psk()
    octets = with_header(first_message(ladder), major=3).encode()
    answers = [answer for _ in range(1000) for answer in ladder.arrive(ladder.right, octets)]
    assert len(answers) == ladder.right.endpoint.env.limits.answers_burst
    ladder.now += 1
    answers = [answer for _ in range(1000) for answer in ladder.arrive(ladder.right, octets)]
    assert len(answers) == 10


@pytest.mark.conformance("CF-A26", "CF-C16")
def test_a_response_of_another_version_is_not_answered(row: Row) -> None:
    """§2.5: only requests draw a notify."""
    ladder = row.psk()
    message = with_header(first_message(ladder), major=3, flags=Flags.RESPONSE)
    assert ladder.arrive(ladder.left, message.encode()) == []


@pytest.mark.conformance("CF-C17")
def test_a_higher_minor_version_is_taken_as_2_0(row: Row) -> None:
    """§2.5: the minor version "MUST be ignored" for what we know."""
    ladder = row.psk()
    message = with_header(first_message(ladder), minor=15)
    (answer,) = ladder.arrive(ladder.right, message.encode())
    header = Message.decode(answer).header
    assert (header.major, header.minor) == (2, 0)
    assert Message.decode(answer).one(Nonce)


@pytest.mark.conformance("CF-C20")
def test_an_unknown_critical_payload_refuses_ike_sa_init(row: Row) -> None:
    """§2.5: UNSUPPORTED_CRITICAL_PAYLOAD with "the one-octet payload type"."""
    ladder = row.psk()
    message = first_message(ladder)
    octets = replace(message, payloads=(*message.payloads, CRITICAL)).encode()
    (answer,) = ladder.arrive(ladder.right, octets)
    wanted = Notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, bytes([STRANGE]))
    assert Message.decode(answer).payloads == (wanted,)
    assert ladder.right.endpoint.sas == ()


@pytest.mark.conformance("CF-C21")
def test_an_unknown_critical_payload_refuses_ike_auth_before_anything_else(row: Row) -> None:
    """§2.21.2: "The receiver should not verify the payloads related to authentication"."""
    ladder = row.certificates()
    edited(ladder, lambda payloads: (*payloads, CRITICAL), AUTH, ladder.left)
    ladder.connect()
    assert ladder.right.said[-1] == "IKE_AUTH response 1 [N(UNSUPPORTED_CRITICAL_PAYLOAD)]"
    assert ladder.right.asked == []
    ladder.wait(20)
    assert ladder.right.states == ladder.left.states == []


@pytest.mark.conformance("CF-C22", "CF-J10")
@pytest.mark.parametrize("exchange", [ExchangeType.INFORMATIONAL, ExchangeType.CREATE_CHILD_SA])
def test_an_unknown_critical_payload_refuses_a_request_and_no_more(
    row: Row, exchange: ExchangeType
) -> None:
    """§2.5: "the message MUST be rejected", with all that is in it."""
    ladder = row.psk()
    ladder.connect()
    asking = request(ladder, ladder.left, (Delete(ProtocolId.IKE), CRITICAL), exchange)
    (answer,) = ladder.arrive(ladder.right, asking.octets)
    wanted = Notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, bytes([STRANGE]))
    assert opened(ladder.left, answer).payloads == (wanted,)
    assert ladder.right.installed
    assert ladder.right.established


@pytest.mark.conformance("CF-C23")
def test_an_unknown_payload_is_skipped_everywhere(row: Row) -> None:
    """§2.5: "implementations ... MUST skip over those payloads and ignore their contents"."""
    for side in ("left", "right"):
        ladder = row.psk()
        host = getattr(ladder, side)
        edited(ladder, lambda payloads: (SKIPPED, *payloads, SKIPPED), AUTH, host)
        ladder.connect()
        assert ladder.left.child.keys_in == ladder.right.child.keys_out
    ladder = row.psk()
    message = first_message(ladder)
    octets = replace(message, payloads=(SKIPPED, *message.payloads)).encode()
    (answer,) = ladder.arrive(ladder.right, octets)
    assert Message.decode(answer).one(Nonce)


@pytest.mark.conformance("CF-C24")
def test_the_critical_bit_of_a_known_payload_is_ignored(row: Row) -> None:
    """§2.5: "the critical flag applies only to the payload type, not the contents"."""
    for side in ("left", "right"):
        ladder = row.psk()

        def critical(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
            return tuple(replace(body, critical=True) for body in payloads)

        edited(ladder, critical, AUTH, getattr(ladder, side))
        ladder.connect()
        assert ladder.left.child.keys_in == ladder.right.child.keys_out


@pytest.mark.conformance("CF-C25")
def test_our_payloads_never_have_the_critical_bit(row: Row) -> None:
    """§2.5: "Payloads sent in IKE response messages MUST NOT have the critical flag set"."""
    seen: list[Body] = []
    for side in ("left", "right"):
        ladder = row.psk()

        def watch(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
            seen.extend(payloads)
            return payloads

        edited(ladder, watch, AUTH, getattr(ladder, side))
        ladder.connect()
        for _, datagram in ladder.sent[:2]:
            seen.extend(Message.decode(datagram.octets).payloads)
    assert len(seen) > 20
    assert not any(body.critical for body in seen)


@pytest.mark.conformance("CF-C27", "CF-J11")
def test_a_response_with_an_unknown_critical_payload_fails_the_exchange(row: Row) -> None:
    """§2.5: nothing can be sent back but the end of the SA."""
    ladder = row.psk()
    edited(ladder, lambda payloads: (*payloads, CRITICAL), AUTH, ladder.right)
    ladder.connect()
    assert ladder.left.established == []
    assert ladder.left.installs == []
    assert ladder.left.said[-1] == "INFORMATIONAL request 2 [D(IKE)]"
    ladder.wait(20)
    assert ladder.right.installed == {}


@pytest.mark.conformance("CF-C27")
def test_an_ike_sa_init_response_with_an_unknown_critical_payload_is_dropped(row: Row) -> None:
    """§2.21.1: another one may come."""
    ladder = row.psk()
    (answer,) = ladder.arrive(ladder.right, first_message(ladder).encode())
    message = Message.decode(answer)
    ladder.wire.clear()
    octets = replace(message, payloads=(*message.payloads, CRITICAL)).encode()
    assert ladder.arrive(ladder.left, octets) == []
    assert isinstance(ladder.left.states[0], AwaitInitResponse)


def believe_request(ladder: Ladder, octets: bytes) -> None:
    """Let the left host believe that it sent these octets."""
    (sa,) = ladder.left.endpoint.sas
    state = sa.state
    assert isinstance(state, AwaitInitResponse)
    outstanding = replace(state.attempt.outstanding, datagrams=(octets,))
    sa._state = replace(state, attempt=replace(state.attempt, outstanding=outstanding))


def believe_response(ladder: Ladder, octets: bytes) -> None:
    """Let the right host believe that it sent these octets."""
    (sa,) = ladder.right.endpoint.sas
    state = sa.state
    assert isinstance(state, AwaitAuthRequest)
    sa._state = replace(state, transcript=replace(state.transcript, response=octets))


@pytest.mark.conformance("CF-C19", "CF-N04")
def test_reserved_bits_are_ignored_and_those_of_an_id_enter_auth(row: Row) -> None:
    """§2.5: "their content MUST be ignored"; §2.15: IDi' is "the entire ID payload" body."""
    ladder = row.psk()
    asked = dirty_message(first_message(ladder).encode())
    believe_request(ladder, asked)
    (answer,) = ladder.arrive(ladder.right, asked)
    answered = dirty_message(answer)
    believe_response(ladder, answered)
    ladder.wire.clear()
    ladder.arrive(ladder.left, answered)
    (state,) = ladder.left.states
    assert isinstance(state, Candidates)
    (branch,) = state.branches
    assert isinstance(branch, AwaitAuthResponse)
    payloads = opened(ladder.right, ladder.sent[-1][1].octets).payloads
    first, chain = encode_chain(_with_reserved_id(ladder, branch, payloads))
    octets = sealed_octets(branch.session, first, dirty_chain(first, chain), 1, AUTH)
    ladder.wire.clear()
    ladder.arrive(ladder.right, octets)
    assert ladder.right.established
    assert ladder.right.installed


def _with_reserved_id(
    ladder: Ladder, branch: AwaitAuthResponse, payloads: tuple[Body, ...]
) -> tuple[Body, ...]:
    """Return the payloads of IKE_AUTH with RESERVED octets in IDi and the AUTH for that."""
    (old,) = (body for body in payloads if isinstance(body, IdI))
    marked = replace(old, reserved=b"\1\2\3")
    ours = proof.claim(branch.session, branch.transcript, marked, is_local=True)
    (auth,) = proof.psk_proof(branch.session, ours, PSK)
    changed = {IdI: marked, Authentication: auth}
    return tuple(changed.get(type(body), body) for body in payloads)

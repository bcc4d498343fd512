# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §1.2, §2.6: cookies and other key exchange methods, in every order."""

from dataclasses import replace

import pytest

from ikeway.ike.exchanges.ike_sa_init_initiator import TRIES_MOST
from ikeway.ike.io import Datagram
from ikeway.ike.states import AwaitInitResponse
from ikeway.policy.proposals import parse_ike
from ikeway.wire.message import Flags, Message
from ikeway.wire.payloads import KeyExchange, Nonce, Notify, SecurityAssociation
from ikeway.wire.registry import ExchangeType, KeMethod, NotifyType
from support.forge import first_message, with_header
from support.hosts import GCM, Row
from support.ladder import Ladder
from support.shell import Host

BOTH = {"ike": (parse_ike("aes256gcm16-prfsha384-x25519-ecp256"),)}
ECP = {"ike": (parse_ike("aes256gcm16-prfsha384-ecp256"),)}


def answer_with(message: Message, *notifies: Notify, spi_r: bytes = bytes(8)) -> bytes:
    """Return an unprotected answer to an IKE_SA_INIT request."""
    changed = with_header(message, flags=Flags.RESPONSE, spi_r=spi_r)
    return replace(changed, payloads=notifies).encode()


def requests(ladder: Ladder) -> list[Message]:
    """Return the IKE_SA_INIT requests that the left host sent."""
    return [
        message
        for host, datagram in ladder.sent
        if host is ladder.left
        and (message := Message.decode(datagram.octets)).header.exchange is ExchangeType.IKE_SA_INIT
    ]


@pytest.mark.conformance("CF-A01", "CF-A03", "CF-I03", "CF-B12")
def test_the_initiator_retries_with_the_method_that_the_responder_wants(row: Row) -> None:
    """§1.2: the retry has the method asked for, the same SPIi and the full SA payload."""
    ladder = row.psk(left=BOTH, right=ECP)
    ladder.connect()
    first, second = requests(ladder)
    refusal = Message.decode(ladder.sent[1][1].octets)
    assert refusal.header.spi_r == bytes(8)
    assert refusal.payloads == (Notify(NotifyType.INVALID_KE_PAYLOAD, b"\0\x13"),)
    assert second.header == first.header
    assert second.one(SecurityAssociation) == first.one(SecurityAssociation)
    assert second.payloads[1].method is KeMethod.ECP_256  # type: ignore[attr-defined]
    assert len(ladder.right.endpoint.sas) == 1
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


@pytest.mark.conformance("CF-A03")
def test_a_request_with_another_method_leaves_nothing_behind(row: Row) -> None:
    """§1.2: the responder keeps no state."""
    ladder = row.psk(left=BOTH, right=ECP)
    (answer,) = ladder.arrive(ladder.right, first_message(ladder).encode())
    assert ladder.right.endpoint.sas == ()
    assert ladder.right.timers == {}
    assert Message.decode(answer).notify(NotifyType.INVALID_KE_PAYLOAD)


@pytest.mark.conformance("CF-A02")
@pytest.mark.parametrize("data", [b"\0\x0e", b"\0\x1f", b"", b"\0", b"\0\0\x13"])
def test_a_method_that_was_not_offered_is_ignored(row: Row, data: bytes) -> None:
    """§1.2: anything else than a method of ours, and not the one that we just used, is odd."""
    ladder = row.psk(left=BOTH, right=BOTH)
    message = first_message(ladder)
    answer = answer_with(message, Notify(NotifyType.INVALID_KE_PAYLOAD, data))
    assert ladder.arrive(ladder.left, answer) == []
    ladder.wait(5)
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


@pytest.mark.conformance("CF-D05")
@pytest.mark.parametrize("octets", [1, 20, 64])
def test_a_cookie_comes_back_first_and_all_else_is_unchanged(row: Row, octets: int) -> None:
    """§2.6: "include the COOKIE ... as the first payload, and all other payloads unchanged"."""
    ladder = row.psk()
    message = first_message(ladder)
    cookie = Notify(NotifyType.COOKIE, bytes(range(octets)))
    (second,) = ladder.arrive(ladder.left, answer_with(message, cookie))
    assert Message.decode(second).payloads == (cookie, *message.payloads)
    assert Message.decode(second).header == with_header(message, next_payload=41).header
    ladder.settle()
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


@pytest.mark.conformance("CF-D06")
@pytest.mark.parametrize("octets", [0, 65, 1000])
def test_a_cookie_of_an_impossible_length_is_ignored(row: Row, octets: int) -> None:
    """§2.6: a cookie "MUST be between 1 and 64 octets in length (inclusive)"."""
    ladder = row.psk()
    answer = answer_with(first_message(ladder), Notify(NotifyType.COOKIE, bytes(octets)))
    assert ladder.arrive(ladder.left, answer) == []


@pytest.mark.conformance("CF-D04")
@pytest.mark.parametrize(
    "notify", [Notify(NotifyType.COOKIE, b"c"), Notify(NotifyType.INVALID_KE_PAYLOAD, b"\0\x13")]
)
def test_an_answer_with_a_responders_spi_is_as_good(row: Row, notify: Notify) -> None:
    """§2.6: "the initiator should not reject the response for only that reason"."""
    ladder = row.psk(left=BOTH)
    answer = answer_with(first_message(ladder), notify, spi_r=b"not zero")
    (second,) = ladder.arrive(ladder.left, answer)
    assert Message.decode(second).header.spi_r == bytes(8)


@pytest.mark.conformance("CF-D10")
def test_endless_cookies_are_given_up(row: Row) -> None:
    """§2.6: an initiator limits "the number of cookie exchanges it tries before giving up"."""
    ladder = row.psk()
    message = first_message(ladder)
    for number in range(1, 30):
        cookie = Notify(NotifyType.COOKIE, number.to_bytes(4))
        ladder.arrive(ladder.left, answer_with(message, cookie))
        ladder.wire.clear()
    assert len(requests(ladder)) == TRIES_MOST
    ladder.fate = lambda _host, _datagram: []
    ladder.wait(31)
    assert ladder.left.endpoint.sas == ()
    assert ladder.left.ends[0].is_failure


@pytest.mark.conformance("CF-D11")
def test_an_unasked_cookie_does_no_harm(row: Row) -> None:
    """§2.6: a cookie is looked at only by those who gave it."""
    ladder = row.psk()
    message = first_message(ladder)
    with_cookie = replace(message, payloads=(Notify(NotifyType.COOKIE, b"x"), *message.payloads))
    (answer,) = ladder.arrive(ladder.right, with_cookie.encode())
    assert Message.decode(answer).one(Nonce)


def script(ladder: Ladder, *answers: Notify) -> None:
    """Let a proxy answer the left host's first requests before it lets one through."""
    waiting = list(answers)

    def fate(host: Host, datagram: Datagram) -> list[Datagram]:
        message = Message.decode(datagram.octets)
        if host is ladder.left and waiting and message.header.exchange is ExchangeType.IKE_SA_INIT:
            octets = answer_with(message, waiting.pop(0))
            ladder.wire.append(
                (host, replace(datagram, local=datagram.peer, peer=datagram.local, octets=octets))
            )
            return []
        return [datagram]

    ladder.fate = fate


COOKIES = [Notify(NotifyType.COOKIE, bytes([number]) * 8) for number in range(3)]
WANT_ECP = Notify(NotifyType.INVALID_KE_PAYLOAD, b"\0\x13")


@pytest.mark.conformance("CF-D12")
def test_the_cookie_is_kept_in_a_retry_with_another_method() -> None:
    """§2.6.1: "the shorter exchange": the retry has the cookie and the new KE payload."""
    ladder = GCM.psk(left=BOTH, right=ECP)
    script(ladder, COOKIES[0], WANT_ECP)
    ladder.connect()
    last = requests(ladder)[-1]
    assert last.payloads[0] == COOKIES[0]
    assert last.one(KeyExchange).method is KeMethod.ECP_256  # type: ignore[union-attr]
    assert len(requests(ladder)) == 3
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


@pytest.mark.conformance("CF-D13")
def test_a_responder_may_ask_for_a_new_cookie_after_another_method() -> None:
    """§2.6.1: the initiator "MUST be able to" take the longer exchange as well."""
    ladder = GCM.psk(left=BOTH, right=ECP)
    script(ladder, COOKIES[0], WANT_ECP, COOKIES[1])
    ladder.connect()
    last = requests(ladder)[-1]
    assert last.payloads[0] == COOKIES[1]
    assert last.one(KeyExchange).method is KeMethod.ECP_256  # type: ignore[union-attr]
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


@pytest.mark.conformance("CF-D14", "CF-I03")
def test_another_method_before_the_cookie_works_too() -> None:
    """§2.6.1: AUTH covers the last request, whatever came before."""
    ladder = GCM.psk(left=BOTH, right=ECP)
    script(ladder, WANT_ECP, COOKIES[0])
    ladder.connect()
    first, second, third = requests(ladder)
    assert third.payloads == (COOKIES[0], *second.payloads)
    assert first.one(Nonce) == third.one(Nonce)
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


@pytest.mark.conformance("CF-D05")
def test_a_cookie_that_we_have_sent_already_is_ignored(row: Row) -> None:
    """§2.6: asking for it again is asking for nothing."""
    ladder = row.psk()
    message = first_message(ladder)
    ladder.arrive(ladder.left, answer_with(message, COOKIES[0]))
    assert ladder.arrive(ladder.left, answer_with(message, COOKIES[0])) == []


@pytest.mark.conformance("CF-J09")
@pytest.mark.parametrize(
    "error", [NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.INVALID_SYNTAX, NotifyType(1234)]
)
def test_a_forged_error_does_not_stop_the_real_answer(row: Row, error: NotifyType) -> None:
    """§2.21.1: "the recipient should continue trying for some time before giving up"."""
    ladder = row.psk()
    message = first_message(ladder)
    assert ladder.arrive(ladder.left, answer_with(message, Notify(error))) == []
    assert isinstance(ladder.left.states[0], AwaitInitResponse)
    ladder.wait(1)
    assert ladder.left.repeats == 1
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


@pytest.mark.conformance("CF-J09")
def test_an_error_that_nothing_follows_ends_the_attempt_soon(row: Row) -> None:
    """§2.21.1: "any error notification causes the exchange to fail" in the end."""
    ladder = row.psk(right={"ike": (parse_ike("chacha20poly1305-x25519"),)})
    ladder.connect()
    ladder.wait(1.9)
    assert ladder.left.endpoint.sas
    ladder.wait(0.2)
    assert ladder.left.endpoint.sas == ()
    assert ladder.left.ends[0].reason == "the peer says NO_PROPOSAL_CHOSEN"


@pytest.mark.conformance("CF-J09")
def test_an_error_late_in_the_schedule_still_leaves_time_for_a_repetition(row: Row) -> None:
    """§2.21.1: a peer that has just come up is asked once more."""
    ladder = row.psk()
    ladder.fate = lambda _host, _datagram: []
    ladder.initiate()
    ladder.wait(8)
    message = requests(ladder)[0]
    ladder.arrive(ladder.left, answer_with(message, Notify(NotifyType.NO_PROPOSAL_CHOSEN)))
    ladder.fate = lambda _host, datagram: [datagram]
    ladder.wait(1)
    assert ladder.left.child.keys_in == ladder.right.child.keys_out

# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.6: cookies as their responder, who computes and remembers nothing before."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikeway.ike import exchanges
from ikeway.ike.cookies import LIFETIME
from ikeway.ike.endpoint import Endpoint as IkeEndpoint
from ikeway.ike.io import Datagram, Send
from ikeway.ike.reports import Pressed
from ikeway.model.address import Endpoint
from ikeway.policy.limits import Limits
from ikeway.policy.proposals import parse_ike
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange, Nonce, Notify, SecurityAssociation
from ikeway.wire.registry import NotifyType, PayloadType
from support.forge import first_message, with_header
from support.hosts import GCM, Row
from support.ladder import Ladder

BOTH = {"ike": (parse_ike("aes256gcm16-prfsha384-x25519-ecp256"),)}
ECP = {"ike": (parse_ike("aes256gcm16-prfsha384-ecp256"),)}


def under_attack(ladder: Ladder, **limits: int) -> None:
    """Let the right host ask everybody for a cookie, or as `limits` say."""
    chosen = Limits(**{"cookies_from": 0} | limits)
    ladder.right.endpoint = IkeEndpoint(replace(ladder.right.endpoint.env, limits=chosen))


def arrive_from(ladder: Ladder, message: Message, address: str, port: int = 500) -> list[Message]:
    """Give the right host a request from somewhere; return what it answers."""
    local = Endpoint(ladder.addresses[1], 500)
    datagram = Datagram(local, Endpoint(ip_address(address), port), message.encode())
    actions = ladder.right.endpoint.receive(datagram, ladder.now)
    ladder.perform(ladder.right, tuple(one for one in actions if not isinstance(one, Send)))
    return [Message.decode(one.octets) for one in actions if isinstance(one, Send)]


def with_cookie(message: Message, cookie: Notify) -> Message:
    head = replace(message.header, next_payload=PayloadType.NOTIFY)
    return Message(head, (cookie, *(one for one in message.payloads if one != cookie)))


def cookie_in(answers: list[Message]) -> Notify:
    """Return the cookie that is all of the only answer."""
    (answer,) = answers
    (cookie,) = answer.payloads
    assert isinstance(cookie, Notify)
    assert cookie.type is NotifyType.COOKIE
    return cookie


@pytest.fixture
def no_key_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever computes anything fails the test."""

    def computed(_code: int) -> object:
        raise AssertionError("a key exchange before a valid cookie")

    monkeypatch.setattr(exchanges.ike_sa_init_responder, "key_exchange", computed)


@pytest.mark.conformance("CF-D07")
@pytest.mark.usefixtures("no_key_exchange")
def test_a_request_without_a_cookie_gets_one_and_nothing_else(row: Row) -> None:
    """§2.6: "uses minimal CPU and commits no state to an SA until it knows the initiator"; I4."""
    ladder = row.psk()
    under_attack(ladder)
    message = first_message(ladder)
    (octets,) = ladder.arrive(ladder.right, message.encode())
    answer = Message.decode(octets)
    cookie = cookie_in([answer])
    assert 1 <= len(cookie.data) <= 64
    assert answer.header.spi_r == bytes(8)
    assert (answer.header.spi_i, answer.header.message_id) == (message.header.spi_i, 0)
    assert answer.header.is_response
    assert ladder.right.endpoint.sas == ()
    assert ladder.right.timers == {}
    assert len(octets) < len(message.encode())


@pytest.mark.conformance("CF-D07")
def test_who_returns_the_cookie_gets_in(row: Row) -> None:
    """§2.6: "The initial exchange will then be as follows"."""
    ladder = row.psk()
    under_attack(ladder)
    ladder.connect()
    assert ladder.left.warnings == ["the peer asks for a COOKIE"]
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


@pytest.mark.conformance("CF-D12")
def test_a_cookie_counts_for_a_retry_with_another_method() -> None:
    """§2.6.1: the shorter exchange, three round trips: the cookie covers neither SA nor KE."""
    ladder = GCM.psk(left=BOTH, right=ECP)
    under_attack(ladder)
    ladder.connect()
    requests = [Message.decode(one.octets) for host, one in ladder.sent if host is ladder.left][:3]
    assert requests[2].payloads[0] == requests[1].payloads[0]
    assert requests[2].one(KeyExchange) != requests[1].one(KeyExchange)
    assert ladder.left.child.keys_in == ladder.right.child.keys_out
    assert len(ladder.sent) == 8


def other_nonce(message: Message) -> Message:
    changed = tuple(
        Nonce(b"another nonce" * 3) if isinstance(one, Nonce) else one for one in message.payloads
    )
    return replace(message, payloads=changed)


def other_cookie(message: Message) -> Message:
    first, *rest = message.payloads
    assert isinstance(first, Notify)
    flipped = first.data[:-1] + bytes([first.data[-1] ^ 1])
    return replace(message, payloads=(replace(first, data=flipped), *rest))


def of_another_secret(message: Message) -> Message:
    first, *rest = message.payloads
    assert isinstance(first, Notify)
    changed = bytes([first.data[0] ^ 1]) + first.data[1:]
    return replace(message, payloads=(replace(first, data=changed), *rest))


def other_spi(message: Message) -> Message:
    return with_header(message, spi_i=b"8 octets")


@pytest.mark.conformance("CF-D08")
@pytest.mark.parametrize("change", [other_nonce, other_cookie, other_spi, of_another_secret])
@pytest.mark.usefixtures("no_key_exchange")
def test_a_cookie_of_something_else_is_as_good_as_none(
    row: Row, change: Callable[[Message], Message]
) -> None:
    """§2.6: "MUST ignore the cookie and process the message as if no cookie had been included"."""
    ladder = row.psk()
    under_attack(ladder)
    message = first_message(ladder)
    source = str(ladder.addresses[0])
    cookie = cookie_in(arrive_from(ladder, message, source))
    answers = arrive_from(ladder, change(with_cookie(message, cookie)), source)
    assert cookie_in(answers) is not None
    assert ladder.right.endpoint.sas == ()


@pytest.mark.conformance("CF-D08")
@pytest.mark.usefixtures("no_key_exchange")
def test_a_cookie_is_worth_nothing_at_another_address() -> None:
    """§2.6: "that IPi must be the same as the source address it saw the first time"."""
    ladder = GCM.psk()
    under_attack(ladder)
    message = first_message(ladder)
    cookie = cookie_in(arrive_from(ladder, message, "192.0.2.1"))
    assert cookie_in(arrive_from(ladder, with_cookie(message, cookie), "192.0.2.2"))


def test_a_nat_may_change_the_port_between_two_requests() -> None:
    """§2.23: a mapping is no promise; an address says enough."""
    ladder = GCM.psk()
    under_attack(ladder)
    message = first_message(ladder)
    cookie = cookie_in(arrive_from(ladder, message, "192.0.2.1", 1024))
    assert arrive_from(ladder, with_cookie(message, cookie), "192.0.2.1", 4096)
    assert len(ladder.right.endpoint.sas) == 1


@pytest.mark.conformance("CF-D09")
@pytest.mark.parametrize(
    ("age", "is_taken"), [(0, True), (LIFETIME * 1.5, True), (LIFETIME * 2.5, False)]
)
def test_a_cookie_outlives_one_new_secret_and_no_more(age: float, is_taken: bool) -> None:
    """§2.6: "it MAY keep the old value of <secret> around for a short time"."""
    ladder = GCM.psk()
    under_attack(ladder)
    message = first_message(ladder)
    cookie = cookie_in(arrive_from(ladder, message, "192.0.2.1"))
    first = with_cookie(message, cookie)
    for _ in range(int(age // LIFETIME)):
        ladder.now += LIFETIME
        other = cookie_in(arrive_from(ladder, with_header(message, spi_i=b"somebody"), "192.0.2.1"))
        assert other.data[0] != cookie.data[0], "a new secret has a new version"
    ladder.now += age % LIFETIME
    arrive_from(ladder, first, "192.0.2.1")
    assert len(ladder.right.endpoint.sas) == is_taken


@pytest.mark.conformance("CF-D09")
def test_after_a_rest_old_cookies_are_gone_too() -> None:
    """§2.6: "should not accept cookies indefinitely after <secret> is changed"."""
    ladder = GCM.psk()
    under_attack(ladder)
    message = first_message(ladder)
    cookie = cookie_in(arrive_from(ladder, message, "192.0.2.1"))
    ladder.now += 3600
    assert cookie_in(arrive_from(ladder, with_cookie(message, cookie), "192.0.2.1"))
    assert ladder.right.endpoint.sas == ()


def test_a_cookie_makes_one_ike_sa_only() -> None:
    """RFC 8019 §10: otherwise one cookie, or the solution of one puzzle, would serve for many."""
    ladder = GCM.psk()
    under_attack(ladder)
    message = first_message(ladder)
    cookie = cookie_in(arrive_from(ladder, message, "192.0.2.1"))
    first = with_cookie(message, cookie)
    (answer,) = arrive_from(ladder, first, "192.0.2.1")
    assert arrive_from(ladder, first, "192.0.2.1") == [answer], "a repetition is none"
    ladder.now += 0.1
    other = replace(first, payloads=first.payloads[:-1])
    assert cookie_in(arrive_from(ladder, other, "192.0.2.1")) != cookie
    assert len(ladder.right.endpoint.sas) == 1


@pytest.mark.conformance("CF-D07")
def test_cookies_begin_and_end_with_the_threshold() -> None:
    """§2.6: "When a responder detects a large number of half-open IKE SAs"."""
    ladder = GCM.psk()
    under_attack(ladder, cookies_from=3, source_cookies_from=3)
    message = first_message(ladder)
    answers = [
        arrive_from(ladder, with_header(message, spi_i=bytes([number]) * 8), f"203.0.113.{number}")
        for number in range(1, 6)
    ]
    assert [answer[0].one(SecurityAssociation) is not None for answer in answers] == [
        True,
        True,
        True,
        False,
        False,
    ]
    ladder.wait(31)
    assert arrive_from(ladder, message, "203.0.113.9")[0].one(SecurityAssociation)


@pytest.mark.conformance("CF-D11")
def test_a_cookie_that_nobody_asked_for_is_not_looked_at() -> None:
    """§2.6: in quiet times a wrong cookie is as good as a right one."""
    ladder = GCM.psk()
    message = first_message(ladder)
    odd = with_cookie(message, Notify(NotifyType.COOKIE, bytes(24)))
    assert arrive_from(ladder, odd, "192.0.2.1")[0].one(SecurityAssociation)


def test_a_flood_leaves_one_line_a_second() -> None:
    """I5: however many sources there are, and they may all be made up."""
    ladder = GCM.psk()
    under_attack(ladder)
    message = first_message(ladder)
    for number in range(2000):
        ladder.now += 0.001
        arrive_from(ladder, message, f"10.{number >> 8}.{number & 255}.1")
    told = ladder.right.seen(Pressed)
    assert len(told) == 2
    ladder.now += 1
    arrive_from(ladder, message, "192.0.2.1")
    last = ladder.right.seen(Pressed)[-1]
    assert isinstance(last, Pressed)
    assert sum(sum(dict(one.asked).values()) for one in ladder.right.seen(Pressed)) == 2001  # type: ignore[attr-defined]
    assert ladder.right.drops == []


@pytest.mark.usefixtures("no_key_exchange")
def test_a_request_that_is_shorter_than_the_cookie_gets_no_answer() -> None:
    """I2: an answer is never longer than what it answers."""
    ladder = GCM.psk()
    under_attack(ladder)
    message = first_message(ladder)
    short: tuple[Body, ...] = (Nonce(bytes(16)),)
    tiny = replace(message, payloads=short)
    assert arrive_from(ladder, tiny, "192.0.2.1") == []
    assert ladder.right.drops == ["an IKE_SA_INIT request shorter than a cookie"]

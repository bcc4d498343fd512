# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.6: what Rust answers at the socket is what the core would answer."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikeway._engine import Door
from ikeway.ike import besieged
from ikeway.ike.cookies import Challenge
from ikeway.ike.opening import glance
from ikeway.model.secret import Secret
from ikeway.wire.message import Message
from ikeway.wire.payloads import Nonce, Notify
from ikeway.wire.registry import NotifyType
from support.forge import first_message, with_header
from support.hosts import GCM

LOOPBACK = socket.inet_aton("127.0.0.1")
NUMBERED = ((1, Secret(b"the one in use")), (0, Secret(b"the one before")))
CHALLENGE = Challenge(NUMBERED, bytes((1, 0, 7, 0, 0, 0)))
SPELLED = [(number, secret.octets) for number, secret in NUMBERED], CHALLENGE.head
REQUEST = first_message(GCM.psk())
COOKIES = {
    "good": CHALLENGE.cookie(glance(REQUEST.encode()), LOOPBACK),
    "of the last secret": Challenge(NUMBERED[1:], bytes(6)).cookie(
        glance(REQUEST.encode()), LOOPBACK
    ),
    "of a secret that is gone": bytes((2, *range(21))),
    "forged": bytes((1, *range(21))),
    "short": b"c",
    "empty": b"",
}


class Pair:
    """A socket behind a door, and a stranger's."""

    def __init__(self) -> None:
        self.ours, self.stranger = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in "12")
        self.ours.bind(("127.0.0.1", 0))
        self.stranger.connect(self.ours.getsockname())
        self.door = Door(self.ours.fileno(), is_marked=False)

    def bring(self, octets: bytes) -> tuple[list[bytes], bytes | None]:
        """Send octets; return what came through the door, and the answer."""
        self.stranger.send(octets)
        letters, asked, is_more = self.door.take(SPELLED)
        assert not is_more
        return [one[0] for one in letters], self.stranger.recv(4096) if asked else None


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    made = Pair()
    with made.ours, made.stranger:
        yield made


def agree(pair: Pair, octets: bytes) -> bytes | None:
    """Bring octets to both, and return their answer."""
    letters, answer = pair.bring(octets)
    assert answer == besieged.answer(octets, LOOPBACK, CHALLENGE)
    assert letters == ([octets] if answer is None else [])
    return answer


def with_cookie(cookie: bytes) -> bytes:
    payloads = (Notify(NotifyType.COOKIE, cookie), *REQUEST.payloads)
    return replace(REQUEST, payloads=payloads).encode()


def test_a_request_without_a_cookie_is_asked_for_one(pair: Pair) -> None:
    answer = agree(pair, REQUEST.encode())
    assert answer is not None
    assert Message.decode(answer).payloads == (Notify(NotifyType.COOKIE, COOKIES["good"]),)


@pytest.mark.parametrize("kind", COOKIES)
def test_a_cookie_is_checked_at_the_door(pair: Pair, kind: str) -> None:
    """A flood of forged cookies goes no further than one without; a good one comes in."""
    is_good = kind in {"good", "of the last secret"}
    assert (agree(pair, with_cookie(COOKIES[kind])) is None) == is_good


@pytest.mark.parametrize("size", [15, 16, 256, 257])
def test_nonces_have_a_length(pair: Pair, size: int) -> None:
    """§2.10: 16 to 256 octets."""
    others = tuple(one for one in REQUEST.payloads if not isinstance(one, Nonce))
    octets = replace(REQUEST, payloads=(*others, Nonce(bytes(size)))).encode()
    assert (agree(pair, octets) is not None) == (size in range(16, 257))


def test_nobody_gets_more_than_they_sent(pair: Pair) -> None:
    small = replace(REQUEST, payloads=(Notify(NotifyType.COOKIE, b""), Nonce(bytes(16)))).encode()
    assert agree(pair, small) is None


@given(st.data())
def test_any_octets_get_the_answer_of_the_core(pair: Pair, data: st.DataObject) -> None:
    octets = bytearray(with_cookie(COOKIES[data.draw(st.sampled_from(list(COOKIES)))]))
    places = st.tuples(st.integers(0, len(octets) - 1), st.integers(0, 255))
    for place, value in data.draw(st.lists(places, max_size=3)):
        octets[place] = value
    length = data.draw(st.integers(1, len(octets)) | st.just(len(octets)))
    if data.draw(st.booleans()):
        octets[24:28] = length.to_bytes(4)
    agree(pair, bytes(octets[:length]))


def test_a_descriptor_that_is_none_is_refused() -> None:
    with pytest.raises(OSError, match="descriptor -1"):
        Door(-1, is_marked=False)


def test_a_challenge_has_secrets(pair: Pair) -> None:
    with pytest.raises(ValueError, match="no such secret"):
        pair.door.take(([], b""))


def test_a_request_of_another_exchange_is_none_of_the_doors(pair: Pair) -> None:
    assert agree(pair, with_header(REQUEST, message_id=1).encode()) is None

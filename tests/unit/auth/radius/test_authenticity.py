# SPDX-License-Identifier: Apache-2.0
"""Which RADIUS packets are genuine (RFC 2865 §3, RFC 3579 §3.2, RFC 5176 §2.3)."""

import hmac
from dataclasses import replace

import pytest

from ikeway.auth.radius.authenticity import (
    open_reply,
    open_request,
    seal_access,
    seal_reply,
    seal_request,
)
from ikeway.auth.radius.packet import Attribute, Packet
from ikeway.auth.radius.registry import AttributeType, Code
from ikeway.model.errors import IntegrityError, PeerError
from ikeway.model.secret import Secret
from support.radius import SECRET, digest, replied

USER = Attribute(AttributeType.USER_NAME, b"nemo")
ACCESS = Packet(Code.ACCESS_REQUEST, 7, bytes(range(16)), (USER,))
ORDER = Packet(Code.DISCONNECT_REQUEST, 9, bytes(16), (USER,))
REQUEST = seal_access(ACCESS, SECRET)
ANSWERS = (Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE)


def test_the_message_authenticator_of_a_request_stands_first_and_covers_all_of_it() -> None:
    """RFC 3579 §3.2: HMAC-MD5 over type, identifier, length, Request Authenticator, attributes."""
    sealed = Packet.decode(REQUEST)
    first, *others = sealed.attributes
    assert first.type is AttributeType.MESSAGE_AUTHENTICATOR
    assert others == [USER]
    zeroed = replace(sealed, attributes=(replace(first, value=bytes(16)), *others)).encode()
    assert first.value == hmac.digest(SECRET.octets, zeroed, "md5")


@pytest.mark.parametrize("code", ANSWERS)
def test_a_reply_of_who_has_the_secret_is_genuine(code: Code) -> None:
    assert open_reply(replied(REQUEST, code, USER), REQUEST, SECRET).code is code


@pytest.mark.parametrize("code", ANSWERS)
def test_a_reply_without_a_message_authenticator_is_not_genuine(code: Code) -> None:
    """CVE-2024-3596: the Response Authenticator, which is right here, can be forged."""
    octets = replied(REQUEST, code, USER, is_authentic=False)
    with pytest.raises(IntegrityError, match="0 Message-Authenticators"):
        open_reply(octets, REQUEST, SECRET)


def test_the_example_of_rfc_2865_is_refused_for_that_alone() -> None:
    """RFC 2865 §7.1, secret "xyzzy5461": its Response Authenticator verifies."""
    request = bytes.fromhex(
        "01000038 0f403f9473978057bd83d5cb98f4227a 01066e656d6f"
        "02120dbe708d93d413ce3196e43f782a0aee 0406c0a80110 050600000003"
    )
    accept = bytes.fromhex(
        "02000026 86fe220e7624ba2a1005f6bf9b55e0b2 0606 00000001 0f06 00000000 0e06 c0a80103"
    )
    with pytest.raises(IntegrityError, match="0 Message-Authenticators"):
        open_reply(accept, request, Secret(b"xyzzy5461"))
    with pytest.raises(IntegrityError, match="Response Authenticator"):
        open_reply(accept, request, Secret(b"xyzzy5462"))


@pytest.mark.parametrize("at", [0, 1, 5, 23, 39, -1])
def test_a_reply_that_was_changed_is_not_genuine(at: int) -> None:
    octets = bytearray(replied(REQUEST, Code.ACCESS_REJECT, USER))
    octets[at] ^= 1
    with pytest.raises(PeerError):
        open_reply(bytes(octets), REQUEST, SECRET)


def test_a_wrong_message_authenticator_does_not_hide_behind_a_right_digest() -> None:
    octets = bytearray(replied(REQUEST, Code.ACCESS_ACCEPT, USER))
    octets[22] ^= 1
    bound = bytes(octets[:4]) + REQUEST[4:20] + bytes(octets[20:])
    octets[4:20] = digest(bound, SECRET.octets)
    with pytest.raises(IntegrityError, match="Message-Authenticator"):
        open_reply(bytes(octets), REQUEST, SECRET)


def test_a_reply_to_another_request_is_not_genuine() -> None:
    other = seal_access(replace(ACCESS, authenticator=bytes(16)), SECRET)
    with pytest.raises(IntegrityError, match="Response Authenticator"):
        open_reply(replied(other, Code.ACCESS_ACCEPT), REQUEST, SECRET)


def test_a_reply_from_who_has_another_secret_is_not_genuine() -> None:
    octets = replied(REQUEST, Code.ACCESS_ACCEPT, secret=Secret(b"another"))
    with pytest.raises(IntegrityError):
        open_reply(octets, REQUEST, SECRET)


def test_an_accounting_reply_needs_no_message_authenticator() -> None:
    """RFC 3579 §3.2 knows none there; RFC 2866 §3: the authenticator is MD5 with the secret."""
    request = seal_request(Packet(Code.ACCOUNTING_REQUEST, 1, bytes(16), (USER,)), SECRET)
    zeroed = request[:4] + bytes(16) + request[20:]
    assert request[4:20] == digest(zeroed, SECRET.octets)
    octets = replied(request, Code.ACCOUNTING_RESPONSE, is_authentic=False)
    assert open_reply(octets, request, SECRET).code is Code.ACCOUNTING_RESPONSE


def test_an_order_of_who_has_the_secret_is_genuine() -> None:
    assert open_request(seal_request(ORDER, SECRET), SECRET).attributes == ORDER.attributes


def test_an_order_of_anybody_else_or_changed_is_not_genuine() -> None:
    octets = bytearray(seal_request(ORDER, SECRET))
    with pytest.raises(IntegrityError):
        open_request(bytes(octets), Secret(b"another"))
    octets[-1] ^= 1
    with pytest.raises(IntegrityError):
        open_request(bytes(octets), SECRET)


def test_an_order_with_a_wrong_message_authenticator_is_not_genuine() -> None:
    wrong = Attribute(AttributeType.MESSAGE_AUTHENTICATOR, bytes(16))
    octets = seal_request(replace(ORDER, attributes=(USER, wrong)), SECRET)
    with pytest.raises(IntegrityError, match="Message-Authenticator"):
        open_request(octets, SECRET)


def test_our_answer_to_an_order_is_what_the_server_checks() -> None:
    order = seal_request(ORDER, SECRET)
    request = Packet.decode(order)
    answer = seal_reply(Packet(Code.DISCONNECT_ACK, 9, bytes(16)), request, SECRET)
    opened = open_reply(answer, order, SECRET)
    assert opened.code is Code.DISCONNECT_ACK
    assert len(opened.all(AttributeType.MESSAGE_AUTHENTICATOR)) == 1

# SPDX-License-Identifier: Apache-2.0
"""EAP through a RADIUS server (RFC 3579 §2)."""

import ipaddress

import pytest

from ikeway.auth.radius.access import Challenge, Grant, Refusal, request, verdict
from ikeway.auth.radius.packet import Attribute, Packet, split
from ikeway.auth.radius.registry import AttributeType, Code, MicrosoftType
from ikeway.auth.radius.visit import Visit
from ikeway.model.errors import MalformedError
from support.radius import SECRET, hidden, mppe

ASKED = bytes(range(16))
EAP_REQUEST, EAP_SUCCESS, EAP_FAILURE = (
    b"\x01\x05\x00\x05\x04",
    b"\x03\x05\x00\x04",
    b"\x04\x05\x00\x04",
)
VISIT = Visit(
    nas="vpn.example.com",
    session="0123456789abcdef",
    connection="staff",
    local=ipaddress.ip_address("192.0.2.1"),
    peer=ipaddress.ip_address("2001:db8::7"),
    peer_port=4500,
)


def reply(code: Code, eap: bytes, *attributes: Attribute) -> Packet:
    return Packet(code, 1, bytes(16), (*split(AttributeType.EAP_MESSAGE, eap), *attributes))


def test_a_request_carries_user_session_state_and_eap() -> None:
    eap = bytes(range(256)) * 2
    packet = Packet(Code.ACCESS_REQUEST, 1, ASKED, request(VISIT, b"alice", eap, b"state"))
    assert packet.joined(AttributeType.EAP_MESSAGE) == eap
    assert packet.first(AttributeType.USER_NAME) == b"alice"
    assert packet.first(AttributeType.STATE) == b"state"
    assert packet.text(AttributeType.NAS_IDENTIFIER) == "vpn.example.com"
    assert packet.address(AttributeType.NAS_IP_ADDRESS) == VISIT.local
    assert packet.text(AttributeType.CALLING_STATION_ID) == "2001:db8::7[4500]"
    assert packet.text(AttributeType.ACCT_SESSION_ID) == "0123456789abcdef"
    assert packet.text(AttributeType.NAS_PORT_ID) == "staff"


def test_a_challenge_is_relayed_with_its_state() -> None:
    packet = reply(Code.ACCESS_CHALLENGE, EAP_REQUEST, Attribute(AttributeType.STATE, b"s"))
    assert verdict(packet, ASKED, SECRET) == Challenge(EAP_REQUEST, b"s")


def test_a_grant_says_what_the_user_gets() -> None:
    packet = reply(
        Code.ACCESS_ACCEPT,
        EAP_SUCCESS,
        mppe(MicrosoftType.MPPE_RECV_KEY, hidden(b"r" * 32, b"\x80\x01", ASKED)),
        mppe(MicrosoftType.MPPE_SEND_KEY, hidden(b"s" * 32, b"\x80\x02", ASKED)),
        Attribute(AttributeType.USER_NAME, b"alice@corp"),
        Attribute(AttributeType.FRAMED_IP_ADDRESS, bytes((10, 66, 0, 9))),
        Attribute(AttributeType.FRAMED_IPV6_PREFIX, b"\0\x40" + bytes.fromhex("fd66000000000001")),
        Attribute(AttributeType.FILTER_ID, b"admins"),
        Attribute(AttributeType.CLASS, b"staff"),
        Attribute(AttributeType.CLASS, b"\xff\x00"),
        Attribute.number(AttributeType.SESSION_TIMEOUT, 3600),
        Attribute.number(AttributeType.IDLE_TIMEOUT, 600),
        Attribute.number(AttributeType.ACCT_INTERIM_INTERVAL, 300),
    )
    granted = verdict(packet, ASKED, SECRET)
    assert isinstance(granted, Grant)
    assert granted.msk is not None
    assert granted.msk.octets == b"r" * 32 + b"s" * 32
    assert granted.user == "alice@corp"
    assert [str(one) for one in granted.addresses] == ["10.66.0.9", "fd66:0:0:1::1"]
    assert granted.groups == ("admins", "staff")
    assert granted.classes == (b"staff", b"\xff\x00")
    assert granted.session_timeout == 3600
    assert granted.idle_timeout == 600
    assert granted.interim_interval == 300


@pytest.mark.parametrize("choose", ["255.255.255.255", "255.255.255.254"])
def test_an_address_that_leaves_the_choice_to_us_is_none(choose: str) -> None:
    address = Attribute(AttributeType.FRAMED_IP_ADDRESS, ipaddress.ip_address(choose).packed)
    granted = verdict(reply(Code.ACCESS_ACCEPT, EAP_SUCCESS, address), ASKED, SECRET)
    assert isinstance(granted, Grant)
    assert granted.addresses == ()


def test_a_refusal_says_why_to_the_user() -> None:
    text = Attribute(AttributeType.REPLY_MESSAGE, b"Kennwort abgelaufen")
    refused = verdict(reply(Code.ACCESS_REJECT, EAP_FAILURE, text), ASKED, SECRET)
    assert refused == Refusal(EAP_FAILURE, "Kennwort abgelaufen")
    assert verdict(reply(Code.ACCESS_REJECT, b""), ASKED, SECRET) == Refusal(b"")


@pytest.mark.parametrize(
    ("code", "eap"),
    [
        (Code.ACCESS_ACCEPT, EAP_FAILURE),
        (Code.ACCESS_ACCEPT, EAP_REQUEST),
        (Code.ACCESS_ACCEPT, b""),
        (Code.ACCESS_REJECT, EAP_SUCCESS),
        (Code.ACCESS_CHALLENGE, EAP_SUCCESS),
        (Code.ACCESS_CHALLENGE, b""),
        (Code.ACCOUNTING_RESPONSE, EAP_SUCCESS),
    ],
)
def test_a_code_that_says_other_than_eap_lets_nobody_in(code: Code, eap: bytes) -> None:
    """RFC 3579 §2.6.3: conflicting messages."""
    with pytest.raises(MalformedError):
        verdict(reply(code, eap), ASKED, SECRET)


@pytest.mark.parametrize("prefix", [b"\0", b"\0\x81" + bytes(16), bytes(19)])
def test_a_prefix_in_another_form_is_malformed(prefix: bytes) -> None:
    packet = reply(
        Code.ACCESS_ACCEPT, EAP_SUCCESS, Attribute(AttributeType.FRAMED_IPV6_PREFIX, prefix)
    )
    with pytest.raises(MalformedError, match="FRAMED_IPV6_PREFIX"):
        verdict(packet, ASKED, SECRET)

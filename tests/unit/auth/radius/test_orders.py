# SPDX-License-Identifier: Apache-2.0
"""What a RADIUS server may order (RFC 5176)."""

import ipaddress

import pytest

from ikeway.auth.radius.orders import (
    EVENT_SECONDS_MOST,
    Change,
    Disconnect,
    OrderRefusedError,
    Which,
    done,
    read,
    refused,
)
from ikeway.auth.radius.packet import Attribute, Packet
from ikeway.auth.radius.registry import AttributeType, Code, ErrorCause

NAS, NOW = "vpn.example.com", 1_800_000_000
USER = Attribute(AttributeType.USER_NAME, b"alice")
TIMEOUT = Attribute.number(AttributeType.SESSION_TIMEOUT, 60)


def order(code: Code, *attributes: Attribute) -> Packet:
    return Packet(code, 5, bytes(16), attributes)


def test_a_disconnect_is_about_all_that_it_names() -> None:
    packet = order(
        Code.DISCONNECT_REQUEST,
        USER,
        Attribute.text(AttributeType.NAS_IDENTIFIER, NAS),
        Attribute.text(AttributeType.ACCT_SESSION_ID, "abc"),
        Attribute(AttributeType.FRAMED_IP_ADDRESS, bytes((10, 66, 0, 9))),
        Attribute.number(AttributeType.EVENT_TIMESTAMP, NOW - 5),
    )
    which = Which(user=b"alice", session="abc", address=ipaddress.ip_address("10.66.0.9"))
    assert read(packet, NAS, NOW) == Disconnect(which)


def test_a_change_sets_times() -> None:
    assert read(order(Code.COA_REQUEST, USER, TIMEOUT), NAS, NOW) == Change(
        Which(user=b"alice"), session_timeout=60, idle_timeout=None
    )


@pytest.mark.parametrize(
    ("packet", "cause"),
    [
        (order(Code.DISCONNECT_REQUEST), ErrorCause.MISSING_ATTRIBUTE),
        (order(Code.COA_REQUEST, USER), ErrorCause.MISSING_ATTRIBUTE),
        (order(Code.DISCONNECT_REQUEST, USER, TIMEOUT), ErrorCause.UNSUPPORTED_ATTRIBUTE),
        (
            order(Code.COA_REQUEST, USER, Attribute(AttributeType.FILTER_ID, b"x")),
            ErrorCause.UNSUPPORTED_ATTRIBUTE,
        ),
        (
            order(
                Code.DISCONNECT_REQUEST,
                USER,
                Attribute.text(AttributeType.NAS_IDENTIFIER, "another"),
            ),
            ErrorCause.NAS_IDENTIFICATION_MISMATCH,
        ),
        (
            order(
                Code.DISCONNECT_REQUEST,
                USER,
                Attribute.number(AttributeType.EVENT_TIMESTAMP, NOW - EVENT_SECONDS_MOST - 1),
            ),
            ErrorCause.INVALID_REQUEST,
        ),
        (order(Code.ACCESS_REQUEST, USER), ErrorCause.INVALID_REQUEST),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_cause(packet: Packet, cause: ErrorCause) -> None:
    with pytest.raises(OrderRefusedError) as refusal:
        read(packet, NAS, NOW)
    assert refusal.value.cause is cause


def test_answers_bring_proxy_state_back_in_its_order() -> None:
    """RFC 5176 §3.1."""
    states = tuple(Attribute(AttributeType.PROXY_STATE, value) for value in (b"1", b"2"))
    packet = order(Code.COA_REQUEST, USER, *states)
    assert done(packet) == Packet(Code.COA_ACK, 5, bytes(16), states)
    nak = refused(packet, ErrorCause.SESSION_NOT_FOUND)
    assert nak.code is Code.COA_NAK
    assert nak.number(AttributeType.ERROR_CAUSE) == 503
    assert nak.attributes[1:] == states
    assert done(order(Code.DISCONNECT_REQUEST, USER)).code is Code.DISCONNECT_ACK
    assert refused(order(Code.DISCONNECT_REQUEST), ErrorCause(503)).code is Code.DISCONNECT_NAK

# SPDX-License-Identifier: Apache-2.0
"""What a RADIUS server is told of a session (RFC 2866)."""

import ipaddress

from ikeway.auth.radius.accounting import Session, Usage, delayed, interim, power, start, stop
from ikeway.auth.radius.packet import Attribute, Packet
from ikeway.auth.radius.registry import AcctStatus, AttributeType, Code, TerminateCause
from ikeway.auth.radius.visit import Visit

SESSION = Session(
    Visit(
        nas="vpn.example.com",
        session="0123456789abcdef",
        connection="staff",
        local=ipaddress.ip_address("192.0.2.1"),
        peer=ipaddress.ip_address("198.51.100.7"),
        peer_port=4500,
    ),
    user=b"alice",
    addresses=(ipaddress.ip_address("10.66.0.9"), ipaddress.ip_address("fd66::9")),
    classes=(b"\xff\x00", b"staff"),
)
USAGE = Usage(90, octets_in=5_000_000_000, octets_out=7, packets_in=4_000_000, packets_out=1)


def read(attributes: tuple[Attribute, ...]) -> Packet:
    return Packet(Code.ACCOUNTING_REQUEST, 1, bytes(16), attributes)


def test_a_start_names_user_session_addresses_and_class_as_it_came() -> None:
    told = read(start(SESSION))
    assert told.number(AttributeType.ACCT_STATUS_TYPE) == AcctStatus.START
    assert told.first(AttributeType.USER_NAME) == b"alice"
    assert told.text(AttributeType.ACCT_SESSION_ID) == "0123456789abcdef"
    assert told.address(AttributeType.FRAMED_IP_ADDRESS) == SESSION.addresses[0]
    assert told.address(AttributeType.FRAMED_IPV6_ADDRESS) == SESSION.addresses[1]
    assert told.all(AttributeType.CLASS) == SESSION.classes
    assert told.number(AttributeType.ACCT_SESSION_TIME) is None


def test_octets_over_32_bits_go_into_gigawords() -> None:
    """RFC 2869 §5.1."""
    told = read(interim(SESSION, USAGE))
    assert told.number(AttributeType.ACCT_STATUS_TYPE) == AcctStatus.INTERIM_UPDATE
    assert told.number(AttributeType.ACCT_INPUT_GIGAWORDS) == 1
    assert told.number(AttributeType.ACCT_INPUT_OCTETS) == 5_000_000_000 - (1 << 32)
    assert told.number(AttributeType.ACCT_OUTPUT_OCTETS) == 7
    assert told.number(AttributeType.ACCT_INPUT_PACKETS) == 4_000_000
    assert told.number(AttributeType.ACCT_SESSION_TIME) == 90


def test_a_stop_says_why() -> None:
    told = read(stop(SESSION, USAGE, TerminateCause.USER_REQUEST))
    assert told.number(AttributeType.ACCT_STATUS_TYPE) == AcctStatus.STOP
    assert told.number(AttributeType.ACCT_TERMINATE_CAUSE) == TerminateCause.USER_REQUEST


def test_what_is_told_late_says_how_late() -> None:
    told = read(delayed(start(SESSION), 45))
    assert told.number(AttributeType.ACCT_DELAY_TIME) == 45


def test_a_gateway_that_starts_says_so() -> None:
    told = read(power(AcctStatus.ACCOUNTING_ON, "vpn.example.com", "boot"))
    assert told.number(AttributeType.ACCT_STATUS_TYPE) == AcctStatus.ACCOUNTING_ON
    assert told.text(AttributeType.NAS_IDENTIFIER) == "vpn.example.com"

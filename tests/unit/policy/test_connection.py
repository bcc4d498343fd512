# SPDX-License-Identifier: Apache-2.0
"""Connections: who may start them, with whom, and for which traffic."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from ikeway.model.identity import Identity
from ikeway.model.selectors import TrafficSelector
from ikeway.policy.connection import (
    Connection,
    PeerAddress,
    Role,
    SelectorTemplate,
    resolve_selectors,
)
from ikeway.policy.lifetimes import Retransmission

PLAIN = Connection("plain", Identity.parse("gw.example"))


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("any", None),
        ("192.0.2.7", ip_address("192.0.2.7")),
        ("2001:db8::7", ip_address("2001:db8::7")),
        ("192.0.2.7/32", ip_address("192.0.2.7")),
        ("192.0.2.0/24", None),
        ("gw.example.com", "gw.example.com"),
    ],
)
def test_a_peer_address_tells_where_to_connect_to(text: str, target: object) -> None:
    assert PeerAddress.parse(text).target == target


@pytest.mark.parametrize(
    ("text", "address", "matches"),
    [
        ("any", "203.0.113.1", True),
        ("192.0.2.0/24", "192.0.2.200", True),
        ("192.0.2.0/24", "192.0.3.1", False),
        ("192.0.2.9/24", "192.0.2.1", True),
        ("2001:db8::/32", "2001:db8:1::1", True),
        ("192.0.2.0/24", "2001:db8::1", False),
        ("gw.example.com", "203.0.113.1", True),
    ],
)
def test_a_peer_address_tells_who_may_connect(text: str, address: str, matches: bool) -> None:
    assert PeerAddress.parse(text).matches(ip_address(address)) == matches


@pytest.mark.parametrize(
    ("closer", "than"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("192.0.2.0/24", "192.0.0.0/16"),
        ("0.0.0.0/0", "gw.example.com"),
        ("gw.example.com", "any"),
    ],
)
def test_a_peer_address_may_fit_closer_than_another(closer: str, than: str) -> None:
    address = ip_address("192.0.2.7")
    one, other = PeerAddress.parse(closer), PeerAddress.parse(than)
    assert one.exactness(address) > other.exactness(address)


@pytest.mark.parametrize(
    ("role", "initiates", "responds"),
    [(Role.INITIATOR, True, False), (Role.RESPONDER, False, True), (Role.BOTH, True, True)],
)
def test_the_role_says_who_may_start(role: Role, initiates: bool, responds: bool) -> None:
    connection = replace(PLAIN, role=role, peer=PeerAddress.parse("192.0.2.7"))
    assert (connection.may_initiate, connection.may_respond) == (initiates, responds)


def test_nobody_can_start_a_connection_to_anybody() -> None:
    assert not replace(PLAIN, peer=PeerAddress.parse("any")).may_initiate
    assert not replace(PLAIN, peer=PeerAddress.parse("10.0.0.0/8")).may_initiate


def test_dynamic_becomes_the_addresses_of_the_moment() -> None:
    web = SelectorTemplate(None, 6, (80, 80))
    lan = SelectorTemplate(ip_network("10.1.0.0/16"))
    addresses = ip_address("10.66.0.7"), ip_address("fd66::7")
    assert resolve_selectors((web, lan), addresses) == (
        TrafficSelector(6, 80, 80, addresses[0], addresses[0]),
        TrafficSelector(6, 80, 80, addresses[1], addresses[1]),
        TrafficSelector.of("10.1.0.0/16"),
    )
    assert resolve_selectors((web,), ()) == ()


@pytest.mark.conformance("CF-C14")
def test_waits_grow_to_the_longest() -> None:
    """RFC 7296 §2.1: exponentially, and no further than the operator wants."""
    timing = Retransmission(first=1.0, factor=2.0, longest=10.0)
    assert [timing.wait(number) for number in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert timing.wait(10**6) == 10.0

# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of traffic selectors, against sets of packets."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikeway.model.selectors import PORT_MAX, TrafficSelector

OPAQUE = (PORT_MAX, 0)
Packet = tuple[int, int, int]


@st.composite
def selectors(draw: st.DrawFn) -> TrafficSelector:
    """A selector in a small world: 8 addresses, 3 protocols, 6 ports, OPAQUE ones among them."""
    start, end = sorted((draw(st.integers(0, 7)), draw(st.integers(0, 7))))
    low, high = sorted((draw(st.integers(0, 5)), draw(st.integers(0, 5))))
    ports = draw(st.sampled_from([(low, high), (0, PORT_MAX), OPAQUE]))
    protocol = draw(st.sampled_from([0, 6, 17]))
    return TrafficSelector(protocol, *ports, IPv4Address(start), IPv4Address(end))


def packets(one: TrafficSelector) -> set[Packet]:
    """Every packet of the small world that a selector means; port -1 is one that cannot be seen."""
    protocols = [one.protocol] if one.protocol else [6, 17, 99]
    if one.is_opaque:
        ports = [-1]
    else:
        whole = (one.port_start, one.port_end) == (0, PORT_MAX)
        ports = [*range(one.port_start, min(one.port_end, 6) + 1), *([-1] if whole else [])]
    return {
        (address, protocol, port)
        for address in range(int(one.start), int(one.end) + 1)
        for protocol in protocols
        for port in ports
    }


@given(selectors(), selectors())
def test_the_intersection_is_what_both_mean(one: TrafficSelector, two: TrafficSelector) -> None:
    common = one.intersect(two)
    assert (packets(common) if common else set()) == packets(one) & packets(two)
    assert common == two.intersect(one)


@given(selectors(), selectors())
def test_a_selector_covers_what_it_means_and_no_more(
    one: TrafficSelector, two: TrafficSelector
) -> None:
    assert one.covers(two) == (packets(two) <= packets(one))


@given(selectors())
def test_a_selector_covers_itself(one: TrafficSelector) -> None:
    assert one.covers(one)
    assert one.intersect(one) == one


def test_families_have_nothing_in_common() -> None:
    four, six = TrafficSelector.of("0.0.0.0/0"), TrafficSelector.of("::/0")
    assert four.intersect(six) is None
    assert not four.covers(six)
    assert (four.version, six.version) == (4, 6)


def test_a_selector_of_a_network_is_all_its_traffic() -> None:
    one = TrafficSelector.of("10.1.0.0/16")
    assert (one.protocol, one.port_start, one.port_end) == (0, 0, PORT_MAX)
    assert (one.start, one.end) == (ip_address("10.1.0.0"), ip_address("10.1.255.255"))
    assert [str(net) for net in one.networks()] == ["10.1.0.0/16"]


def test_a_range_is_several_networks() -> None:
    one = TrafficSelector(0, 0, PORT_MAX, IPv6Address("fd00::1"), IPv6Address("fd00::4"))
    assert [str(net) for net in one.networks()] == ["fd00::1/128", "fd00::2/127", "fd00::4/128"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "10.1.0.0/16"),
        ({"protocol": 6}, "10.1.0.0/16[6/0-65535]"),
        ({"protocol": 6, "port_start": 80, "port_end": 90}, "10.1.0.0/16[6/80-90]"),
        ({"protocol": 6, "port_start": 65535, "port_end": 0}, "10.1.0.0/16[6/opaque]"),
        ({"end": ip_address("10.1.0.9")}, "10.1.0.0-10.1.0.9"),
    ],
)
def test_a_selector_is_written_as_short_as_it_can_be(change: dict[str, object], text: str) -> None:
    assert str(replace(TrafficSelector.of("10.1.0.0/16"), **change)) == text  # type: ignore[arg-type]

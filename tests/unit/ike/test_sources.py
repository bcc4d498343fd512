# SPDX-License-Identifier: Apache-2.0
"""RFC 8019 §4.2: who counts as one source, and meters that no number of sources makes grow."""

import tracemalloc
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from ikeway.crypto.random import SeededRandom
from ikeway.ike.sources import Meter, source_of
from ikeway.model.secret import Secret

RANDOM = SeededRandom(Secret(bytes(32)))


def meter(per_second: float = 8, burst: float = 8) -> Meter:
    return Meter(RANDOM, per_second, burst)


@pytest.mark.parametrize(
    ("one", "two", "same_source", "same_network"),
    [
        ("192.0.2.1", "192.0.2.1", True, True),
        ("192.0.2.1", "192.0.2.200", False, True),
        ("192.0.2.1", "192.0.3.1", False, False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True, True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False, True),
        ("2001:db8:1::1", "2001:db8:2::1", False, False),
        ("0.0.0.0", "::", False, False),
    ],
)
def test_a_source_is_an_ipv4_address_or_an_ipv6_64(
    one: str, two: str, same_source: bool, same_network: bool
) -> None:
    first, second = source_of(ip_address(one)), source_of(ip_address(two))
    assert (first.key == second.key) == same_source
    assert (first.network == second.network) == same_network


def test_a_source_has_its_burst_and_then_its_rate() -> None:
    bucket = meter()
    source = source_of(IPv4Address("192.0.2.1")).key
    assert sum(bucket.allows(source, 1000.0) for _ in range(50)) == 8
    assert sum(bucket.allows(source, 1001.0) for _ in range(50)) == 8


def test_others_are_not_held_up_by_one_who_is_too_quick() -> None:
    bucket = meter()
    for _ in range(1000):
        bucket.allows(source_of(IPv4Address("192.0.2.1")).key, 1000.0)
    others = [source_of(IPv4Address(number << 8)).key for number in range(2000, 3000)]
    assert all(bucket.allows(other, 1000.0) for other in others)


def test_what_fails_costs_more() -> None:
    bucket = meter()
    source = source_of(IPv4Address("192.0.2.1")).key
    bucket.charge(source, 1000.0, 20)
    assert not bucket.allows(source, 1000.0)
    assert bucket.allows(source, 1002.0)


def test_thirty_thousand_networks_take_no_memory_and_hold_up_few() -> None:
    """I5: the table is as large as on the first day, and both buckets are seldom shared."""
    bucket = meter(per_second=100, burst=100)
    bucket.allows(b"warm", 1000.0)
    tracemalloc.start()
    for number in range(30_000):
        bucket.allows(number.to_bytes(3), 1000.0 + number / 50_000)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()
    fresh = [IPv6Address((0x20010DB8 << 96) + (number << 64)) for number in range(1000)]
    assert sum(bucket.allows(source_of(one).key, 1002.0) for one in fresh) == 1000

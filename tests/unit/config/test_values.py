# SPDX-License-Identifier: Apache-2.0
"""Strings of the configuration mean what an operator would think, or are refused in words."""

from ipaddress import ip_address, ip_network

import pytest

from ikeway.config import values
from ikeway.config.show import selector_text
from ikeway.model.errors import ConfigError
from ikeway.policy.connection import SelectorTemplate


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("4h", 14400), ("1h30m", 5400), ("2min", 120), ("1500ms", 1.5), ("1.5s", 1.5)],
)
def test_times_have_units(text: str, seconds: float) -> None:
    assert values.duration()(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "4 h", "h", "-1s", "1y", "4hours", "1s2", "٣s"])
def test_a_time_without_a_unit_or_with_an_unknown_one_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a length of time"):
        values.duration()(text)


@pytest.mark.parametrize("text", ["0s", "999ms", "367d"])
def test_a_time_out_of_range_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(ConfigError, match="allowed is 1s to 366d"):
        values.duration()(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0s"), (0.5, "500ms"), (5400, "1h30m"), (90061, "1d1h1m1s")]
)
def test_a_time_is_written_as_it_is_read(seconds: float, text: str) -> None:
    assert values.span(seconds) == text
    assert values.duration(0)(text) == seconds


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("64GiB", 64 << 30),
        ("500MB", 500_000_000),
        ("1 MiB", 1 << 20),
        ("none", 0),
        ("1TiB", 1 << 40),
    ],
)
def test_amounts_of_data_have_units(text: str, octets: int) -> None:
    assert values.octets(text) == octets


@pytest.mark.parametrize("text", ["64", "64G", "64gib", "GiB", "1.5GiB", "-1GiB", "0GiB", "5B", ""])
def test_amounts_of_data_that_are_none_or_of_no_use_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        values.octets(text)


@pytest.mark.parametrize(
    ("text", "network", "protocol", "ports"),
    [
        ("10.0.0.0/8", "10.0.0.0/8", 0, (0, 65535)),
        ("10.0.0.1", "10.0.0.1/32", 0, (0, 65535)),
        ("::/0[tcp/443]", "::/0", 6, (443, 443)),
        ("::/0 [TCP/443]", "::/0", 6, (443, 443)),
        ("dynamic", None, 0, (0, 65535)),
        ("dynamic[udp]", None, 17, (0, 65535)),
        ("dynamic[17/1000-2000]", None, 17, (1000, 2000)),
        ("dynamic[tcp/any]", None, 6, (0, 65535)),
        ("dynamic[tcp/opaque]", None, 6, (65535, 0)),
        ("dynamic[any]", None, 0, (0, 65535)),
        ("dynamic[icmp/8]", None, 1, (0x0800, 0x08FF)),
        ("dynamic[icmpv6/1.4]", None, 58, (0x0104, 0x0104)),
        ("dynamic[47]", None, 47, (0, 65535)),
    ],
)
def test_selectors_name_prefixes_protocols_and_ports(
    text: str, network: str | None, protocol: int, ports: tuple[int, int]
) -> None:
    where = None if network is None else ip_network(network)
    meant = SelectorTemplate(where, protocol, ports)
    assert values.selector(text) == meant
    assert values.selector(selector_text(meant)) == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.1.0.5/16", "did you mean 10.1.0.0/16"),
        ("10.0.0.1-10.0.0.9", "is not a prefix"),
        ("", "is not a traffic selector"),
        ("[tcp]", "is not a traffic selector"),
        ("10.0.0.0/8[tcp", "is not a traffic selector"),
        ("10.0.0.0/8[tpc/1]", "'tpc' is not a protocol"),
        ("10.0.0.0/8[256]", "'256' is not a protocol"),
        ("10.0.0.0/8[any/80]", "need a protocol"),
        ("10.0.0.0/8[tcp/65536]", "is not a port"),
        ("10.0.0.0/8[tcp/9-8]", "is not a port"),
        ("10.0.0.0/8[icmp/256]", "is not an ICMP type"),
        ("10.0.0.0/8[icmp/1.256]", "is not an ICMP type"),
        ("10.0.0.0/8[]", "is not a protocol"),
    ],
)
def test_selectors_that_mean_nothing_are_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        values.selector(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text", ["any", "192.0.2.1", "2001:db8::1", "192.0.2.0/24", "vpn.example.com"]
)
def test_a_peer_is_anywhere_an_address_a_prefix_or_a_host(text: str) -> None:
    found = values.peer(text)
    assert (found.host is not None) == text.endswith("com")
    assert found.matches(ip_address("192.0.2.1")) == (text != "2001:db8::1")


@pytest.mark.parametrize("text", ["", "300.1.1.1", "192.0.2.0/33", "a b", "a..b", "-a", "x" * 300])
def test_a_peer_that_is_none_of_these_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not an address, a prefix, a host name"):
        values.peer(text)


@pytest.mark.parametrize("text", ["fe80::1%eth0", "10.0.0", "10.0.0.0/8", "x", ""])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        values.address(text)


def test_a_domain_may_end_with_a_dot() -> None:
    assert values.domain("corp.example.com.") == "corp.example.com"
    with pytest.raises(ConfigError):
        values.domain("corp example")


@pytest.mark.parametrize("text", ["*", "*.example.com", "a@example.com", "C=CH, CN=x", "@#6b6579"])
def test_patterns_are_identities_or_have_a_wildcard(text: str) -> None:
    assert values.id_pattern(text).text == text


@pytest.mark.parametrize("text", ["", "@#xyz", "C=CH, X=y"])
def test_a_pattern_that_is_no_identity_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        values.id_pattern(text)

# SPDX-License-Identifier: Apache-2.0
"""Policies as rules of the packet filter and of routing, as text and as values."""

from ipaddress import ip_network

import pytest

from ikeway.client.firewall import removal, ruleset
from ikeway.client.plan import POLICIES
from ikeway.client.steering import PolicyRule, steering
from ikeway.model.policies import Action, TrafficPolicy
from ikeway.model.selectors import PORT_MAX, TrafficSelector
from ikeway.runtime.network import Guard

ANY, ANY6 = TrafficSelector.of("0.0.0.0/0"), TrafficSelector.of("::/0")
LAN = TrafficSelector.of("10.1.0.0/16")
OPAQUE = TrafficSelector.of("10.3.0.0/16", 6, (PORT_MAX, 0))


def tcp(network: str, *ports: int) -> TrafficSelector:
    return TrafficSelector.of(network, 6, (ports[0], ports[-1]))


def policy(name: str, action: Action, *peer_ts: TrafficSelector) -> TrafficPolicy:
    return TrafficPolicy(name, action, (LAN, ANY6), peer_ts)


def chain(name: str, guard: Guard) -> list[str]:
    """Return the rules of a chain."""
    lines = ruleset(guard).split(f"chain {name} {{\n")[1].split("  }\n")[0]
    return [line.strip() for line in lines.splitlines()]


@pytest.mark.conformance("CF-U17")
def test_the_rules_stand_in_the_order_of_the_policies_and_both_ways() -> None:
    """RFC 4301 §4.4.1, §5: what enters is judged as what leaves."""
    guard = Guard(
        "tun7",
        policies=(
            policy("web", Action.BYPASS, tcp("10.2.0.9/32", 80)),
            policy("mail", Action.DISCARD, tcp("::/0", 25)),
        ),
        connections=(policy("site", Action.PROTECT, TrafficSelector.of("10.2.0.0/16")),),
    )
    lan = "10.1.0.0-10.1.255.255"
    net = "10.2.0.0-10.2.255.255"
    refused = "counter reject with icmpx type admin-prohibited comment"
    assert chain("leaving", guard) == [
        f"meta nfproto ipv4 ip saddr {lan} ip daddr 10.2.0.9 meta l4proto 6 th dport 80-80 return",
        f'meta nfproto ipv6 meta l4proto 6 th dport 25-25 {refused} "mail"',
        f'oifname "tun7" meta nfproto ipv4 ip saddr {lan} ip daddr {net} return',
        f'meta nfproto ipv4 ip saddr {lan} ip daddr {net} {refused} "site"',
    ]
    assert chain("arriving", guard) == [
        f"meta nfproto ipv4 ip saddr 10.2.0.9 ip daddr {lan} meta l4proto 6 th sport 80-80 return",
        'meta nfproto ipv6 meta l4proto 6 th sport 25-25 counter drop comment "mail"',
        f'iifname "tun7" meta nfproto ipv4 ip saddr {net} ip daddr {lan} return',
        f'meta nfproto ipv4 ip saddr {net} ip daddr {lan} counter drop comment "site"',
    ]


def test_a_later_fragment_that_may_be_one_to_protect_stays_in() -> None:
    """RFC 4301 §7: its ports are in another fragment."""
    guard = Guard("tun7", (policy("web", Action.PROTECT, tcp("10.2.0.9/32", 443)),))
    (late,) = (rule for rule in chain("leaving", guard) if "frag-off" in rule)
    assert late.startswith('oifname != "tun7" meta nfproto ipv4')
    assert " th " not in late
    assert len(chain("arriving", guard)) == 3


def test_ports_that_cannot_be_told_are_all_ports() -> None:
    """Of a connection they may be; that keeps more in, and never less."""
    echo = TrafficSelector.of("10.3.0.0/16", 1, (8 << 8, 8 << 8 | 255))
    guard = Guard("tun7", connections=(policy("odd", Action.PROTECT, OPAQUE, echo),))
    assert all(" th " not in rule and " type 8" not in rule for rule in chain("leaving", guard))


def test_a_connection_whose_own_side_is_open_says_nothing_of_what_comes() -> None:
    client = policy("connection lab", Action.PROTECT, ANY)
    guard = Guard("tun7", connections=(client,), open=frozenset({client.name}))
    assert len(chain("leaving", guard)) == 2
    assert chain("arriving", guard) == []


def test_the_rules_of_another_interface_are_others() -> None:
    assert removal("tun7") == "table inet ikeway-tun7 {\n}\ndelete table inet ikeway-tun7\n"
    assert ruleset(Guard("tun7")).startswith(removal("tun7"))


def test_routing_is_asked_in_the_same_order_and_only_where_it_can_tell() -> None:
    made = steering(
        (
            policy("mail", Action.DISCARD, tcp("::/0", 25)),
            policy("web", Action.BYPASS, tcp("10.2.0.9/32", 1024, PORT_MAX)),
            policy("last", Action.BYPASS, tcp("10.2.0.9/32", PORT_MAX)),
            TrafficPolicy("all", Action.PROTECT, (ANY6,), (tcp("fd00::/8", 0, 9),)),
        )
    )
    assert made == (
        PolicyRule(
            version=4,
            priority=POLICIES + 1,
            is_around=True,
            local=ip_network("10.1.0.0/16"),
            peer=ip_network("10.2.0.9/32"),
            protocol=6,
            local_ports=None,
            peer_ports=(1024, PORT_MAX - 1),
        ),
        PolicyRule(
            version=6,
            priority=POLICIES + 3,
            is_around=False,
            local=None,
            peer=ip_network("fd00::/8"),
            protocol=6,
            local_ports=None,
            peer_ports=(1, 9),
        ),
    )

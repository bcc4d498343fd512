# SPDX-License-Identifier: Apache-2.0
"""What a Child SA changes on the host, as values."""

from ipaddress import ip_address, ip_network

import pytest

from ikeway.client.plan import AddAddress, AddRoute, Facts, plan, rules, source, warnings
from ikeway.model.address import OUTER_MARK, Address
from ikeway.model.errors import HostError
from ikeway.model.selectors import TrafficSelector
from ikeway.runtime.network import TunnelPlan

LENT = ("10.66.0.2", "fd66::2")
BOTH = frozenset({4, 6})


def test_a_client_gets_its_addresses_and_routes_that_start_from_them() -> None:
    tunnel = a_tunnel(lent=LENT, local=LENT, peer=("0.0.0.0/0", "::/0"))
    assert plan(tunnel, facts()) == (
        AddAddress(address("10.66.0.2")),
        AddAddress(address("fd66::2")),
        AddRoute(ip_network("0.0.0.0/0"), address("10.66.0.2")),
        AddRoute(ip_network("::/0"), address("fd66::2")),
    )


def test_a_gateway_uses_its_own_address_inside_the_selectors() -> None:
    tunnel = a_tunnel(local=("10.1.0.0/16",), peer=("10.66.0.2/32",))
    found = facts("192.0.2.1", "10.2.0.1", "10.1.0.1")
    assert plan(tunnel, found) == (AddRoute(ip_network("10.66.0.2/32"), address("10.1.0.1")),)


def test_a_gateway_without_a_fitting_address_leaves_the_choice_to_the_kernel() -> None:
    tunnel = a_tunnel(local=("10.1.0.0/16",), peer=("10.2.0.0/16",))
    assert plan(tunnel, facts("192.0.2.1")) == (AddRoute(ip_network("10.2.0.0/16"), None),)


def test_the_outer_address_is_the_last_choice() -> None:
    tunnel = a_tunnel(local=("0.0.0.0/0",), peer=("10.2.0.0/16",))
    assert source(tunnel, facts("192.0.2.1", "10.1.0.1"), 4) == address("10.1.0.1")
    assert source(tunnel, facts("192.0.2.1"), 4) == address("192.0.2.1")


def test_a_range_that_is_no_prefix_becomes_several_routes() -> None:
    selector = TrafficSelector(0, 0, 65535, address("10.2.0.0"), address("10.2.2.255"))
    tunnel = a_tunnel(local=("10.1.0.0/16",), selectors=(selector,))
    networks = [step.network for step in plan(tunnel, facts()) if isinstance(step, AddRoute)]
    assert networks == [ip_network("10.2.0.0/23"), ip_network("10.2.2.0/24")]


def test_selectors_that_differ_in_ports_only_share_one_route() -> None:
    https, dns = (
        TrafficSelector.of("10.2.0.0/16", 6, (443, 443)),
        TrafficSelector.of("10.2.0.0/16", 17, (53, 53)),
    )
    tunnel = a_tunnel(local=("10.1.0.0/16",), selectors=(https, dns))
    assert len(plan(tunnel, facts())) == 1


@pytest.mark.parametrize(
    "odd", ["0.0.0.0", "127.0.0.1", "::1", "224.0.0.1", "fe80::1", "192.0.2.2"]
)
def test_a_peer_cannot_lend_what_would_take_the_host_over(odd: str) -> None:
    with pytest.raises(HostError, match="the peer lends"):
        plan(a_tunnel(lent=(odd,), local=(odd,), peer=("10.2.0.0/16",)), facts())


def test_an_ip_version_that_is_switched_off_is_refused_and_not_leaked() -> None:
    tunnel = a_tunnel(lent=LENT, local=LENT, peer=("0.0.0.0/0", "::/0"))
    off = Facts((), BOTH, frozenset({4}), frozenset())
    assert plan(tunnel, off) == (
        AddAddress(address("10.66.0.2")),
        AddRoute(ip_network("0.0.0.0/0"), address("10.66.0.2")),
        AddRoute(ip_network("::/0"), is_refusal=True),
    )
    assert "IPv6 is switched off" in warnings(tunnel, off)[0]


def test_an_ip_version_that_the_kernel_does_not_have_needs_nothing() -> None:
    tunnel = a_tunnel(lent=LENT, local=LENT, peer=("0.0.0.0/0", "::/0"))
    absent = Facts((), frozenset({4}), frozenset({4}), frozenset())
    assert len(plan(tunnel, absent)) == 2
    assert not warnings(tunnel, absent)


@pytest.mark.parametrize("version", [4, 6])
def test_the_jump_is_there_before_the_rule_that_leads_into_the_table(version: int) -> None:
    """Until all exemptions are in force no packet of the tunnel itself may be sent into it."""
    made = rules(4 if version == 4 else 6)
    assert [rule.action for rule in made] == ["pass", "goto", "goto", "goto", "lookup"]
    assert {rule.source_port for rule in made if rule.action == "goto"} == {0, 500, 4500}
    assert {rule.mark for rule in made if rule.mark} == {OUTER_MARK}
    jumps = [rule.priority for rule in made if rule.action == "goto"]
    assert max(jumps) < made[-1].priority < made[0].priority


def test_a_gateway_that_does_not_forward_is_told_so() -> None:
    tunnel = a_tunnel(local=("10.1.0.0/16", "fd01::/64"), peer=("10.2.0.0/16",))
    closed, open_ = facts(), facts(forwards=True)
    assert [line.split()[0] for line in warnings(tunnel, closed)] == [
        "net.ipv4.ip_forward",
        "net.ipv6.conf.all.forwarding",
    ]
    assert not warnings(tunnel, open_)


def test_a_single_host_needs_no_forwarding() -> None:
    assert not warnings(a_tunnel(lent=LENT, local=LENT, peer=("10.2.0.0/16",)), facts())


def test_a_strict_filter_matters_only_where_the_tunnel_takes_the_neighbours_addresses() -> None:
    strict = Facts((), BOTH, BOTH, BOTH, ((address("192.0.2.1"), "eth0"),))
    assert (
        "net.ipv4.conf.eth0.rp_filter=2"
        in warnings(a_tunnel(local=LENT, peer=("0.0.0.0/0",)), strict)[0]
    )
    assert not warnings(a_tunnel(local=LENT, peer=("10.2.0.0/16",)), strict)


def test_selectors_by_port_and_dns_servers_are_told() -> None:
    narrow = TrafficSelector.of("10.2.0.0/16", 6, (443, 443))
    tunnel = a_tunnel(local=("10.1.0.1/32",), selectors=(narrow,), dns=("10.1.0.53",))
    lines = warnings(tunnel, facts())
    assert "10.2.0.0/16[6/443-443] only" in lines[0]
    assert "10.1.0.53" in lines[1]


def address(text: str) -> Address:
    return ip_address(text)


def facts(*addresses: str, forwards: bool = False) -> Facts:
    return Facts(tuple(map(ip_address, addresses)), BOTH, BOTH, BOTH if forwards else frozenset())


def a_tunnel(
    *,
    local: tuple[str, ...],
    peer: tuple[str, ...] = (),
    lent: tuple[str, ...] = (),
    selectors: tuple[TrafficSelector, ...] = (),
    dns: tuple[str, ...] = (),
) -> TunnelPlan:
    return TunnelPlan(
        connection="office",
        interface="ikeway0",
        child_spi=0x1000,
        virtual_ips=tuple(map(ip_address, lent)),
        local_ts=tuple(map(TrafficSelector.of, local)),
        peer_ts=(*map(TrafficSelector.of, peer), *selectors),
        outer_local=address("192.0.2.1"),
        outer_peer=address("192.0.2.2"),
        dns=tuple(map(ip_address, dns)),
    )

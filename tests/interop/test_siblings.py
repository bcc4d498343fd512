# SPDX-License-Identifier: Apache-2.0
"""A Child SA for each CPU with strongSwan 6.1, which calls that `per_cpu_sas` (RFC 9611)."""

import pytest

from support.pair import Case, Pair, Tunnel
from support.strongswan import FLAG, wait_until
from support.traffic import transfer

pytestmark = [pytest.mark.interop, pytest.mark.system]

CASE = Case(
    ikeway={"per_cpu_children": 2},
    ikeway_top={"dataplane": {"queues": 2}},
    strongswan={"v6": FLAG},
    swanctl={"connections": {"lab": {"children": {"net": {"per_cpu_sas": "yes"}}}}},
)
FLOWS = 8


def test_it_grants_siblings_and_replaces_them(tunnel: Tunnel, role: str) -> None:
    """§3, §5.1: SA_RESOURCE_INFO both ways; it grants what we ask for.

    It would ask for more where a CPU of its kernel has a packet and no SA. In user space none says
    so, and the first one stays alone. It sends on the newest, and we where a flow comes from.
    """
    pair = tunnel(CASE)
    pair.attempt()
    wanted = 3 if pair.is_initiator else 1

    def are_up() -> bool:
        return len(pair.ikeway.children()) == len(pair.peer_children()) == wanted

    wait_until(are_up, 10, "the Child SAs")
    pair.strongswan.wait_for_log("N(RES_INFO)")
    before = {child.spi_in for child in pair.ikeway.children()}
    flows_pass(pair)
    pair.strongswan.rekey("child")
    wait_until(
        lambda: not before & {child.spi_in for child in pair.ikeway.children()} and are_up(),
        10,
        "successors of all",
    )
    if pair.is_initiator:
        queues = {int(child.spi_in, 16) % 2 for child in pair.ikeway.children()}
        assert queues == {0, 1}, "a successor is of the queue of what it replaces"
    flows_pass(pair)
    assert not pair.witness.leaks


def flows_pass(pair: Pair) -> None:
    ours, peer = pair.link.ours, pair.link.peer
    for _ in range(FLOWS):
        transfer((ours.namespace, ours.inner[4]), (peer.namespace, peer.inner[4]), 1 << 15)

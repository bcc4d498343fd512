# SPDX-License-Identifier: Apache-2.0
"""RFC 7383 with strongSwan: long IKE_AUTH messages in fragments, some of which are lost."""

import pytest

from support.link import OUTER
from support.netns import Namespace
from support.pair import INITIATOR, Case, Pair, Tunnel

pytestmark = [pytest.mark.interop, pytest.mark.system]

_RULES = """
table inet lossy {{
  chain output {{
    type filter hook output priority 0;
    oifname "{device}" udp dport 4500 @th,64,32 0 {what} counter drop
  }}
}}
"""
"""Drops IKE on port 4500, which a marker of four zeros sets apart from ESP."""


def drop(namespace: Namespace, what: str) -> None:
    """Have a host lose IKE messages of its own that fit this."""
    namespace.run("nft", "-f", "-", input=_RULES.format(device=OUTER, what=what))


def heal(namespace: Namespace) -> int:
    """Lose nothing more; return how much was lost."""
    listed = namespace.run("nft", "list", "table", "inet", "lossy")
    namespace.run("nft", "delete", "table", "inet", "lossy")
    return int(listed.split("counter packets ")[1].split()[0])


def case(
    ours: int, peer: int, options: dict[str, str] | None = None, outside: int = 4, **changes: object
) -> Case:
    return Case(
        auth="big",
        outside=outside,
        ikeway={"fragment_size": ours, **changes},
        strongswan={"fragment_size": str(peer), **(options or {})},
    )


@pytest.mark.conformance("CF-L02", "CF-L07", "CF-L11")
@pytest.mark.parametrize("outside", [4, 6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("sizes", [(576, 576), (576, 1280), (1280, 576), (1280, 1280)], ids=str)
def test_long_messages_go_in_fragments_of_ike(
    tunnel: Tunnel, sizes: tuple[int, int], outside: int
) -> None:
    """Nothing on the cable is a fragment of IP, whatever each end thinks a datagram may be."""
    pair = tunnel(case(*sizes, outside=outside))
    pair.connect()
    assert pair.witness.look()["fragment"] == 0
    assert "fragment" in pair.strongswan.log()
    pair.carry()


@pytest.mark.conformance("CF-L07", "CF-L08", "CF-L09")
def test_lost_fragments_are_sent_again(tunnel: Tunnel) -> None:
    """Each third IKE datagram of both ends is lost until the tunnel is up."""
    waits = {"retransmission": {"first": "200ms", "longest": "1s", "give_up": "60s"}}
    pair = tunnel(case(1280, 1280, {"retransmit_timeout": "0.3"}, **waits))
    ends = pair.link.ours.namespace, pair.link.peer.namespace
    for end in ends:
        drop(end, "numgen inc mod 3 == 1")
    pair.connect()
    assert sum(heal(end) for end in ends) > 0
    pair.carry()


@pytest.mark.conformance("CF-L10")
def test_a_path_that_loses_what_is_large_is_found_out(tunnel: Tunnel, role: str) -> None:
    """What we send does not get through in datagrams above 700 octets."""
    pair: Pair = tunnel(case(1280, 576))
    drop(pair.link.ours.namespace, "meta length > 700")
    pair.connect()
    found = "datagrams of at most 576 octets from now on" in pair.ikeway.log()
    assert found == (role == INITIATOR), "we answer in datagrams no larger than those of a request"
    heal(pair.link.ours.namespace)
    pair.carry()


@pytest.mark.conformance("CF-L01")
@pytest.mark.parametrize("without", ["ikeway", "strongswan"])
def test_whoever_does_not_want_fragments_gets_none(tunnel: Tunnel, without: str) -> None:
    """Both messages then need fragments of IP."""
    off = {"fragmentation": False} if without == "ikeway" else {}
    options = {"fragmentation": "no"} if without == "strongswan" else {}
    pair = tunnel(Case(auth="big", ikeway=off, strongswan=options))
    pair.connect()
    assert pair.witness.look()["fragment"] > 0
    pair.carry()


@pytest.mark.conformance("CF-L07")
def test_a_peer_that_fragments_everything_is_understood(tunnel: Tunnel) -> None:
    """strongSwan's `force`: also what is short comes in fragments, of which there may be one."""
    pair = tunnel(Case(auth="big", strongswan={"fragmentation": "force", "fragment_size": "576"}))
    pair.connect()
    pair.carry()

# SPDX-License-Identifier: Apache-2.0
"""Traffic selectors with strongSwan: several, narrowed, of ports, of none (RFC 7296 §2.9)."""

import socket

import pytest

from support.netns import Namespace
from support.pair import INITIATOR, RESPONDER, Case, Tunnel
from support.strongswan import FLAG, wait_until
from support.traffic import ping, transfer

pytestmark = [pytest.mark.interop, pytest.mark.system]

PORT = 5201
_ROAMING = {4: ("10.3.0.0/24", "0.0.0.0/0"), 6: ("fd03::/120", "::/0")}


@pytest.mark.conformance("CF-G07")
def test_a_child_sa_has_several_networks_on_each_side(tunnel: Tunnel) -> None:
    ours, peer = ["10.1.0.0/24", "10.1.8.0/21"], ["10.2.0.0/24", "10.2.16.0/20", "192.168.7.0/24"]
    pair = tunnel(
        Case(
            ikeway={"local_ts": ours, "peer_ts": peer},
            strongswan={"local_ts": ",".join(peer), "remote_ts": ",".join(ours)},
        )
    )
    for address in ("10.1.9.9", "10.2.16.1", "192.168.7.7"):
        host = pair.link.ours if address.startswith("10.1.") else pair.link.peer
        host.namespace.add_address("lo", f"{address}/32")
    pair.connect()
    (child,), (theirs,) = pair.ikeway.children(), pair.peer_children()
    assert set(child.local_ts) == theirs.remote_ts == set(ours)
    assert set(child.peer_ts) == theirs.local_ts == set(peer)
    pair.carry()
    pair.carry(ours={4: "10.1.9.9"}, peer={4: "192.168.7.7"})


@pytest.mark.conformance("CF-G03")
def test_the_responder_narrows_what_is_offered(tunnel: Tunnel, role: str) -> None:
    """RFC 7296 §2.9: the answer is a part of the offer, and both ends keep to it."""
    wide, ours, peers = "10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16"
    if role == INITIATOR:
        case = Case(ikeway={"local_ts": [wide], "peer_ts": [wide]})
    else:
        case = Case(strongswan={"local_ts": wide, "remote_ts": wide})
    pair = tunnel(case)
    pair.connect()
    (child,), (theirs,) = pair.ikeway.children(), pair.peer_children()
    assert (child.local_ts, child.peer_ts) == ([ours], [peers])
    assert (theirs.remote_ts, theirs.local_ts) == (frozenset({ours}), frozenset({peers}))
    pair.carry()


@pytest.mark.conformance("CF-A08", "CF-A13", "CF-G04")
def test_selectors_without_anything_in_common_cost_the_child_sa_only(tunnel: Tunnel) -> None:
    """RFC 7296 §2.9, §2.21.2: TS_UNACCEPTABLE; the IKE SA is up."""
    pair = tunnel(Case(strongswan={"local_ts": "10.9.0.0/16"}))
    pair.fails()
    pair.ikeway.wait_for_log("no Child SA")
    pair.strongswan.wait_for_log("TS_UNACCEPT")
    pair.no_child_is_left()


def test_only_the_selected_port_goes_through(tunnel: Tunnel) -> None:
    """RFC 4301 §5: what no selector covers is not protected, and may not leave in clear either."""
    pair = tunnel(
        Case(
            ikeway={"local_ts": ["10.1.0.0/16[tcp]"], "peer_ts": [f"10.2.0.0/16[tcp/{PORT}]"]},
            strongswan={
                "local_ts": f"10.2.0.0/16[tcp/{PORT}]",
                "remote_ts": "10.1.0.0/16[tcp]",
            },
        )
    )
    pair.connect()
    ours, peer = pair.link.ours, pair.link.peer
    transfer((ours.namespace, ours.inner[4]), (peer.namespace, peer.inner[4]), port=PORT)
    (before,) = pair.ikeway.children()
    assert before.packets_out > 0
    if pair.is_initiator:
        # RFC 7296 §1.3.1: asked for where there are ports; it does not answer, and the child comes.
        pair.strongswan.wait_for_log("N(NON_FIRST_FRAG)")
    assert ping(ours.namespace, ours.inner[4], peer.inner[4], count=2, wait=0.3) == 0
    assert not _answers(ours.namespace, ours.inner[4], (peer.inner[4], PORT + 1))
    (after,) = pair.ikeway.children()
    assert after.packets_out == before.packets_out
    pair.witness.look()
    assert not pair.witness.leaks


@pytest.mark.parametrize("role", [INITIATOR])
@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_everything_goes_through_strongswan(tunnel: Tunnel, version: int) -> None:
    """A road warrior: a virtual address, and selectors that contain the gateway's own address."""
    pool, everything = _ROAMING[version]
    pair = tunnel(
        Case(
            outside=version,
            inside=(version,),
            ikeway={
                "virtual_ips": [everything.split("/")[0]],
                "local_ts": ["dynamic"],
                "peer_ts": [everything],
            },
            swanctl={
                "connections": {
                    "lab": {
                        "pools": "pool",
                        "children": {"net": {"local_ts": everything, "remote_ts": None}},
                    }
                },
                "pools": {"pool": {"addrs": pool}},
            },
        )
    )
    pair.connect()
    (address,) = pair.ikeway.established()[0].virtual_ips
    pair.carry(ours={version: address})


@pytest.mark.parametrize("role", [RESPONDER])
@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_everything_of_strongswan_goes_through_us(tunnel: Tunnel, version: int) -> None:
    pool, everything = _ROAMING[version]
    pair = tunnel(
        Case(
            outside=version,
            inside=(version,),
            ikeway={"pool": "lab", "peer_ts": ["dynamic"], "local_ts": [everything]},
            ikeway_top={"pools": {"lab": {"ranges": [pool]}}},
            strongswan={
                "vip": everything.split("/")[0],
                "local_ts": "",
                "remote_ts": everything,
                "allow_peer_ts": FLAG,
            },
        )
    )
    pair.connect()
    (address,) = pair.ikeway.established()[0].virtual_ips
    pair.carry(peer={version: address})


def test_the_hosts_themselves_may_be_what_the_tunnel_is_for(tunnel: Tunnel) -> None:
    """`dynamic` at both ends without virtual addresses: the outer addresses (RFC 7296 §2.9)."""
    pair = tunnel(
        Case(
            ikeway={"local_ts": ["dynamic"], "peer_ts": ["10.2.0.0/16"]},
            strongswan={"remote_ts": "10.77.0.1/32", "allow_peer_ts": FLAG},
        )
    )
    pair.connect()
    pair.carry(ours={4: pair.link.ours.outer[4]})


def test_the_tunnel_ends_for_networks_that_are_gone(tunnel: Tunnel) -> None:
    """After the end no route is left that would swallow the network's packets."""
    pair = tunnel(Case(inside=(4, 6)))
    pair.connect()
    assert "10.2.0.0/16" in pair.routes()
    assert "fd02::/64" in pair.routes()
    pair.ikeway.disconnect()
    wait_until(pair.is_down, 4.0, "both ends to be down")
    assert not pair.routes()


def _answers(namespace: Namespace, source: str, target: tuple[str, int]) -> bool:
    """Whether a TCP connection is answered at all, be it by a reset, within a moment."""

    def connect() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.bind((source, 0))
            client.settimeout(0.3)
            try:
                client.connect(target)
            except ConnectionRefusedError:
                return True
            except OSError:
                return False
            return True

    return namespace.inside(connect)

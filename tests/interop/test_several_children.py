# SPDX-License-Identifier: Apache-2.0
"""Several Child SAs on one IKE SA with strongSwan (RFC 7296 §1.3.1, §2.9)."""

from collections.abc import Mapping

import pytest

from support.pair import Case, Pair, Tunnel
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system]

OURS = {"net": "10.1.0.0/24", "other": "10.1.9.0/24"}
PEERS = {"net": "10.2.0.0/24", "other": "10.2.16.0/24"}
HOSTS = {"net": ("10.1.0.1", "10.2.0.1"), "other": ("10.1.9.9", "10.2.16.16")}
NAMES = tuple(OURS)


def several(**more: object) -> Case:
    """Return a case with two children; `more` is for each of ours."""
    ours = {name: {"local_ts": [OURS[name]], "peer_ts": [PEERS[name]], **more} for name in NAMES}
    theirs = {
        name: {"esp_proposals": "aes256gcm16", "local_ts": PEERS[name], "remote_ts": OURS[name]}
        for name in NAMES
    }
    return Case(
        ikeway={"children": ours},
        swanctl={"connections": {"lab": {"children": theirs}}},
    )


def connect(tunnel: Tunnel, case: Case) -> Pair:
    """Set up both children from the side whose turn it is."""
    pair = tunnel(case)
    ours, peers = HOSTS["other"]  # those of the other child are there
    pair.link.ours.namespace.add_address("lo", f"{ours}/32")
    pair.link.peer.namespace.add_address("lo", f"{peers}/32")
    for name in NAMES:
        if pair.is_initiator:
            pair.ikeway.initiate(name)
        else:
            failure = pair.strongswan.initiate(child=name)
            assert failure is None, failure
        wait_until(lambda name=name: name in spis(pair), 6.0, f"the Child SA {name}")
    wait_until(lambda: both_have(pair, *NAMES), 6.0, "both children")
    assert len(pair.ikeway.established()) == len(pair.strongswan.sas()) == 1
    return pair


def spis(pair: Pair) -> Mapping[str, tuple[int, int]]:
    """Return the SPIs of each of our children, in and out."""
    return {c.name: (int(c.spi_in, 16), int(c.spi_out, 16)) for c in pair.ikeway.children()}


def both_have(pair: Pair, *names: str) -> bool:
    """Whether both ends have exactly these children, by the same SPIs."""
    theirs = {child.name: (child.spi_out, child.spi_in) for child in pair.peer_children()}
    ours = pair.ikeway.children()
    return spis(pair) == theirs and len(ours) == len(theirs) and set(theirs) == set(names)


def carries(pair: Pair, name: str) -> None:
    """Check that traffic of this child passes, through it and through no other."""
    before = counts(pair)
    ours, peers = HOSTS[name]
    pair.carry({4: ours}, {4: peers})
    after = counts(pair)
    assert {each for each in after if after[each] != before[each]} == {name}


def counts(pair: Pair) -> dict[str, tuple[int, int]]:
    return {child.name: (child.packets_in, child.packets_out) for child in pair.ikeway.children()}


def test_each_child_carries_its_own_traffic(tunnel: Tunnel) -> None:
    """§1.3.1: further Child SAs by CREATE_CHILD_SA, and each packet in the one it belongs to."""
    pair = connect(tunnel, several())
    for name in NAMES:
        carries(pair, name)


def test_strongswan_rekeys_each(tunnel: Tunnel) -> None:
    """§1.3.3, §2.9.2: the successor is that of its own old SA, and the other one stays."""
    pair = connect(tunnel, several())
    for name in NAMES:
        before = spis(pair)
        pair.strongswan.rekey("child", name)
        wait_until(lambda name=name, old=before: spis(pair).get(name) != old[name], 6.0, "a rekey")
        wait_until(lambda: both_have(pair, *NAMES), 8.0, "the end of the old child")
        assert {each for each in NAMES if spis(pair)[each] != before[each]} == {name}
    for name in NAMES:
        carries(pair, name)


def test_we_rekey_each(tunnel: Tunnel) -> None:
    """§2.8: each has a lifetime of its own; new ones replace the old, at both ends."""
    pair = connect(tunnel, several(lifetimes={"child": "3s"}))
    first = spis(pair)

    def all_are_new() -> bool:
        now = spis(pair)
        return both_have(pair, *NAMES) and all(now[name] != first[name] for name in NAMES)

    wait_until(all_are_new, 15.0, "a rekey of each")
    assert len(pair.ikeway.established()) == 1
    assert not pair.ikeway.said("no Child SA")


def test_a_rekeyed_ike_sa_keeps_both(tunnel: Tunnel) -> None:
    """§2.8: "the new IKE SA inherits all Child SAs" of the old one."""
    pair = connect(tunnel, several())
    before, old = spis(pair), pair.ikeway.established()[0].id
    pair.strongswan.rekey("ike")
    wait_until(lambda: [sa.id for sa in pair.ikeway.established()] not in ([old], []), 6.0, "it")
    wait_until(lambda: both_have(pair, *NAMES), 6.0, "both children on it")
    assert spis(pair) == before
    for name in NAMES:
        carries(pair, name)


@pytest.mark.parametrize("by", ["us", "strongSwan"])
def test_one_that_is_closed_leaves_the_other(tunnel: Tunnel, by: str) -> None:
    """§1.4.1: a Delete names SPIs; what is closed by hand stays closed, as its start is `wait`."""
    pair = connect(tunnel, several())
    if by == "us":
        pair.ikeway.disconnect("net")
    else:
        pair.strongswan.terminate_child("net")
    wait_until(lambda: both_have(pair, "other"), 5.0, "the end of one child")
    carries(pair, "other")
    assert both_have(pair, "other")


def test_each_is_narrowed_by_itself(tunnel: Tunnel) -> None:
    """§2.9: what one side offers too widely is narrowed to what the other has, for each child."""
    case = several()
    children = dict(case.ikeway["children"])  # type: ignore[call-overload]
    wide = {"local_ts": ["10.1.0.0/16"], "peer_ts": ["10.2.0.0/24"]}
    pair = connect(
        tunnel, Case(ikeway={"children": children | {"net": wide}}, swanctl=case.swanctl)
    )
    (net,) = (child for child in pair.ikeway.children() if child.name == "net")
    assert net.local_ts == [OURS["net"]]
    for name in NAMES:
        carries(pair, name)

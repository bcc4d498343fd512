# SPDX-License-Identifier: Apache-2.0
"""RFC 4555 §3.5: pairs of addresses to try, what the routing table prefers first."""

from ipaddress import ip_address

import pytest

from ikeway.ike.questions import FindPaths
from ikeway.model.address import Address, Path
from ikeway.model.errors import HostError
from ikeway.runtime import paths

WIFI, LTE, SIX = map(ip_address, ("10.1.0.2", "10.2.0.2", "2001:db8::2"))
PEER, OTHER, PEER6 = map(ip_address, ("192.0.2.1", "192.0.2.9", "2001:db8:1::1"))


@pytest.fixture
def routes(monkeypatch: pytest.MonkeyPatch) -> dict[Address, Address]:
    """The routing table: from where each peer is reached."""
    known: dict[Address, Address] = {}

    def source(peer: Address) -> Address:
        if peer not in known:
            raise HostError(f"there is no way to {peer}")
        return known[peer]

    monkeypatch.setattr(paths, "source_for", source)
    return known


def test_the_loopback_reaches_itself() -> None:
    """With this host's own routing table, which sends nothing for it."""
    here = ip_address("127.0.0.1")
    assert paths.find(FindPaths((here,)), ()).found == (Path(here, here),)


def test_what_the_routing_table_says_comes_first(routes: dict[Address, Address]) -> None:
    routes |= {PEER: LTE, OTHER: LTE}
    found = paths.find(FindPaths((PEER, OTHER)), (WIFI, LTE)).found
    assert found[:2] == (Path(LTE, PEER), Path(LTE, OTHER))
    assert set(found[2:]) == {Path(WIFI, PEER), Path(WIFI, OTHER)}
    assert len(found) == 4, "none comes twice"


def test_families_are_not_mixed(routes: dict[Address, Address]) -> None:
    routes |= {PEER: WIFI, PEER6: SIX}
    found = paths.find(FindPaths((PEER, PEER6)), (WIFI, SIX, LTE)).found
    assert all(path.local.version == path.peer.version for path in found)
    assert Path(LTE, PEER) in found


def test_a_peer_without_a_way_is_left_out(routes: dict[Address, Address]) -> None:
    routes[OTHER] = WIFI
    assert paths.find(FindPaths((PEER, OTHER)), (WIFI, LTE)).found == (
        Path(WIFI, OTHER),
        Path(LTE, OTHER),
    )
    assert paths.find(FindPaths((PEER,)), (WIFI, LTE)).found == ()


def test_a_peer_with_many_addresses_costs_a_bounded_number(routes: dict[Address, Address]) -> None:
    """I4: the peer chooses how many addresses it names."""
    peers = tuple(ip_address(0xC0000200 + number) for number in range(100))
    routes |= dict.fromkeys(peers, WIFI)
    found = paths.find(FindPaths(peers), (WIFI, LTE)).found
    assert len(found) == paths.PATHS_MOST
    assert found[0] == Path(WIFI, peers[0])

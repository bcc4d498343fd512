# SPDX-License-Identifier: Apache-2.0
"""IPv4 and IPv6 outside and inside, and virtual addresses (RFC 7296 §2.9, §2.19, §3.15)."""

from dataclasses import replace
from typing import Any

import pytest

from support.pair import INITIATOR, RESPONDER, Case, Pair, Tunnel
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system]

FAMILIES = {"IPv4": (4,), "IPv6": (6,), "both": (4, 6)}
RANGES = {4: "10.3.0.0/24", 6: "fd03::/120"}
ANY = {4: "0.0.0.0", 6: "::"}
DNS = {4: "10.2.0.53", 6: "fd02::53"}


@pytest.mark.parametrize("inside", FAMILIES)
@pytest.mark.parametrize("outside", [4, 6], ids=["outside-IPv4", "outside-IPv6"])
def test_any_family_goes_through_any_other(tunnel: Tunnel, outside: int, inside: str) -> None:
    pair = tunnel(Case(outside=outside, inside=FAMILIES[inside]))
    pair.connect()
    assert len(pair.ikeway.children()) == 1
    pair.carry()


@pytest.mark.parametrize("role", [INITIATOR])
@pytest.mark.parametrize("outside", [4, 6], ids=["outside-IPv4", "outside-IPv6"])
@pytest.mark.parametrize("inside", FAMILIES)
def test_strongswan_lends_us_an_address(tunnel: Tunnel, inside: str, outside: int) -> None:
    versions = FAMILIES[inside]
    pools: dict[str, Any] = {
        f"pool{version}": {"addrs": RANGES[version], "dns": DNS[version]} for version in versions
    }
    lab = {"pools": ",".join(pools), "children": {"net": {"remote_ts": None}}}
    pair = tunnel(
        Case(
            outside=outside,
            inside=versions,
            ikeway={"virtual_ips": [ANY[version] for version in versions], "local_ts": ["dynamic"]},
            swanctl={"connections": {"lab": lab}, "pools": pools},
        )
    )
    pair.witness.watch_also(*RANGES.values())
    pair.connect()
    (sa,) = pair.ikeway.established()
    assert len(sa.virtual_ips) == len(versions)
    assert set(sa.virtual_ips) == set(pair.peer_sa().virtual_ips)
    pair.carry(ours=by_version(sa.virtual_ips))
    on_tunnel = pair.link.ours.namespace.ip("-o", "address", "show", "dev", "ikeway0")
    assert all(address in on_tunnel for address in sa.virtual_ips)


@pytest.mark.parametrize("role", [RESPONDER])
@pytest.mark.parametrize("outside", [4, 6], ids=["outside-IPv4", "outside-IPv6"])
@pytest.mark.parametrize("inside", FAMILIES)
def test_we_lend_strongswan_an_address(tunnel: Tunnel, inside: str, outside: int) -> None:
    pair = tunnel(_lending(FAMILIES[inside], outside))
    pair.witness.watch_also(*RANGES.values())
    pair.connect()
    (sa,) = pair.ikeway.established()
    assert len(sa.virtual_ips) == len(FAMILIES[inside])
    assert set(sa.virtual_ips) == set(pair.peer_sa().virtual_ips)
    pair.carry(peer=by_version(sa.virtual_ips))


@pytest.mark.parametrize("role", [RESPONDER])
def test_a_client_that_comes_back_gets_an_address_again(tunnel: Tunnel) -> None:
    """The pool has one address only, so the first lease must have been given back."""
    case = _lending((4,), 4)
    case.ikeway_top["pools"]["lab"]["ranges"] = ["10.3.0.7/32"]
    pair = tunnel(case)
    for _ in range(3):
        pair.connect()
        (sa,) = pair.ikeway.established()
        assert sa.virtual_ips == ["10.3.0.7"]
        pair.strongswan.terminate()
        _wait_down(pair)


@pytest.mark.parametrize("role", [RESPONDER])
@pytest.mark.conformance("CF-J08")
def test_an_empty_pool_costs_the_child_sa_only(tunnel: Tunnel) -> None:
    """RFC 7296 §3.15.4: INTERNAL_ADDRESS_FAILURE."""
    case = _lending((6,), 4)
    case.ikeway_top["pools"]["lab"]["ranges"] = [RANGES[4]]
    pair = tunnel(case)
    assert pair.strongswan.initiate() is not None
    pair.strongswan.wait_for_log("INT_ADDR_FAIL")
    assert not pair.ikeway.children()
    assert not pair.peer_children()


@pytest.mark.parametrize("role", [RESPONDER])
@pytest.mark.conformance("CF-J08")
def test_a_pool_of_one_family_lends_that_one(tunnel: Tunnel) -> None:
    """RFC 7296 §3.15.4: what can be granted is granted, though both were asked for."""
    case = _lending((4, 6), 4)
    case.ikeway_top["pools"]["lab"]["ranges"] = [RANGES[4]]
    pair = tunnel(replace(case, inside=(4,)))
    pair.connect()
    (sa,) = pair.ikeway.established()
    assert sa.virtual_ips == ["10.3.0.1"]
    pair.carry(peer={4: "10.3.0.1"})


def by_version(addresses: list[str]) -> dict[int, str]:
    """Return addresses by IP version."""
    return {6 if ":" in address else 4: address for address in addresses}


def _lending(versions: tuple[int, ...], outside: int) -> Case:
    pool = {
        "ranges": [RANGES[version] for version in versions],
        "dns": ["10.1.0.53", "fd01::53"],
    }
    return Case(
        outside=outside,
        inside=versions,
        ikeway={"pool": "lab", "peer_ts": ["dynamic"]},
        ikeway_top={"pools": {"lab": pool}},
        strongswan={"vip": ",".join(ANY[version] for version in versions), "local_ts": ""},
    )


def _wait_down(pair: Pair) -> None:
    wait_until(pair.is_down, 5.0, "both ends to be down")

# SPDX-License-Identifier: Apache-2.0
"""Through a NAT that changes addresses and ports, and where none is (RFC 7296 §2.23, RFC 3948)."""

import pytest

from support.link import nat
from support.pair import INITIATOR, RESPONDER, Case, Tunnel

pytestmark = [pytest.mark.interop, pytest.mark.system]

FAMILIES = pytest.mark.parametrize("outside", [4, 6], ids=["IPv4", "IPv6"])


@pytest.mark.conformance("CF-J18", "CF-J20")
@FAMILIES
@pytest.mark.parametrize("auth", ["psk", "ecdsa"])
def test_the_initiator_is_behind_a_nat(tunnel: Tunnel, role: str, auth: str, outside: int) -> None:
    """Both ends see where the NAT is, go on on port 4500, and find the way back through it."""
    inside = "ours" if role == INITIATOR else "peer"
    pair = tunnel(Case(auth=auth, outside=outside), nat(inside))
    pair.connect()
    (sa,) = pair.ikeway.established()
    assert (sa.nat.local, sa.nat.peer)[role == RESPONDER]
    if role == RESPONDER:
        assert sa.peer.address == pair.link.seen_as["peer"][outside]
        assert sa.peer.port != 4500
    else:
        assert pair.peer_sa().remote[0] == pair.link.seen_as["ours"][outside]
    pair.carry()
    assert pair.witness.seen["bare esp"] == 0


@pytest.mark.parametrize("outside", [4], ids=["IPv4"])
def test_the_responder_is_behind_a_nat_that_forwards_its_ports(
    tunnel: Tunnel, role: str, outside: int
) -> None:
    inside = "ours" if role == RESPONDER else "peer"
    pair = tunnel(Case(outside=outside), nat(inside, forward=True))
    pair.connect()
    pair.carry()


@FAMILIES
def test_a_client_behind_a_nat_gets_an_address(tunnel: Tunnel, role: str, outside: int) -> None:
    lent = {"ranges": ["10.3.0.0/24"]}
    if role == INITIATOR:
        case = Case(
            outside=outside,
            ikeway={"virtual_ips": ["0.0.0.0"], "local_ts": ["dynamic"]},
            strongswan={"pool": "10.3.0.0/24", "remote_ts": ""},
        )
    else:
        case = Case(
            outside=outside,
            ikeway={"pool": "lab", "peer_ts": ["dynamic"]},
            ikeway_top={"pools": {"lab": lent}},
            strongswan={"vip": "0.0.0.0", "local_ts": ""},
        )
    pair = tunnel(case, nat("ours" if role == INITIATOR else "peer"))
    pair.connect()
    (address,) = pair.ikeway.established()[0].virtual_ips
    if role == INITIATOR:
        pair.carry(ours={4: address})
    else:
        pair.carry(peer={4: address})


@FAMILIES
@pytest.mark.parametrize("encap", ["yes", "no"])
def test_udp_encapsulation_is_forced_from_either_side(
    tunnel: Tunnel, encap: str, outside: int
) -> None:
    """ESP goes in UDP on port 4500 though no NAT is there; nothing goes as bare ESP."""
    pair = tunnel(Case(outside=outside, strongswan={"encap": encap}))
    pair.connect()
    pair.carry()
    assert pair.witness.seen["bare esp"] == 0
    (sa,) = pair.ikeway.established()
    assert (sa.local.port, sa.peer.port) == (4500, 4500)

# SPDX-License-Identifier: Apache-2.0
"""RFC 3948 §5: several clients with the same address, behind NATs of their own or behind one."""

from ipaddress import ip_address

import pytest

from ikeway.ike.reports import ChildFailed
from ikeway.model.address import Address
from ikeway.model.esp import Mode
from ikeway.model.identity import Identity
from ikeway.model.selectors import TrafficSelector
from ikeway.policy.credentials import IdPattern
from support.asking import one_more, want
from support.crossing import rekey_child, rekey_ike
from support.hosts import CLIENT, GATEWAY, GCM, LEFT, POOL, RIGHT, Changes, host, template
from support.ladder import Ladder, Nat

PRIVATE = ip_address("192.168.1.5")
GATEWAY_ADDRESS = ip_address("198.51.100.2")
TUNNEL: Changes = {"local_ts": (template("192.168.1.5/32"),)}
TRANSPORT: Changes = {
    "mode": Mode.TRANSPORT,
    "local_ts": (template("dynamic"),),
    "peer_ts": (template("dynamic"),),
}
EVERYBODY: Changes = {"peer_id": IdPattern("*")}


def gateway(**changes: object) -> Ladder:
    pools = {"staff": POOL} if "pool" in changes else None
    return GCM.psk(right={**EVERYBODY, **changes}, pools=pools)


def client(
    ladder: Ladder, name: str, public: str, offset: int = 20000, **changes: object
) -> Ladder:
    """Return a ladder from one more client, at the same address behind a NAT."""
    identity = Identity.parse(changes.pop("identity", f"{name}.example"))  # type: ignore[arg-type]
    connection = GCM.connection(LEFT, RIGHT, local_id=identity, **changes)
    credentials = ladder.left.endpoint.env.credentials
    nat = Nat(PRIVATE, ip_address(public), offset)
    one = host(name, (connection,), credentials)
    return Ladder(one, ladder.right, (PRIVATE, GATEWAY_ADDRESS), nat)


def targets(ladder: Ladder) -> list[tuple[TrafficSelector, Address]]:
    """Return what the gateway sends where."""
    return [(ts, c.peer.address) for c in ladder.right.installed.values() for ts in c.peer_ts]


@pytest.mark.conformance("CF-V07")
def test_virtual_addresses_keep_clients_of_the_same_address_apart() -> None:
    """§5.1: each gets an address of its own, and nothing of the one goes to the other."""
    ladder = gateway(**GATEWAY)
    for number in range(1, 4):
        client(ladder, f"client{number}", f"203.0.113.{number}", **CLIENT).connect()
    sent = targets(ladder)
    assert len({ts for ts, _ in sent}) == len(sent) == 6
    assert len({where for _, where in sent}) == 3


@pytest.mark.conformance("CF-V07")
def test_a_client_with_the_address_of_another_gets_no_child() -> None:
    """§5.1: "the same local IP address": the gateway could not tell whom a packet is for.

    The attack is the same: a client takes the address of another to get what is for it.
    """
    ladder = gateway(peer_ts=(template("192.168.0.0/16"),))
    first = client(ladder, "client1", "203.0.113.1", **TUNNEL)
    second = client(ladder, "client2", "203.0.113.2", **TUNNEL)
    first.connect()
    second.connect()
    assert targets(ladder) == [(TrafficSelector.of("192.168.1.5/32"), ip_address("203.0.113.1"))]
    assert first.left.installed
    assert not second.left.installed
    assert second.left.established, "only the Child SA is refused"
    assert "N(NO_ADDITIONAL_SAS)" in ladder.right.said[-1]
    failed = ladder.right.seen(ChildFailed)[-1]
    assert isinstance(failed, ChildFailed)
    assert "192.168.1.5 is another peer's: client1.example has it" in failed.reason


@pytest.mark.conformance("CF-V07")
@pytest.mark.parametrize("how", ["the child", "the IKE SA", "by a crash"])
def test_an_address_is_free_once_its_owner_is_gone(how: str) -> None:
    """§5.1: whoever comes first has it, for as long as it is there."""
    ladder = gateway(peer_ts=(template("192.168.0.0/16"),), liveness=20.0)
    first = client(ladder, "client1", "203.0.113.1", **TUNNEL)
    first.connect()
    rekey_child(first, first.left)
    first.settle()
    rekey_ike(first, first.left)
    first.settle()
    rekey_child(first, first.right)
    first.settle()
    (state,) = first.left.established
    if how == "by a crash":
        first.fate = lambda _host, _datagram: []
        first.wait(60)
        assert not ladder.right.established
    else:
        first.disconnect(first.left, state.session.sa)
        first.settle()
    claims = ladder.right.endpoint._claims
    assert (claims._at, claims._claims, claims._pending) == ({}, {}, {})
    second = client(ladder, "client2", "203.0.113.2", **TUNNEL)
    second.connect()
    assert targets(ladder) == [(TrafficSelector.of("192.168.1.5/32"), ip_address("203.0.113.2"))]


def test_who_comes_back_takes_what_it_had() -> None:
    """RFC 7296 §2.4: after a crash the old IKE SA of the same peer may still be there."""
    ladder = gateway(peer_ts=(template("192.168.0.0/16"),))
    client(ladder, "client1", "203.0.113.1", **TUNNEL).connect()
    again = client(ladder, "client1 anew", "203.0.113.1", identity="client1.example", **TUNNEL)
    again.connect()
    assert again.left.installed
    assert len(ladder.right.installed) == 2


def test_a_child_that_the_data_plane_refused_claims_nothing() -> None:
    """What is not there is in nobody's way."""
    ladder = gateway(peer_ts=(template("192.168.0.0/16"),))
    ladder.right.refuse_install = "no room"
    client(ladder, "client1", "203.0.113.1", **TUNNEL).connect()
    ladder.right.refuse_install = None
    second = client(ladder, "client2", "203.0.113.2", **TUNNEL)
    second.connect()
    assert second.left.installed


def test_networks_and_other_connections_are_the_operators_concern() -> None:
    """RFC 4301 §4.4.1: what two connections say of one address stands in the configuration."""
    ladder = gateway(peer_ts=(template("192.168.0.0/16"),))
    own = {"local_ts": (template("192.168.1.0/24"),)}
    client(ladder, "client1", "203.0.113.1", **own).connect()
    client(ladder, "client2", "203.0.113.2", **own).connect()
    assert len(ladder.right.installed) == 2


# Transport mode -----------------------------------------------------------------------------------


def behind_one_nat(**second: object) -> tuple[Ladder, Ladder, Ladder]:
    ladder = gateway(**TRANSPORT)
    one = client(ladder, "client1", "203.0.113.1", 20000, **TRANSPORT)
    two = client(ladder, "client2", "203.0.113.1", 30000, **{**TRANSPORT, **second})
    one.connect()
    return ladder, one, two


@pytest.mark.conformance("CF-V08")
def test_two_behind_one_nat_in_transport_mode_do_not_mix() -> None:
    """§5.2: "the server could send a packet to the wrong client": the second is refused."""
    ladder, one, two = behind_one_nat()
    two.connect()
    assert one.left.installed
    assert not two.left.installed
    (child,) = ladder.right.installed.values()
    assert child.spi_in == one.left.child.spi_out
    assert child.peer_ts == (TrafficSelector.of("203.0.113.1"),)


@pytest.mark.conformance("CF-V08")
def test_two_behind_one_nat_with_traffic_of_their_own_may_both_be_there() -> None:
    """§5.2: selectors that do not overlap tell them apart."""
    ladder = gateway(**TRANSPORT)
    for number, port in ((1, 1701), (2, 1702)):
        own = (template("dynamic", 17, (port, port)),)
        changes = {**TRANSPORT, "local_ts": own}
        client(ladder, f"client{number}", "203.0.113.1", 10000 * number, **changes).connect()
    assert len(ladder.right.installed) == 2
    first, second = (child.peer_ts[0] for child in ladder.right.installed.values())
    assert first.intersect(second) is None


@pytest.mark.conformance("CF-V08")
def test_a_later_child_is_refused_just_as_the_first() -> None:
    """§5.2: by CREATE_CHILD_SA nobody gets what IKE_AUTH would not give."""
    web = (template("dynamic", 6, (443, 443)),)
    ladder, one, two = behind_one_nat(local_ts=web)
    two.connect()
    assert not two.left.installed
    want(two, two.left, one_more(two.left))
    two.settle()
    assert ladder.right.refusals == []
    assert "N(TEMPORARY_FAILURE)" in ladder.right.said[-1]
    one.disconnect(one.left)
    one.settle()
    two.wait(10)
    assert two.left.child.spi_in == ladder.right.child.spi_out, (
        "it is free, and was asked for again"
    )

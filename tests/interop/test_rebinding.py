# SPDX-License-Identifier: Apache-2.0
"""NATs that change under a running tunnel, and moves into one and out of it, with strongSwan."""

import time
from collections.abc import Callable

import pytest

from support.conntrack import forget
from support.link import INSIDE, OUTER, Link, nat
from support.netns import Namespace, connect
from support.pair import INITIATOR, RESPONDER, Case, Pair, Tunnel
from support.steady import Pinger
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system]

Property = Callable[[str, object], None]
Where = tuple[str, bool]
"""An address, and whether it is that of a NAT."""

DIRECT = "direct0"
DIRECT_CLIENT = "10.79.0.2"
BEFORE = 1.0
STALL = 2.0
"""What a change of network may cost (design §8)."""
LIVENESS = 2.0
PROMPT = {"retransmit_timeout": "0.3"}
"""What strongSwan had just asked when a client moved it repeats before it does anything else."""

MOBIKE = pytest.mark.parametrize("mobike", [True, False], ids=["MOBIKE", "without MOBIKE"])


@pytest.mark.conformance("CF-J18", "CF-M11")
@pytest.mark.parametrize("role", [RESPONDER])
@MOBIKE
def test_a_nat_before_strongswan_forgets(
    tunnel: Tunnel, role: str, mobike: bool, record_property: Property
) -> None:
    """The next ESP packet says where strongSwan is now; with MOBIKE it is asked there first."""
    pair = tunnel(Case(ikeway={"peer": "any", "mobike": mobike}), nat("peer"))
    pair.connect()
    before = pair.ikeway.established()[0]
    meanwhile(pair, "peer", lambda: forget(router(pair.link)), STALL, record_property)
    (after,) = pair.ikeway.established()
    assert (after.id, after.peer.address) == (before.id, before.peer.address)
    assert after.peer.port != before.peer.port


@pytest.mark.conformance("CF-J18", "CF-M05")
@pytest.mark.parametrize("role", [INITIATOR])
@MOBIKE
def test_a_nat_before_our_client_forgets(
    tunnel: Tunnel, role: str, mobike: bool, record_property: Property
) -> None:
    """strongSwan follows no ESP: the next check of its life tells both where we are now."""
    case = Case(ikeway={"mobike": mobike, "liveness": f"{LIVENESS:.0f}s"})
    pair = tunnel(case, nat("ours"))
    pair.connect()
    before, port = pair.ikeway.established()[0].id, pair.peer_sa().remote[1]
    meanwhile(pair, "ours", lambda: forget(router(pair.link)), LIVENESS, record_property)
    assert pair.ikeway.established()[0].id == before
    assert pair.peer_sa().remote[1] != port


@pytest.mark.conformance("CF-M04", "CF-M05")
def test_a_move_into_a_nat_and_out_of_it(
    tunnel: Tunnel, role: str, record_property: Property
) -> None:
    """NATs are looked for anew at each move, and both ends agree on where the client is seen."""
    inside = "ours" if role == INITIATOR else "peer"
    if role == INITIATOR:
        case = Case(strongswan=PROMPT)
    else:
        case = Case(ikeway={"peer": "any"}, strongswan={"local": ""})
    pair = tunnel(case, nat(inside))
    client, gateway = ends(pair.link, inside)
    before_nat = (pair.link.seen_as[inside][4], True)
    # With IPv6 behind the router strongSwan takes that way out rather than the new cable.
    client.ip("-6", "address", "flush", "dev", OUTER)
    connect(client, gateway, DIRECT)
    # The gateway goes on answering from the address that the client knows.
    gateway.ip("route", "add", DIRECT_CLIENT, "dev", DIRECT, "src", gateway_of(pair))
    pair.connect()
    before = pair.ikeway.established()[0].id
    assert seen(pair) == before_nat
    moves: tuple[tuple[Where, Callable[[], None]], ...] = (
        ((DIRECT_CLIENT, False), lambda: go_direct(pair, client)),
        (before_nat, lambda: go_behind(pair, client)),
    )
    for where, move in moves:
        meanwhile(pair, inside, move, STALL, record_property)
        wait_until(lambda there=where: seen(pair) == there, 3.0, lambda: str(seen(pair)))
    assert pair.ikeway.established()[0].id == before


def meanwhile(
    pair: Pair, side: str, change: Callable[[], None], most: float, record: Property
) -> None:
    """Let something change while one side pings; it may stand still for so long, and goes on."""
    ends = pair.link.ours, pair.link.peer
    source, target = ends if side == "ours" else ends[::-1]
    pinger = Pinger(source.namespace, source.inner[4], target.inner[4], BEFORE + most)
    time.sleep(BEFORE)
    change()
    sent, lost = pinger.lost()
    said = f"{lost} of {sent} pings lost, none for {pinger.gap():.2f} s"
    record("figures", said)
    print(said)
    assert pinger.gap() < most, said
    again = Pinger(source.namespace, source.inner[4], target.inner[4], 0.5)
    assert again.lost()[1] == 0


def seen(pair: Pair) -> Where:
    """Return where the gateway sees the client, and whether the client is behind a NAT.

    strongSwan with ESP in user space says of itself that it is behind one, always.
    """
    (sa,) = pair.ikeway.established()
    if pair.is_initiator:
        return pair.peer_sa().remote[0], sa.nat.local
    return sa.peer.address, sa.peer.address == pair.link.seen_as["peer"][4] and sa.nat.peer


def ends(link: Link, inside: str) -> tuple[Namespace, Namespace]:
    """Return the client, which is behind the router, and the gateway."""
    ours, peer = link.ours.namespace, link.peer.namespace
    return (ours, peer) if inside == "ours" else (peer, ours)


def go_direct(pair: Pair, client: Namespace) -> None:
    """Unplug the client from its router and give it a cable of its own to the gateway."""
    client.add_address(DIRECT, f"{DIRECT_CLIENT}/32")
    client.ip("route", "add", gateway_of(pair), "dev", DIRECT, "src", DIRECT_CLIENT)
    client.ip("address", "del", f"{INSIDE[4]}/24", "dev", OUTER)


def go_behind(pair: Pair, client: Namespace) -> None:
    """Plug the client into its router again, and only there."""
    client.add_address(OUTER, f"{INSIDE[4]}/24")
    client.ip("route", "add", "default", "via", "10.78.0.1")
    client.ip("address", "del", f"{DIRECT_CLIENT}/32", "dev", DIRECT)


def gateway_of(pair: Pair) -> str:
    """Return the address that the client knows the gateway by."""
    return pair.link.seen_as["peer" if pair.is_initiator else "ours"][4]


def router(link: Link) -> Namespace:
    """Return the host between both ends, which is called after the same process."""
    return Namespace(link.ours.namespace.name.rsplit("-", 1)[0] + "-router")

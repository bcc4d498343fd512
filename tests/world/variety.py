# SPDX-License-Identifier: Apache-2.0
"""What makes the hosts of a world differ besides, drawn from streams of its own: it can grow.

A script in a file names the generation of its layout: what came later does not change it.
"""

from dataclasses import replace
from ipaddress import ip_address
from typing import Final

from ikeway.model.esp import Mode
from ikeway.model.secret import Secret
from ikeway.policy.connection import (
    Childless,
    Connection,
    PeerAddress,
    SelectorTemplate,
    Start,
)
from ikeway.policy.lifetimes import Lifetimes
from world import abilities, layout
from world.layout import Layout, put, sides
from world.prng import Prng

FIRST: Final = 1
LENGTHS: Final = 2
LIVES: Final = 3
ABILITIES: Final = 4
NEWEST: Final = ABILITIES
PROVEN: Final = LIVES
"""What is drawn unless somebody asks for more: hundreds of seeds of it have been run."""

HOUR: Final = 3600.0
LONG: Final = (
    Lifetimes(ike=24 * HOUR, child=8 * HOUR),
    Lifetimes(ike=12 * HOUR, child=12 * HOUR),
    Lifetimes(ike=72 * HOUR, child=24 * HOUR),
)
HOURLY: Final = (Lifetimes(), Lifetimes(ike=HOUR, child=HOUR), LONG[0])
SHORT: Final = (Lifetimes(ike=300.0, child=60.0), Lifetimes(ike=60.0, child=60.0))


def draw(seed: int, generation: int = PROVEN) -> Layout:
    """Return the layout of a seed as its generation has it."""
    drawn = layout.draw(seed)
    if generation >= LENGTHS:
        _vary_lengths(drawn, Prng(seed, "lengths"))
    if generation >= LIVES:
        _vary_lives(drawn, Prng(seed, "lives"))
        _vary_children(drawn, Prng(seed, "children"))
        _vary_places(drawn, Prng(seed, "places"))
    if generation >= ABILITIES:
        abilities.vary(drawn, seed)
    if generation >= LIVES:
        _reconcile(drawn)
    return drawn


def _reconcile(drawn: Layout) -> None:
    """Let all connections of a host that peers may come to from anywhere have the same suites.

    A suite is chosen before the peer says who it is, by the first connection that it may be for; a
    connection that does not allow that suite could never come up (docs/guide/configuration.md).
    """
    for place in drawn.places:
        if all(connection.peer.networks for connection in place.connections):
            continue
        ike = tuple(dict.fromkeys(each for c in place.connections for each in c.ike))
        place.connections[:] = [replace(c, ike=ike) for c in place.connections]


def _vary_lengths(drawn: Layout, prng: Prng) -> None:
    """Draw how long things last: mostly as in the field, so that quiet hours are quiet."""
    liveness = prng.weighted([(1, 30.0), (2, 300.0), (4, 3600.0), (33, 4 * HOUR)])
    lifetimes = prng.weighted([(1, SHORT), (2, HOURLY), (9, LONG)])
    drawn.keepalive = prng.weighted([(1, layout.KEEPALIVE), (9, 1200.0)])
    for place in drawn.places:
        place.connections[:] = [
            replace(
                connection,
                liveness=liveness,
                lifetimes=prng.pick(lifetimes),
                keepalive=drawn.keepalive,
            )
            for connection in place.connections
        ]


def _vary_lives(drawn: Layout, prng: Prng) -> None:
    """Let some worlds reauthenticate, rekey after some packets, or tell when they have crashed."""
    reauth = prng.weighted([(6, 0.0), (1, 2 * HOUR), (1, 10 * HOUR)])
    packets = prng.weighted([(6, 0), (1, 8), (1, 40)])
    for place in drawn.places:
        if prng.chance(0.5):
            place.crash_secrets = (Secret(prng.octets(32)),)
        place.connections[:] = [
            replace(each, lifetimes=replace(each.lifetimes, reauth=reauth, child_packets=packets))
            for each in place.connections
        ]


def _vary_children(drawn: Layout, prng: Prng) -> None:
    """Let some pairs begin without a Child SA, have several, or wrap packets in transport mode."""
    for pair in drawn.pairs:
        left, right = sides(drawn, pair)
        kind = prng.weighted([(6, "one"), (2, "several"), (1, "transport"), (1, "childless")])
        if kind == "childless":
            begins = prng.pick((Childless.PREFER, Childless.FORCE))
            if right.start is Start.NOW:  # one that is forced takes no other beginning
                right = replace(right, childless=begins)
            put(drawn, pair, replace(left, childless=begins), right)
        elif kind == "several" and right.pool is None:
            put(drawn, pair, _several(left), _several(right))
        elif kind == "transport" and right.pool is None:
            put(drawn, pair, _transport(left), _transport(right))


def _several(connection: Connection) -> Connection:
    """Return a connection with one Child SA for all, and two for a part of the traffic each."""
    (whole,) = connection.child_policies
    parts = tuple(
        replace(
            whole,
            name=name,
            local_ts=tuple(replace(each, protocol=protocol) for each in whole.local_ts),
            peer_ts=tuple(replace(each, protocol=protocol) for each in whole.peer_ts),
        )
        for name, protocol in (("all", 0), ("tcp", 6), ("udp", 17))
    )
    return replace(connection, children=parts)


def _transport(connection: Connection) -> Connection:
    dynamic = (SelectorTemplate(None),)
    return replace(connection, mode=Mode.TRANSPORT, local_ts=dynamic, peer_ts=dynamic)


def _vary_places(drawn: Layout, prng: Prng) -> None:
    """Give hosts addresses that they may move to; those of transport mode stay where they are."""
    fixed = {Mode.TRANSPORT}
    for number, place in enumerate(drawn.places):
        place.tells_addresses = True
        if any(
            policy.mode in fixed for each in place.connections for policy in each.child_policies
        ):
            continue
        public = ip_address(f"198.18.0.{1 + number}")
        within = () if place.nat is None else (ip_address(f"172.16.{place.nat}.{100 + number}"),)
        if place.addresses[0].version == 4 and prng.chance(0.7):
            place.others = (*within, public)
    for pair in drawn.pairs:
        left, right = sides(drawn, pair)
        if drawn.places[pair.left].others and right.start is not Start.NOW:
            right = replace(right, peer=PeerAddress.parse("any"))
        put(drawn, pair, left, replace(right, local_address=None))
    for pair in drawn.pairs:
        if sides(drawn, pair)[1].start is Start.NOW:
            drawn.places[pair.left].others = ()

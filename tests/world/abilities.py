# SPDX-License-Identifier: Apache-2.0
"""What hosts can do besides: several key exchanges, limits by octets, tickets, redirects."""

from dataclasses import replace
from typing import Final

from ikeway.policy.connection import Connection, Redirects
from ikeway.policy.credentials import IdPattern
from ikeway.policy.proposals import ProposalSpec, parse_esp, parse_ike
from world.layout import Layout, Place, Tickets, put, sides
from world.prng import Prng

HYBRID: Final = tuple(
    parse_ike(text)
    for text in (
        "aes256gcm16-prfsha384-x25519-ke1_mlkem768",
        "aes128gcm16-prfsha256-x25519-ke1_ecp256-ke2_ecp384",
        "aes256-sha256-x25519-ke1_mlkem768-ke2_ecp256",
    )
)
PFS: Final = tuple(
    parse_esp(text)
    for text in (
        "aes128gcm16-x25519",
        "aes128gcm16-x25519-ke1_ecp256",
        "aes256gcm16-x25519-ke1_mlkem768-ke2_ecp256",
    )
)
MEBIBYTE: Final = 1 << 20


def vary(drawn: Layout, seed: int) -> None:
    """Draw what the hosts of a layout can do besides."""
    _vary_keys(drawn, Prng(seed, "keys"))
    _vary_octets(drawn, Prng(seed, "octets"))
    _vary_tickets(drawn, Prng(seed, "tickets"))
    _vary_redirects(drawn, Prng(seed, "redirects"))


# Several key exchanges (RFC 9370) -----------------------------------------------------------------


def _vary_keys(drawn: Layout, prng: Prng) -> None:
    """Let some pairs have hybrid IKE SAs, or key exchanges of their own for their Child SAs."""
    size = prng.pick((576, 576, 1280, 0))
    for pair in drawn.pairs:
        left, right = (replace(each, fragment_size=size) for each in sides(drawn, pair))
        if prng.chance(0.5):
            suite = prng.pick(HYBRID)
            left, right = replace(left, ike=(suite,)), replace(right, ike=_all(right, suite))
        if prng.chance(0.5):
            suite = prng.pick(PFS)
            left, right = _with_esp(left, (suite,)), _with_esp(right, _more(right, suite))
        put(drawn, pair, left, right)


def _all(right: Connection, suite: ProposalSpec) -> tuple[ProposalSpec, ...]:
    """Return the proposals of a responder, which may have many peers."""
    return tuple(dict.fromkeys((*right.ike, suite))) if right.pool else (suite,)


def _more(right: Connection, suite: ProposalSpec) -> tuple[ProposalSpec, ...]:
    return tuple(dict.fromkeys((*right.esp, suite))) if right.pool else (suite,)


def _with_esp(connection: Connection, esp: tuple[ProposalSpec, ...]) -> Connection:
    children = tuple(replace(child, esp=esp) for child in connection.children)
    return replace(connection, esp=esp, children=children)


# Limits by octets ---------------------------------------------------------------------------------


def _vary_octets(drawn: Layout, prng: Prng) -> None:
    """Let a packet stand for a burst in some worlds: Child SAs are rekeyed by octets, and some
    reach the end of what they may carry, 256 MiB behind a quarter more."""
    most = prng.weighted([(5, 0), (1, 200 * MEBIBYTE), (1, 1000 * MEBIBYTE)])
    if not most:
        return
    drawn.packet_octets = 40 * MEBIBYTE
    for place in drawn.places:
        place.connections[:] = [
            replace(each, lifetimes=replace(each.lifetimes, child_octets=most))
            for each in place.connections
        ]


# Tickets (RFC 5723) -------------------------------------------------------------------------------


def _vary_tickets(drawn: Layout, prng: Prng) -> None:
    """Let clients come back with tickets, to gateways that keep their secrets or lose them."""
    if not prng.chance(0.5):
        return
    for place in drawn.places:
        place.tickets = prng.pick((Tickets.KEPT, Tickets.KEPT, Tickets.LOST))
        lifetime = prng.pick((600.0, 4 * 3600.0, 24 * 3600.0))
        place.connections[:] = [
            replace(each, resumption=True, ticket_lifetime=lifetime) for each in place.connections
        ]


# Redirects (RFC 5685) -----------------------------------------------------------------------------


def _vary_redirects(drawn: Layout, prng: Prng) -> None:
    """Let one of two gateways send its clients to the other."""
    gateways = [place for place in drawn.places if place.pools]
    clients = [pair for pair in drawn.pairs if sides(drawn, pair)[1].pool]
    if len(gateways) != 2 or not clients or not prng.chance(0.5):
        return
    first, second = gateways if prng.chance(0.5) else gateways[::-1]
    _welcome(gateways, [sides(drawn, pair)[0] for pair in clients])
    target = second.addresses[0]
    first.connections[:] = [
        replace(each, redirect_to=target) if each.pool else each for each in first.connections
    ]
    for pair in clients:
        left, right = sides(drawn, pair)
        left = replace(left, redirect=Redirects.ALLOW, peer_id=IdPattern("gateway*.example"))
        put(drawn, pair, left, right)


def _welcome(gateways: list[Place], clients: list[Connection]) -> None:
    """Give both gateways the connection of clients, with what is behind either and all suites."""
    known = [each for place in gateways for each in place.connections if each.pool]
    guests = replace(
        known[0],
        ike=tuple(dict.fromkeys(suite for each in known for suite in each.ike)),
        esp=tuple(dict.fromkeys(suite for each in known for suite in each.esp)),
        local_ts=tuple(dict.fromkeys(net for each in clients for net in each.peer_ts)),
    )
    for place in gateways:
        own = next((each for each in place.connections if each.pool), known[0])
        made = replace(guests, local_id=place.identity, local_address=own.local_address)
        place.connections[:] = [each for each in place.connections if not each.pool]
        place.connections.append(made)

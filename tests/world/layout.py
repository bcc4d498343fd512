# SPDX-License-Identifier: Apache-2.0
"""Which hosts a world has and how they are to be connected: drawn from its seed."""

from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Final

from ikeway.ike.children import hard_limit
from ikeway.model.address import Address
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.connection import (
    Connection,
    Encapsulate,
    PeerAddress,
    Proof,
    Role,
    SelectorTemplate,
    Start,
)
from ikeway.policy.credentials import Credentials, IdPattern, PreSharedKey
from ikeway.policy.lifetimes import Lifetimes, Retransmission
from ikeway.policy.limits import Limits
from ikeway.policy.pools import Pool
from ikeway.policy.proposals import ProposalSpec, parse_esp, parse_ike
from world.identities import authority, certificate
from world.prng import Prng

PSK: Final = Secret(b"the key that this whole world shares")
SUITES: Final = (
    "aes128gcm16-prfsha256-x25519",
    "aes256gcm16-prfsha384-x25519",
    "aes256-sha256-x25519",
    "chacha20poly1305-prfsha256-x25519",
)
ESP: Final = ("aes128gcm16", "aes256-sha256", "chacha20poly1305")
RETRY: Final = "aes128gcm16-prfsha256-ecp256-x25519"
"""Offered first with a group that the responder does not have: INVALID_KE_PAYLOAD."""

KEEPALIVE: Final = 20.0
KEPT_ALIVE: Final = 0.2
"""Where NATs are sent a keepalive every 20 s, day and night, pauses are shorter too."""
LONG: Final = (Lifetimes(), Lifetimes(ike=3600.0, child=3600.0), Lifetimes(ike=86400.0))
SHORT: Final = (Lifetimes(ike=300.0, child=60.0), Lifetimes(ike=60.0, child=60.0))
UNHURRIED: Final = 2 * 3600.0
"""Worlds with a shorter liveness check or shorter lives have pauses shorter in proportion."""

POOL: Final = "roamers"


class Tickets(Enum):
    """Whether a host gives tickets, and whether their secrets outlive it, as with workers."""

    NONE = 0
    KEPT = 1
    LOST = 2


@dataclass
class Place:
    """A host before it is switched on.

    `nat` is the number of the NAT that it is behind, `others` are addresses that it may move to.
    """

    name: str
    addresses: tuple[Address, ...]
    nat: int | None = None
    others: tuple[Address, ...] = ()
    tells_addresses: bool = False
    crash_secrets: tuple[Secret, ...] = ()
    connections: list[Connection] = field(default_factory=list)
    pools: dict[str, Pool] = field(default_factory=dict)
    certified: bool = False
    limits: Limits = field(default=Limits())
    tickets: Tickets = Tickets.NONE

    @property
    def identity(self) -> Identity:
        """Who the host proves to be."""
        return Identity.parse(self.name)

    @property
    def credentials(self) -> Credentials:
        """What proves who the host is."""
        secrets = (PreSharedKey(IdPattern("*"), PSK),)
        if not self.certified:
            return Credentials(secrets=secrets)
        return Credentials((certificate(self.name),), (authority(),), secrets)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two hosts that a connection joins: numbers, and the connection's name at each."""

    left: int
    right: int
    left_name: str
    right_name: str


@dataclass
class Layout:
    """All places, what joins them, and the public address of each NAT.

    `packet_octets` is how much a packet of the model of traffic stands for.
    """

    places: list[Place] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    nats: list[Address] = field(default_factory=list)
    keepalive: float = KEEPALIVE
    packet_octets: int = 100

    @property
    def pace(self) -> float:
        """How long pauses are here: what asks every 30 s or is rekeyed each minute has no hours."""
        lengths = [
            min(connection.liveness, connection.lifetimes.child)
            for place in self.places
            for connection in place.connections
        ]
        slowest = KEPT_ALIVE if self.nats and self.keepalive <= KEEPALIVE else 1.0
        return min(slowest, min(lengths) / UNHURRIED)

    @property
    def silence(self) -> float:
        """How long until a dead SA without a Child SA to rekey is noticed everywhere."""
        return max(
            2 * connection.liveness + connection.retransmission.give_up + 60.0
            for place in self.places
            for connection in place.connections
        )

    @property
    def patience(self) -> float:
        """How long until a dead SA is noticed everywhere: when it is asked, or rekeyed."""
        return max(
            min(2 * connection.liveness, hard_limit(connection.lifetimes.child))
            + connection.retransmission.give_up
            for place in self.places
            for connection in place.connections
        )


def draw(seed: int) -> Layout:
    """Return what the layout of a seed has at least, see `variety` for the rest.

    Gateways, sites that join networks, roamers behind NATs.
    """
    prng = Prng(seed, "layout")
    layout = Layout()
    liveness = prng.weighted([(1, 30.0), (2, 300.0), (22, 3600.0), (15, 14400.0)])
    start = prng.weighted([(9, Start.NOW), (1, Start.WAIT)])
    lifetimes = prng.weighted([(1, SHORT), (5, LONG)])
    window = Prng(seed, "window").pick((1, 1, 4))
    fragment_size = Prng(seed, "fragments").pick((0, 576, 576, 1280))
    habits = Habits(liveness, start, lifetimes, window, fragment_size)
    for number in range(1 + prng.below(2)):
        layout.places.append(_gateway(number, prng))
    for number in range(1 + prng.below(2)):
        _add_site(layout, number, habits, prng)
    for number in range(prng.below(4)):
        _add_roamer(layout, number, habits, prng)
    return layout


@dataclass(frozen=True, slots=True)
class Habits:
    """What the connections of a world have in common."""

    liveness: float
    start: Start
    lifetimes: tuple[Lifetimes, ...]
    window: int
    fragment_size: int


def _gateway(number: int, prng: Prng) -> Place:
    pool = Pool(POOL, (ip_network(f"10.{100 + number}.0.0/28"),))
    both = ip_address(f"192.0.2.{1 + number}"), ip_address(f"2001:db8::{1 + number}")
    return Place(
        f"gateway{number}.example",
        both,
        pools={POOL: pool},
        limits=_limits(prng),
    )


def _limits(prng: Prng) -> Limits:
    """Draw how soon a gateway asks strangers for cookies and puzzles; small ones, to be quick."""
    most = prng.pick((8, 64, 10_000))
    cookies = prng.pick((0, 2, 128))
    puzzles = prng.pick((0, 4, 2048))
    return replace(
        Limits(),
        half_open=most,
        cookies_from=cookies,
        puzzles_from=max(cookies, puzzles),
        puzzle_bits=4,
    )


def _add_site(layout: Layout, number: int, habits: Habits, prng: Prng) -> None:
    """Join a site to a gateway; either may start, or both at the same moment."""
    gateways = [place for place in layout.places if place.pools]
    chosen = prng.below(len(gateways))
    gateway = layout.places[chosen]
    version = prng.weighted([(4, 4), (1, 6)])
    text = f"198.51.100.{1 + number}" if version == 4 else f"2001:db8:1::{1 + number}"
    site = Place(f"site{number}.example", (ip_address(text),))
    home = next(address for address in gateway.addresses if address.version == version)
    certified = prng.chance(0.1)
    left = _connection(site, gateway.name, habits, prng, certified=certified)
    right = replace(left, name=f"to-{site.name}", local_id=Identity.parse(gateway.name))
    right = replace(right, peer_id=IdPattern(site.name), ike=left.ike[-1:])
    nets = f"10.{20 + number}.0.0/16", f"10.{10 + chosen}.0.0/16"
    left = replace(left, local_ts=(_net(nets[0]),), peer_ts=(_net(nets[1]),))
    right = replace(right, local_ts=(_net(nets[1]),), peer_ts=(_net(nets[0]),))
    passive = Start.NOW if prng.chance(0.3) else Start.WAIT
    right = replace(right, peer=PeerAddress.parse(text), start=passive, local_address=home)
    left = replace(left, peer=PeerAddress.parse(str(home)))
    _join(layout, site, chosen, (left, right), certified=certified)


def _add_roamer(layout: Layout, number: int, habits: Habits, prng: Prng) -> None:
    """Add a client that asks for an address, behind a NAT of its own or of several."""
    gateways = [place for place in layout.places if place.pools]
    chosen = prng.below(len(gateways))
    gateway = layout.places[chosen]
    if not layout.nats or prng.chance(0.5):
        layout.nats.append(ip_address(f"203.0.113.{1 + len(layout.nats)}"))
    nat = len(layout.nats) - 1
    roamer = Place(f"roamer{number}.example", (ip_address(f"172.16.{nat}.{10 + number}"),), nat)
    left = _connection(roamer, gateway.name, habits, prng, certified=False)
    left = replace(
        left,
        role=Role.INITIATOR,
        peer=PeerAddress.parse(str(gateway.addresses[0])),
        virtual_ips=(ip_address("0.0.0.0"),),
        peer_ts=(_net(f"10.{10 + chosen}.0.0/16"),),
        local_ts=(SelectorTemplate(None),),
        initial_contact=prng.chance(0.5),
    )
    known = [c for c in gateway.connections if c.name == "roam"]
    right = replace(
        left,
        name="roam",
        local_id=Identity.parse(gateway.name),
        peer_id=IdPattern("roamer*.example"),
        role=Role.RESPONDER,
        peer=PeerAddress.parse("any"),
        virtual_ips=(),
        pool=POOL,
        local_ts=left.peer_ts,
        peer_ts=left.local_ts,
        ike=tuple(parse_ike(text) for text in SUITES),
        esp=tuple(parse_esp(text) for text in ESP),
        start=Start.WAIT,
        initial_contact=False,
    )
    _join(layout, roamer, chosen, (left, known[0] if known else right), certified=False)


def _connection(
    place: Place, peer: str, habits: Habits, prng: Prng, *, certified: bool
) -> Connection:
    proof = Proof.CERTIFICATE if certified else Proof.PSK
    waits = Retransmission(give_up=prng.pick((30.0, 60.0)), longest=prng.pick((4.0, 8.0)))
    return Connection(
        name=f"to-{peer}",
        local_id=Identity.parse(place.name),
        local_auth=proof,
        peer_auth=(proof,),
        peer_id=IdPattern(peer),
        ike=_ike(prng),
        esp=(parse_esp(prng.pick(ESP)),),
        start=habits.start,
        encapsulate=prng.pick((Encapsulate.ALWAYS, Encapsulate.NAT)),
        lifetimes=prng.pick(habits.lifetimes),
        retransmission=waits,
        liveness=habits.liveness,
        window=habits.window,
        fragment_size=habits.fragment_size,
        initial_contact=prng.chance(0.2),
    )


def _ike(prng: Prng) -> tuple[ProposalSpec, ...]:
    suite = _suite(prng.pick(SUITES))
    return (_suite(RETRY), suite) if prng.chance(0.15) else (suite,)


@cache
def _suite(text: str) -> ProposalSpec:
    return parse_ike(text)


@cache
def _net(text: str) -> SelectorTemplate:
    return SelectorTemplate(ip_network(text))


def _join(
    layout: Layout,
    place: Place,
    gateway: int,
    both: tuple[Connection, Connection],
    *,
    certified: bool,
) -> None:
    left, right = both
    place.connections.append(left)
    there = layout.places[gateway]
    if right not in there.connections:
        there.connections.append(right)
    place.certified = certified
    there.certified = certified or there.certified
    layout.places.append(place)
    layout.pairs.append(Pair(len(layout.places) - 1, gateway, left.name, right.name))


def sides(drawn: Layout, pair: Pair) -> tuple[Connection, Connection]:
    """Return the two connections of a pair, as each of its hosts has it."""
    there, here = drawn.places[pair.left].connections, drawn.places[pair.right].connections
    left = next(each for each in there if each.name == pair.left_name)
    return left, next(each for each in here if each.name == pair.right_name)


def put(drawn: Layout, pair: Pair, left: Connection, right: Connection) -> None:
    """Give the two hosts of a pair other connections of the same names."""
    for place, made in ((drawn.places[pair.left], left), (drawn.places[pair.right], right)):
        place.connections[:] = [
            made if each.name == made.name else each for each in place.connections
        ]

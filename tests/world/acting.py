# SPDX-License-Identifier: Apache-2.0
"""What each action does to a world: one arm each."""

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, assert_never

from ikeway.ike import io
from ikeway.ike.children import Wish
from ikeway.ike.states import Established
from world.actions import (
    Act,
    Calm,
    Connect,
    Cut,
    Disconnect,
    Forge,
    Idle,
    Liveness,
    Move,
    Order,
    Race,
    Rebind,
    Restart,
    Sleep,
    Storm,
    Strike,
    Traffic,
)
from world.host import Host
from world.network import Weather

if TYPE_CHECKING:
    from world.simulation import World


def act(world: "World", action: Act) -> None:
    """Let one thing happen."""
    match action:
        case Idle(seconds):
            world.run(seconds)
        case Traffic(pair, packets, gap):
            world.probes.order(_pair(world, pair), packets, gap)
        case Forge(host, kind, count):
            for _ in range(count):
                world.forger.attack(_host(world, host), kind)
        case Order() | Liveness():
            _order(world, action)
        case _:
            world.disturb()
            _disturb(world, action)


def _disturb(
    world: "World",
    action: Connect
    | Disconnect
    | Storm
    | Calm
    | Cut
    | Restart
    | Sleep
    | Rebind
    | Move
    | Race
    | Strike,
) -> None:
    match action:
        case Connect(pair, from_left):
            _connect(world, pair, from_left=from_left)
        case Disconnect(host, which):
            _command(_host(world, host), which, io.Disconnect("told to"))
        case Race(host, kind, count):
            world.forger.races[_host(world, host).number] = kind, count
        case Move(host, to, seconds):
            _move(_host(world, host), to, seconds)
        case Strike(host):
            _host(world, host).faults.add(action.fault)
        case _:
            _disturb_network(world, action)


def _move(host: Host, to: int, seconds: float) -> None:
    known = (*host.place.others, host.place.addresses[0])
    host.move(known[to % len(known) if to >= 0 else -1])
    host.world.at(host.world.now + seconds, _come_home, host)


def _come_home(host: Host) -> None:
    host.move(host.place.addresses[0])


def _disturb_network(world: "World", action: Storm | Calm | Cut | Restart | Sleep | Rebind) -> None:
    match action:
        case Storm(loss, duplication, jitter, delay, seconds):
            world.network.weather = Weather(loss, duplication, jitter, delay)
            world.network.storm_until = world.now + seconds
        case Calm():
            world.network.heal()
        case Cut(host, seconds):
            world.network.cuts[_host(world, host).place.name] = world.now + seconds
        case Restart(host, down):
            if _host(world, host).is_up:
                _host(world, host).crash(down)
        case Sleep(host, seconds):
            _host(world, host).asleep_until = world.now + seconds
        case Rebind(nat):
            if world.network.nats:
                world.network.nats[nat % len(world.network.nats)].rebind()
        case _:
            assert_never(action)


def _host(world: "World", number: int) -> Host:
    return world.hosts[number % len(world.hosts)]


def _pair(world: "World", number: int) -> int:
    return number % len(world.layout.pairs)


def _connect(world: "World", number: int, *, from_left: bool) -> None:
    pair = world.layout.pairs[_pair(world, number)]
    host, name = (pair.left, pair.left_name) if from_left else (pair.right, pair.right_name)
    connection = next(c for c in world.hosts[host].place.connections if c.name == name)
    if connection.may_initiate:
        world.hosts[host].starter.connect(connection)


def _order(world: "World", action: Order | Liveness) -> None:
    host = _host(world, action.host)
    if isinstance(action, Liveness):
        _command(host, action.which, io.CheckLiveness())
        return
    sa = _sa(host, action.which)
    if sa is None:
        return
    spis = sa.session.link.spi_i, sa.session.link.spi_r
    if action.command == "CloseChild":
        _dismiss(world, spis)
    _give(host, spis, action)
    if action.after >= 0:
        for other in world.hosts:
            if other is not host:
                other.at(action.after, _give, other, spis, action)


def _dismiss(world: "World", spis: tuple[bytes, bytes]) -> None:
    """Note that a Child SA goes because somebody wishes so: the IKE SA counts as up without one."""
    for host in world.hosts:
        for sa in host.endpoint.sas:
            state = sa.state
            if isinstance(state, Established) and _spis(state) == spis:
                world.dismissed[host.number, sa.spi] = state.connection.name, state.peer_id


def _give(host: Host, spis: tuple[bytes, bytes], action: Order) -> None:
    """Give a command to the IKE SA with these SPIs, if the host has it."""
    for sa in host.endpoint.sas:
        if isinstance(sa.state, Established) and _spis(sa.state) == spis:
            command = _build(action, sa.state)
            if command is not None:
                host.command(sa.spi, command)


def _spis(state: Established) -> tuple[bytes, bytes]:
    return state.session.link.spi_i, state.session.link.spi_r


def _sa(host: Host, which: int) -> Established | None:
    found = [sa.state for sa in host.endpoint.sas if isinstance(sa.state, Established)]
    return found[which % len(found)] if found else None


def _command(host: Host, which: int, command: io.Command) -> None:
    sas = host.endpoint.sas
    if sas:
        host.command(sas[which % len(sas)].spi, command)


def _build(action: Order, state: Established) -> Any:
    """Return a command that this core has, with its fields filled by what they are called."""
    link, children = state.session.link, state.children
    known: dict[str, object] = {
        "reason": "told to",
        "local": link.local,
        "peer": link.peer,
        "connection": state.connection,
    }
    policies = state.connection.child_policies
    known["wish"] = Wish(policies[max(0, action.child) % len(policies)].name)
    if children and action.child >= 0:
        child = children[action.child % len(children)]
        known |= {"spi_in": child.sa.spi_in, "child": child}
    kind = getattr(io, action.command)
    given: dict[str, object] = {}
    for field in fields(kind):
        if field.name in known:
            given[field.name] = known[field.name]
        elif field.default is MISSING and field.default_factory is MISSING:
            return None
    return kind(**given)

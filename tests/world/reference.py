# SPDX-License-Identifier: Apache-2.0
"""The reference model: what must hold always, once all is quiet, and when all is over (design §8).

While things happen: the data plane has nothing that the IKE side does not know. After a time of
quiet: both sides know the same IKE SAs and the same Child SAs, each other's mirror image, and what
is to be up is up. At the end, when everything was told to go: nothing is left.
"""

from collections import defaultdict
from dataclasses import fields
from typing import TYPE_CHECKING, Final

from ikeway.ike import io
from ikeway.ike.children import Child
from ikeway.ike.states import ChildOutcome, Established, InstallingFirst, Lingering
from ikeway.ike.tasks import Answering, Asked
from ikeway.model.esp import ChildSa
from world.host import Host
from world.seals import Broken

if TYPE_CHECKING:
    from world.simulation import World

Known = tuple[Host, Established]

GIVE_UP: Final = 300.0
"""Seconds for what is under way: half-open SAs, back-offs, last answers."""


def check_always(world: "World") -> None:
    """Check what holds at every moment.

    Raises:
        Broken: it does not.
    """
    for host in world.hosts:
        if host.working or not host.is_up:
            continue
        stray = host.plane.children.keys() - host.fading - _of_established(host)
        if stray:  # it may be known elsewhere: look into everything, which takes longer
            stray -= {spi for sa in host.endpoint.sas for spi in _spis(sa.state)}
        if stray:
            what = f"its data plane has a Child SA that IKE does not know: {min(stray):08x}"
            raise Broken("I3", f"{host.place.name}: {what}")


def _of_established(host: Host) -> set[int]:
    """Return the inbound SPIs of the Child SAs of IKE SAs that are up."""
    states = [sa.state for sa in host.endpoint.sas if isinstance(sa.state, Established)]
    return {child.sa.spi_in for state in states for child in state.children}


def _spis(state: object) -> set[int]:
    """Return the inbound SPIs of all Child SAs that stand anywhere in a state."""
    if isinstance(state, ChildSa):
        return {state.spi_in}
    if isinstance(state, tuple):
        return {spi for part in state for spi in _spis(part)}
    if isinstance(state, Established | InstallingFirst | ChildOutcome | Child | Answering | Asked):
        return {spi for field in fields(state) for spi in _spis(getattr(state, field.name))}
    return set()


def check_end(world: "World") -> None:
    """Heal everything, wait, and check; then end everything, wait, and check.

    Raises:
        Broken: something does not come back, or something is left.
    """
    _heal(world)
    world.run(3 * world.layout.patience + GIVE_UP)
    complaints = _complaints(world)
    # Somebody may just be asking, or not rekey anything and so ask late.
    for wait in (1.0, 5.0, 30.0, world.layout.silence, 1.0, 5.0):
        if complaints:
            world.run(wait)
            complaints = _complaints(world)
    if complaints:
        raise Broken("agreement", "; ".join(complaints[:3]))
    _check_traffic(world)
    _end(world)
    for host in world.hosts:
        _check_nothing_left(host)


def _heal(world: "World") -> None:
    world.disturb()
    world.network.heal()
    world.forger.races.clear()
    for host in world.hosts:
        host.faults.clear()
        host.asleep_until = min(host.asleep_until, world.now)
        host.move(host.place.addresses[0])


# Agreement ----------------------------------------------------------------------------------------


def _complaints(world: "World") -> list[str]:
    """Return where the two sides of an SA differ, and what should be up and is not."""
    found: list[str] = []
    pairs: dict[tuple[bytes, bytes], list[Known]] = defaultdict(list)
    for host in world.hosts:
        for sa in host.endpoint.sas:
            if isinstance(sa.state, Established):
                link = sa.state.session.link
                pairs[link.spi_i, link.spi_r].append((host, sa.state))
            elif not isinstance(sa.state, Lingering):
                found.append(f"{host.place.name} still has an SA in {type(sa.state).__name__}")
        found += _unlike_plane(host)
        found += _down(world, host)
    for spis, sides in pairs.items():
        found += _unlike(spis, sides)
    return found


def _unlike(spis: tuple[bytes, bytes], sides: list[Known]) -> list[str]:
    name = f"IKE SA {spis[0].hex()}"
    if len(sides) != 2:
        only = ", ".join(host.place.name for host, _ in sides)
        return [f"{name} is known to {only} alone"]
    (left, one), (right, two) = sides
    found: list[str] = []
    if one.session.link.is_initiator == two.session.link.is_initiator:
        found.append(f"{name}: both sides have the same role")
    if (one.local_id, one.peer_id) != (two.peer_id, two.local_id):
        found.append(f"{name}: the identities differ")
    ours = {_seen(child.sa) for child in one.children}
    theirs = {_mirrored(child.sa) for child in two.children}
    if ours != theirs:
        found.append(f"{name}: {left.place.name} and {right.place.name} have other Child SAs")
    return found


def _seen(child: ChildSa) -> tuple[object, ...]:
    keys = child.keys_in, child.keys_out
    spis = child.spi_in, child.spi_out
    return (*spis, *keys, child.local_ts, child.peer_ts, child.suite, child.encapsulation)


def _mirrored(child: ChildSa) -> tuple[object, ...]:
    keys = child.keys_out, child.keys_in
    spis = child.spi_out, child.spi_in
    return (*spis, *keys, child.peer_ts, child.local_ts, child.suite, child.encapsulation)


def _unlike_plane(host: Host) -> list[str]:
    children: list[Child] = []
    for sa in host.endpoint.sas:
        if isinstance(sa.state, Established):
            children += sa.state.children
    known = {child.sa.spi_in for child in children}
    if known == host.plane.children.keys():
        return []
    return [f"{host.place.name}: IKE and data plane have other Child SAs"]


def _down(world: "World", host: Host) -> list[str]:
    """Return what is to be up and is not: an IKE SA without a Child SA, unless that was wished."""
    up = {
        sa.state.connection.name
        for sa in host.endpoint.sas
        if isinstance(sa.state, Established)
        and (sa.state.children or (host.number, sa.spi) in world.dismissed)
    }
    return [
        f"{host.place.name}: {name} is not up" for name in host.starter.wanted if name not in up
    ]


def _check_traffic(world: "World") -> None:
    """Every pair with a Child SA can talk, both ways."""
    world.disturbed = -1e9
    probes = world.probes
    for pair in range(len(world.layout.pairs)):
        for from_left in (True, False):
            before = probes.taken
            was_sent = probes.send(pair, from_left=from_left)
            world.run(1.0)
            if was_sent and probes.taken == before:
                raise Broken("traffic", f"pair {pair} is up, but no packet gets through")


# The end ------------------------------------------------------------------------------------------


def _end(world: "World") -> None:
    for host in world.hosts:
        host.starter.end()
        for sa in host.endpoint.sas:
            host.command(sa.spi, io.Disconnect("all is over"))
    world.run(GIVE_UP)


def _check_nothing_left(host: Host) -> None:
    half_open = host.endpoint._half_open
    left = {
        "IKE SAs": len(host.endpoint.sas),
        "half-open IKE SAs": len(half_open),
        "known requests": len(half_open._spi) + len(half_open._key),
        "timers": len(host.timers),
        "questions": len(host.asked),
        "things to do": host.working,
        "Child SAs": len(host.plane.children),
        "leases": len(host.leases._held),
    }
    found = [f"{count} {what}" for what, count in left.items() if count]
    if found:
        raise Broken("I3", f"{host.place.name} still has {', '.join(found)}")

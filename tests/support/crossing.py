# SPDX-License-Identifier: Apache-2.0
"""Two hosts that begin something at the same moment, and every way in which it can cross."""

from collections import deque
from collections.abc import Callable, Iterator
from copy import copy, deepcopy
from dataclasses import replace
from itertools import product

from ikeway.ike import agenda
from ikeway.ike.endpoint import Endpoint as IkeEndpoint
from ikeway.ike.io import (
    CheckLiveness,
    Datagram,
    Disconnect,
    InstallChild,
    Rekey,
    RemoveChild,
    TimerFired,
)
from ikeway.ike.sa import IkeSa
from ikeway.ike.states import Established
from ikeway.ike.tasks import CreateChild, DeleteChild, Task
from ikeway.model.esp import ChildSa
from support.ladder import Ladder
from support.shell import Host

Begin = Callable[[Ladder, Host], None]
QUIET = 400.0
"""Seconds after which everything that was tried again has come to an end."""


# What may happen ----------------------------------------------------------------------------------


def rekey_child(ladder: Ladder, host: Host) -> None:
    sa = _sa(host)
    spi = next(iter(host.installed))
    ladder.perform(host, host.endpoint.handle(sa.spi, Rekey(spi), ladder.now))


def delete_child(ladder: Ladder, host: Host) -> None:
    _want(ladder, host, DeleteChild(next(iter(host.installed))))


def rekey_ike(ladder: Ladder, host: Host) -> None:
    ladder.perform(host, host.endpoint.handle(_sa(host).spi, Rekey(), ladder.now))


def delete_ike(ladder: Ladder, host: Host) -> None:
    ended = Disconnect("asked to")
    ladder.perform(host, host.endpoint.handle(_sa(host).spi, ended, ladder.now))


def create_child(ladder: Ladder, host: Host) -> None:
    state = _sa(host).state
    assert isinstance(state, Established)
    _want(ladder, host, CreateChild(state.children[0].name))


def forget_child(ladder: Ladder, host: Host) -> None:
    """Let a host lose its child, as a fault would: the peer hears nothing."""
    sa = _sa(host)
    assert isinstance(sa.state, Established)
    spi = sa.state.children[0].sa.spi_in
    sa._state = replace(sa.state, children=())
    ladder.perform(host, (RemoveChild(sa.spi, spi),))


def reauthenticate(ladder: Ladder, host: Host) -> None:
    """Let the clock of the proofs strike now."""
    sa = _sa(host)
    assert isinstance(sa.state, Established)
    due = replace(sa.state.authenticity, renew_at=ladder.now)
    sa._state = replace(sa.state, authenticity=due)
    host.timers.pop(sa.spi, None)
    ladder.perform(host, host.endpoint.handle(sa.spi, TimerFired(), ladder.now))


def _sa(host: Host) -> IkeSa:
    (sa,) = (sa for sa in host.endpoint.sas if isinstance(sa.state, Established))
    return sa


def _want(ladder: Ladder, host: Host, task: Task) -> None:
    sa = _sa(host)
    assert isinstance(sa.state, Established)
    sa._state = agenda.want(sa.state, task)
    spi = sa.spi
    sa._state = replace(sa._state)
    actions = host.endpoint.handle(spi, CheckLiveness(), ladder.now)
    ladder.perform(host, actions)


BEGINNINGS: dict[str, Begin] = {
    begin.__name__: begin
    for begin in (rekey_child, delete_child, rekey_ike, delete_ike, create_child, reauthenticate)
}
ENDING = frozenset({"delete_child", "delete_ike"})


# A pair of hosts that can be had many times -------------------------------------------------------


def fork(ladder: Ladder) -> "Crossing":
    """Return two hosts in the same state, that share nothing with the first two."""
    left, right = (_fork(host) for host in (ladder.left, ladder.right))
    crossing = Crossing(left, right, ladder.addresses)
    crossing.now = ladder.now
    return crossing


def _fork(host: Host) -> Host:
    old = host.endpoint
    env = replace(old.env, random=copy(old.env.random))
    endpoint = IkeEndpoint(env)
    endpoint._half_open = deepcopy(old._half_open)
    for sa in old.sas:
        twin = copy(sa)
        assert isinstance(sa.state, Established)
        twin._state = replace(sa.state, session=replace(sa.state.session, env=env))
        endpoint._sas[sa.spi] = twin
    return replace(
        host,
        endpoint=endpoint,
        leases=deepcopy(host.leases),
        installed=dict(host.installed),
        timers=dict(host.timers),
        installs=[],
        removed=set(),
        events=[],
        forgotten=[],
        held=[],
        asked=[],
    )


class Crossing(Ladder):
    """A ladder whose datagrams arrive in an order that is chosen, each direction in its own."""

    lost: int | None = None
    is_watched = False
    is_slow = False
    """Whether data planes take so long that one datagram more arrives before they answer."""
    _count = 0

    def play(self, order: tuple[int, ...], lost: int | None) -> None:
        """Deliver all; where both directions have something, `order` says which goes first."""
        self.lost, choices = lost, deque(order)
        while self.wire:
            chosen = self._choose(choices)
            self.wire.remove(chosen)
            if self._count == lost:
                self._count += 1
                continue
            self._count += 1
            waiting = [(host, len(host.held)) for host in (self.left, self.right)]
            self._deliver(*chosen)
            self._answer(waiting)
            self.look()
        self._answer([(host, len(host.held)) for host in (self.left, self.right)])
        if self.wire:
            self.play(tuple(choices), lost)

    def _choose(self, choices: deque[int]) -> tuple[Host, Datagram]:
        first = {}
        for host, datagram in self.wire:
            first.setdefault(host.name, (host, datagram))
        both = list(first.values())
        if len(both) == 1:
            return both[0]
        return first["left" if not choices or choices.popleft() == 0 else "right"]

    def _deliver(self, host: Host, datagram: Datagram) -> None:
        for each in (self.left, self.right):
            each.holds = (InstallChild,) if self.is_slow else ()
        self.deliver(host, datagram)

    def _answer(self, waiting: list[tuple[Host, int]]) -> None:
        """Let data planes answer what they were asked before."""
        for host, count in waiting:
            for _ in range(count):
                self.answer(host)

    def settle(self) -> None:
        """Deliver as it comes; the one to be lost is lost also now."""
        self.play((), self.lost)

    # Traffic ----------------------------------------------------------------------------------

    def look(self) -> None:
        """Check that what each side sends, it sends on a child that the other one has."""
        if not self.is_watched:
            return
        for host in (self.left, self.right):
            child = self.outbound(host)
            assert child is not None, f"{host.name} has nothing to send on"
            other = self.other(host)
            assert child.spi_out in other.installed, f"{other.name} has no {child.spi_out:08x}"
            self._used(other).add(child.spi_out)

    def outbound(self, host: Host) -> ChildSa | None:
        """Return the child that a data plane would send on.

        It is the newest that is not on standby, or the oldest that is.
        """
        standby = {i.child.spi_in for i in host.installs if i.is_standby} - self._used(host)
        oldest = list(host.installed.values())
        active = [child for child in reversed(oldest) if child.spi_in not in standby]
        return next(iter(active or oldest), None)

    def _used(self, host: Host) -> set[int]:
        used: set[int] = host.__dict__.setdefault("used", set())
        return used


def orders(length: int) -> Iterator[tuple[int, ...]]:
    """Return every order of so many choices."""
    return product((0, 1), repeat=length)

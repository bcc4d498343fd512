# SPDX-License-Identifier: Apache-2.0
"""What a host starts, and starts again: the daemon's starter in virtual time."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from ikeway.ike.io import FollowRedirect, Initiate, Report
from ikeway.ike.reports import Closed, Established, Reauthenticating, Rekeyed
from ikeway.model.address import IKE_PORT, Address, Endpoint
from ikeway.policy.connection import Connection, Start
from ikeway.runtime.upkeep import Upkeep

if TYPE_CHECKING:
    from world.host import Host

RESOLVED: Final = 0.01
"""How long it takes to know the address of a gateway to which one was sent."""


def _even() -> float:
    return 0.5


class Starter:
    """Keeps connections up that are to be up. `wanted` are those, by name."""

    def __init__(self, host: "Host") -> None:
        self._host = host
        connections = host.place.connections
        self.wanted = {one.name: one for one in connections if one.start is Start.NOW}
        self._upkeep = Upkeep(self.wanted, _even)

    def begin(self) -> None:
        """Start what is to be up, one after the other."""
        for number, name in enumerate(self.wanted):
            self._start_later(name, 0.01 * number)

    def end(self) -> None:
        """Start nothing any more."""
        self._upkeep = Upkeep((), _even)

    def connect(self, connection: Connection) -> bytes | None:
        """Start a connection; return our SPI."""
        peer = connection.peer.target
        if not self._host.hears or peer is None or isinstance(peer, str):
            return None
        return self._initiate(connection, peer, partial(Initiate, connection))

    def tell(self, report: Report) -> None:
        """Hear of what became of IKE SAs."""
        event, now = report.event, self._host.world.now
        match event:
            case Established():
                self._upkeep.established(event.connection, report.sa, now)
            case Rekeyed():
                self._upkeep.rekeyed(event.connection, report.sa, event.successor, now)
            case Reauthenticating():
                self._upkeep.started(event.connection, event.successor)
            case Closed():
                self._closed(event.connection, report.sa, event.reason)
            case _:
                pass

    def follow(self, redirect: FollowRedirect) -> None:
        """Start a connection with the gateway to which it was sent (RFC 5685)."""
        self._upkeep.started(redirect.connection.name, _token(redirect))
        self._host.at(RESOLVED, self._follow, redirect)

    def _follow(self, redirect: FollowRedirect) -> None:
        host, connection, there = self._host, redirect.connection, redirect.gateway
        if not host.hears:
            host.at(host.until_awake, self._follow, redirect)
            return
        if not isinstance(there, str):
            wish, trail, old = redirect.wish, redirect.trail, redirect.replaces
            command = partial(Initiate, connection, wish=wish, trail=trail, replaces=old)
            self._initiate(connection, there, command)
        self._closed(connection.name, _token(redirect), f"it was sent to {there}")

    def _initiate(
        self,
        connection: Connection,
        peer: Address,
        command: Callable[[Endpoint, Endpoint], Initiate],
    ) -> bytes:
        local = connection.local_address or next(
            address for address in self._host.addresses if address.version == peer.version
        )
        ends = Endpoint(local, IKE_PORT), Endpoint(peer, IKE_PORT)
        return self._host.initiate(command(*ends), self._upkeep.started)

    def _closed(self, name: str, sa: bytes, reason: str) -> None:
        wait = self._upkeep.closed(name, sa, reason, self._host.world.now)
        if wait is not None:
            self._start_later(name, wait)

    def _start_later(self, name: str, wait: float) -> None:
        self._host.at(wait, self._start, name)

    def _start(self, name: str) -> None:
        if not self._host.hears:
            self._host.at(self._host.until_awake, self._start, name)
        elif self._upkeep.begin(name):
            self.connect(self.wanted[name])


def _token(redirect: FollowRedirect) -> bytes:
    """Return what stands for an IKE SA that is about to be started."""
    return b"redirect" + redirect.sa

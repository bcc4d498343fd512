# SPDX-License-Identifier: Apache-2.0
"""Starts connections: finds the peer's address and ours, and tries again where that is wanted."""

import asyncio
import random
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Final

from ikeway.daemon.share import Others
from ikeway.ike.children import Wish
from ikeway.ike.io import FollowRedirect, Initiate
from ikeway.model.address import IKE_PORT, Address, Endpoint
from ikeway.model.errors import HostError, IkewayError, UsageError
from ikeway.model.time import Instant, Seconds
from ikeway.policy.connection import Connection, Gateway, Start
from ikeway.runtime.driver import Driver
from ikeway.runtime.network import source_for
from ikeway.runtime.upkeep import Retry, Upkeep

NO_WISH: Final = Wish()
ELSEWHERE: Final[Seconds] = 5.0
"""How long to wait before it is looked again whether another worker is up with a peer."""


def named(name: str, connections: Iterable[Connection]) -> tuple[str, str]:
    """Return the connection, and the Child SA if it is one, of `CONNECTION` or `CHILD`.

    A Child SA whose name others have too is called `CONNECTION/CHILD`.

    Raises:
        UsageError: several connections have a child of that name.
    """
    known = tuple(connections)
    if any(connection.name == name for connection in known):
        return name, ""
    found = [
        (connection.name, child.name)
        for connection in known
        for child in connection.children
        if name in {child.name, f"{connection.name}/{child.name}"}
    ]
    if len(found) > 1:
        full = ", ".join("/".join(pair) for pair in found)
        raise UsageError(f"several children are called {name!r}: {full}")
    return found[0] if found else (name, "")


@dataclass
class Starter:
    """Keeps `start = "now"` connections up."""

    driver: Driver
    connections: dict[str, Connection]
    others: Others | None = None
    is_ending: bool = False
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _upkeep: Upkeep = field(init=False)

    def __post_init__(self) -> None:
        wanted = (c.name for c in self.connections.values() if c.start is Start.NOW)
        self._upkeep = Upkeep(wanted, random.SystemRandom().random)

    @property
    def waiting(self) -> tuple[Retry, ...]:
        """The connections that are down and will be started again."""
        return self._upkeep.waiting

    def begin(self) -> None:
        """Start what is to start now."""
        for connection in self.connections.values():
            if connection.start is Start.NOW:
                self._soon(connection.name, 0.0)

    def reload(self, connections: dict[str, Connection], fresh: Iterable[str]) -> None:
        """Know these connections, of which some are fresh, instead of those before."""
        self.connections.clear()
        self.connections.update(connections)
        wanted = [one.name for one in connections.values() if one.start is Start.NOW]
        self._upkeep.want(wanted)
        for name in wanted:
            if name in fresh:
                self._upkeep.wake(name)
                self._soon(name, 0.0)

    async def initiate(self, name: str, wish: Wish = NO_WISH) -> bytes:
        """Start a connection because somebody wants it now, and return our SPI.

        One that is to stay up does so from now on, also if it was disconnected before.

        Raises:
            UsageError: there is none of that name, or it only answers.
            HostError: the peer's host name or a way to it cannot be found.
        """
        self._upkeep.wake(name)
        return await self._initiate(name, wish)

    async def _initiate(self, name: str, wish: Wish = NO_WISH) -> bytes:
        """Start a connection once and return our SPI.

        Raises:
            UsageError: there is none of that name, or it only answers.
            HostError: the peer's host name or a way to it cannot be found.
        """
        connection = self.connections.get(name)
        if connection is None:
            known = ", ".join(self.connections) or "none"
            raise UsageError(f"there is no connection {name!r}; known are: {known}")
        if not connection.may_initiate:
            raise UsageError(
                f"connection {name!r} cannot be started from here: it needs role initiator or both,"
                " and a peer with one address or a host name"
            )
        connection = await self._alone(connection)
        peer = await find_peer(connection)
        local = connection.local_address or source_for(peer)
        command = Initiate(connection, Endpoint(local, IKE_PORT), Endpoint(peer, IKE_PORT), wish)
        spi = self.driver.initiate(command)
        self._upkeep.started(name, spi)
        return spi

    async def _alone(self, connection: Connection) -> Connection:
        """Return the connection without INITIAL_CONTACT where another worker is up with the peer.

        What is up in this process the endpoint knows itself (RFC 7296 §2.4).
        """
        if not connection.initial_contact:
            return connection
        is_up = await self._is_up_elsewhere(connection.name)
        return replace(connection, initial_contact=not is_up)

    async def _is_up_elsewhere(self, name: str) -> bool:
        """Whether another worker is up with the peer, which may have started the connection."""
        return self.others is not None and await self.others.is_up(name)

    def established(self, name: str, sa: bytes) -> None:
        """Note that a connection is up."""
        self._upkeep.established(name, sa, _now())

    def reauthenticating(self, name: str, successor: bytes) -> None:
        """Note that an IKE SA is on its way beside the one that it is to replace."""
        self._upkeep.started(name, successor)

    def rekeyed(self, name: str, sa: bytes, successor: bytes) -> None:
        """Note that another IKE SA took the place of one."""
        self._upkeep.rekeyed(name, sa, successor, _now())

    def closed(self, name: str, sa: bytes, reason: str) -> None:
        """Start a connection again if it is one that stays up and its last IKE SA is gone."""
        wait = self._upkeep.closed(name, sa, reason, _now())
        if wait is not None and not self.is_ending:
            self._soon(name, wait)

    def follow(self, redirect: FollowRedirect) -> None:
        """Start a connection with the gateway to which it was sent (RFC 5685)."""
        self._upkeep.started(redirect.connection.name, _token(redirect))
        task = asyncio.get_running_loop().create_task(self._follow(redirect))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, redirect: FollowRedirect) -> None:
        connection, reason = redirect.connection, f"it was sent to {redirect.gateway}"
        try:
            peer = await resolve(redirect.gateway)
            local = connection.local_address or source_for(peer)
            ends = Endpoint(local, IKE_PORT), Endpoint(peer, IKE_PORT)
            wish, trail, old = redirect.wish, redirect.trail, redirect.replaces
            spi = self.driver.initiate(Initiate(connection, *ends, wish, trail, old))
            self._upkeep.started(connection.name, spi)
        except IkewayError as error:
            reason = str(error)
            self.driver.warn(f"connection {connection.name}: {reason}")
        self.closed(connection.name, _token(redirect), reason)

    def rest(self, names: Iterable[str]) -> bool:
        """Keep connections up no more until they are started; return whether any was kept."""
        return bool([name for name in names if self._upkeep.rest(name)])

    def end(self) -> None:
        """Start nothing any more."""
        self.is_ending = True
        for task in self._tasks:
            task.cancel()

    def _soon(self, name: str, wait: Seconds) -> None:
        task = asyncio.get_running_loop().create_task(self._start(name, wait))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start(self, name: str, wait: Seconds) -> None:
        await asyncio.sleep(wait)
        if name not in self.connections or not self._upkeep.begin(name):
            return
        try:
            if await self._is_up_elsewhere(name):
                self._soon(name, ELSEWHERE)
                return
            await self._initiate(name)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
            reason = str(error) if isinstance(error, IkewayError) else f"a fault: {error!r}"
            self.driver.warn(f"connection {name}: {reason}")
            again = self._upkeep.failed(name, reason, _now())
            if again is not None:
                self._soon(name, again)


def _now() -> Instant:
    return asyncio.get_running_loop().time()


async def find_peer(connection: Connection) -> Address:
    """Return the address of the peer.

    Raises:
        UsageError: it is no single one.
        HostError: its name cannot be resolved.
    """
    target = connection.peer.target
    if target is None:
        raise UsageError(f"connection {connection.name!r} has no single peer to connect to")
    return await resolve(target)


def _token(redirect: FollowRedirect) -> bytes:
    """Return what stands for an IKE SA that is about to be started."""
    return b"redirect" + redirect.sa


async def resolve(target: Gateway) -> Address:
    """Return the address of a host.

    Raises:
        HostError: its name cannot be resolved.
    """
    if not isinstance(target, str):
        return target
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(target, IKE_PORT, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise HostError(f"the name {target!r} cannot be resolved: {why}") from error
    return ip_address(str(found[0][4][0]).split("%")[0])

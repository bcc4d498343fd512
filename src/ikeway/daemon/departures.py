# SPDX-License-Identifier: Apache-2.0
"""Has the IKE SAs end of users who were taken away, or whose time is over.

Commands say so in the store and then knock at the control socket. Where they cannot reach it, on
another host for one, a look every few seconds finds it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from ikeway.ike.eap_states import AdmittingUser, AwaitEapAuth
from ikeway.ike.io import Disconnect
from ikeway.ike.states import (
    Established,
    InstallingFirst,
    LeasingAddress,
    SigningResponse,
    State,
)
from ikeway.model.errors import HostError
from ikeway.model.time import Seconds
from ikeway.policy.connection import Proof
from ikeway.policy.store import StoreSettings
from ikeway.runtime.driver import Driver
from ikeway.runtime.entropy import SystemRandom
from ikeway.store.user import key_of
from ikeway.store.users import UserStore

EVERY: Final[Seconds] = 5.0

Leaving = tuple[str, str]
"""The name of a user, and why it has to go."""
End = Callable[[list[Leaving]], Awaitable[list[str]]]
"""Ends the IKE SAs of users; returns their ids."""


def depart(driver: Driver, leaving: list[Leaving]) -> list[str]:
    """Delete the IKE SAs of users; return their ids."""
    reasons = {key_of(name): reason for name, reason in leaving}
    gone = []
    for sa in driver.endpoint.sas:
        reason = reasons.get(_user(sa.state))
        if reason is not None:
            driver.command(sa.spi, Disconnect(reason))
            gone.append(sa.spi.hex())
    return gone


def _user(state: State) -> str:
    """Return who a peer is that our users are let in with; empty where it is nobody of them."""
    match state:
        case Established(connection=connection, peer_id=identity):
            pass
        case AwaitEapAuth() | AdmittingUser() | LeasingAddress() | SigningResponse():
            connection, identity = state.request.connection, state.request.id_i
        case InstallingFirst(request=request):
            connection, identity = request.connection, request.id_i
        case _:
            return ""
    by_eap = {proof for proof in connection.accepted if proof.eap_method}
    is_ours = by_eap - {Proof.EAP_RADIUS}
    return key_of(identity.data.decode(errors="replace")) if is_ours else ""


class Departures:
    """One for the whole daemon. What was before it began has ended with the daemon before."""

    def __init__(self, settings: StoreSettings, end: End, warn: Callable[[str], None]) -> None:
        self._settings = settings
        self._end = end
        self._warn = warn
        self._store: UserStore | None = None
        self._seen = 0
        self._looked = time.time()
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._said = ""

    def begin(self) -> None:
        """Look from now on."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        async with self._lock:
            if self._store is not None:
                self._store.close()

    async def look(self) -> list[str]:
        """End the IKE SAs of those who have to go; return their ids.

        Raises:
            HostError: the store fails.
        """
        async with self._lock:
            leaving = await asyncio.to_thread(self._leaving)
            return await self._end(leaving) if leaving else []

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
                self._said = ""
            except HostError as error:
                if str(error) != self._said:
                    self._said = str(error)
                    self._warn(f"nobody is noticed who was taken away: {error}")
            await asyncio.sleep(EVERY)

    def _leaving(self) -> list[Leaving]:
        """Return who has to go since the last look."""
        since, now = self._looked, time.time()
        if self._store is None:
            if not self._settings.file.exists():
                self._looked = now
                return []
            self._open(since)
        store = self._store
        if store is None:
            return []
        found = store.departures(self._seen)
        expired = store.expired(since, now)
        self._seen = found[-1].number if found else self._seen
        self._looked = now
        ended = [(name, "the user has expired") for name in expired]
        return [*((one.name, f"the user was {one.reason}") for one in found), *ended]

    def _open(self, since: float) -> None:
        """Open the store, and pass over what was before we began."""
        store = UserStore(self._settings.file, self._settings.key, SystemRandom())
        self._seen = store.departures_until(since)
        self._store = store

# SPDX-License-Identifier: Apache-2.0
"""Sessions that a RADIUS server has let in: their accounts, limits, and its orders about them."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from ikeway.auth.radius import accounting
from ikeway.auth.radius.access import Grant
from ikeway.auth.radius.orders import Change, Disconnect, Order, Which
from ikeway.auth.radius.packet import Attribute
from ikeway.auth.radius.registry import TerminateCause
from ikeway.auth.radius.visit import Visit
from ikeway.dataplane.port import DataPlane
from ikeway.ike.io import Report
from ikeway.ike.reports import ChildEstablished, Closed, Established, Rekeyed
from ikeway.model.errors import HostError
from ikeway.model.esp import Usage
from ikeway.model.time import Seconds
from ikeway.runtime.radius_teller import RadiusTeller

_IDLE_LOOKS: Final = 4

Work = Callable[["Account"], Coroutine[Any, Any, None]]
End = Callable[[bytes, str], None]
"""Ends the IKE SA with that SPI of ours, for a reason."""


@dataclass(slots=True, eq=False)
class Account:
    """One session. `gone` is what went through Child SAs that are no more."""

    session: accounting.Session
    grant: Grant
    sa: bytes
    since: float
    children: set[int] = field(default_factory=set)
    gone: Usage = field(default=Usage())
    is_open: bool = False
    is_ended: bool = False
    cause: TerminateCause = TerminateCause.USER_REQUEST
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    quiet_since: float = 0.0
    packets: int = 0


class RadiusAccounts:
    """Follows sessions by the reports of their IKE SAs. Without a teller nobody hears of them."""

    def __init__(self, teller: RadiusTeller | None, plane: DataPlane, end: End) -> None:
        self._teller = teller
        self._plane = plane
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._by_sa: dict[bytes, Account] = {}
        self._by_child: dict[int, Account] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._by_sa)

    async def close(self) -> None:
        """Close every account."""
        for account in tuple(self._by_sa.values()):
            account.cause = TerminateCause.NAS_REQUEST
            await self._stop(account)

    # What happens to sessions ------------------------------------------------------------------

    def granted(self, sa: bytes, visit: Visit, user: bytes, grant: Grant) -> None:
        """Note what a user was granted; the session begins when its IKE SA is established."""
        name = grant.user.encode() if grant.user else user
        session = accounting.Session(visit, name, grant.addresses, grant.classes)
        self._by_sa[sa] = Account(session, grant, sa, self._loop.time())

    def heard(self, report: Report) -> None:
        """Take a report of an IKE SA."""
        account = self._by_sa.get(report.sa)
        if account is None:
            return
        match report.event:
            case Established(virtual_ips=addresses):
                self._open(account, addresses)
            case ChildEstablished(child=child):
                account.children.add(child.spi_in)
                self._by_child[child.spi_in] = account
            case Rekeyed(successor=successor):
                account.sa = successor
                self._by_sa[successor] = self._by_sa.pop(report.sa)
            case Closed(is_failure=is_failure):
                self._closed(account, is_failure=is_failure)
            case _:
                return

    async def leaving(self, spi_in: int) -> None:
        """Take what went through a Child SA before it is removed."""
        account = self._by_child.pop(spi_in, None)
        if account is None:
            return
        account.gone += await self._usage(spi_in)
        account.children.discard(spi_in)
        if account.is_ended and not account.children:
            await self._stop(account)

    def obey(self, order: Order) -> int:
        """Carry an order out; return how many sessions it was about."""
        found = [one for one in self._by_sa.values() if one.is_open and _fits(one, order.which)]
        for account in found:
            match order:
                case Disconnect():
                    self._finish(account, TerminateCause.ADMIN_RESET, "RADIUS has ordered so")
                case Change(session_timeout=session, idle_timeout=idle):
                    self._limit(account, session, idle)
        return len(found)

    def _open(self, account: Account, addresses: tuple[object, ...]) -> None:
        session, grant = account.session, account.grant
        lent = tuple(one for one in addresses if one not in session.addresses)
        account.session = accounting.Session(
            session.visit,
            session.user,
            (*session.addresses, *lent),  # type: ignore[arg-type]
            session.classes,
        )
        account.since, account.is_open = self._loop.time(), True
        self._say(accounting.start(account.session))
        self._limit(account, grant.session_timeout, grant.idle_timeout)
        if grant.interim_interval:
            every = max(grant.interim_interval, accounting.INTERIM_SECONDS_LEAST)
            self._every(account, "interim", every, self._interim)

    def _closed(self, account: Account, *, is_failure: bool) -> None:
        account.is_ended = True
        if is_failure and account.cause is TerminateCause.USER_REQUEST:
            account.cause = TerminateCause.LOST_SERVICE
        if not account.children:
            self._task(self._stop(account))

    def _finish(self, account: Account, cause: TerminateCause, reason: str) -> None:
        account.cause = cause
        self._end(account.sa, reason)

    # Limits ------------------------------------------------------------------------------------

    def _limit(self, account: Account, session: int | None, idle: int | None) -> None:
        """Let a session live so many seconds from now, and be idle no longer than so many."""
        if session is not None:
            over = partial(
                self._finish, account, TerminateCause.SESSION_TIMEOUT, "its time is over (RADIUS)"
            )
            self._timer(account, "session", session, over)
        if idle:
            account.quiet_since = self._loop.time()
            self._every(account, "idle", idle / _IDLE_LOOKS, partial(self._look, idle=idle))

    async def _look(self, account: Account, *, idle: int) -> None:
        usage, now = await self._total(account), self._loop.time()
        packets = usage.packets_in + usage.packets_out
        if packets != account.packets:
            account.packets, account.quiet_since = packets, now
        elif now - account.quiet_since >= idle:
            self._finish(account, TerminateCause.IDLE_TIMEOUT, "idle for too long (RADIUS)")

    def _timer(self, account: Account, name: str, wait: Seconds, work: Callable[[], None]) -> None:
        if name in account.timers:
            account.timers[name].cancel()
        account.timers[name] = self._loop.call_later(wait, work)

    def _every(self, account: Account, name: str, wait: Seconds, work: Work) -> None:
        def again() -> None:
            self._task(work(account))
            self._timer(account, name, wait, again)

        self._timer(account, name, wait, again)

    # Telling the servers -----------------------------------------------------------------------

    async def _interim(self, account: Account) -> None:
        self._say(accounting.interim(account.session, await self._used(account)))

    async def _stop(self, account: Account) -> None:
        if self._by_sa.pop(account.sa, None) is None:
            return
        for timer in account.timers.values():
            timer.cancel()
        if account.is_open:
            used = await self._used(account)
            self._say(accounting.stop(account.session, used, account.cause))
        for spi_in in account.children:
            self._by_child.pop(spi_in, None)

    async def _used(self, account: Account) -> accounting.Usage:
        total = await self._total(account)
        return accounting.Usage(
            seconds=round(self._loop.time() - account.since),
            octets_in=total.octets_in,
            octets_out=total.octets_out,
            packets_in=total.packets_in,
            packets_out=total.packets_out,
        )

    async def _total(self, account: Account) -> Usage:
        total = account.gone
        for spi_in in tuple(account.children):
            total += await self._usage(spi_in)
        return total

    async def _usage(self, spi_in: int) -> Usage:
        try:
            return await self._plane.usage(spi_in)
        except HostError:
            return Usage()

    def _say(self, attributes: tuple[Attribute, ...]) -> None:
        if self._teller is not None:
            self._teller.say(attributes)

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _fits(account: Account, which: Which) -> bool:
    session = account.session
    visit = session.visit
    station = f"{visit.peer}[{visit.peer_port}]"
    return (
        which.user in {None, session.user}
        and which.session in {None, visit.session}
        and which.calling_station in {None, station}
        and which.connection in {None, visit.connection}
        and (which.address is None or which.address in session.addresses)
    )

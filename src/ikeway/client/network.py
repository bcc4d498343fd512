# SPDX-License-Identifier: Apache-2.0
"""The host's network through netlink: *plan -> apply -> undo*, with the undo on disk first."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from typing_extensions import override

from ikeway.client import journal, nft
from ikeway.client.ledger import Apply, Change, Ledger, Revert
from ikeway.client.netlink import Kernel
from ikeway.client.plan import TABLES, Facts, plan, warnings
from ikeway.client.roaming import Roaming
from ikeway.client.steering import steering
from ikeway.model.address import Address
from ikeway.model.errors import HostError
from ikeway.model.time import Instant, Seconds
from ikeway.runtime.network import Guard, HostNetwork, TunnelPlan

JOURNAL: Final = "network.json"
GUARD: Final = "guard.json"
_FACTS_LAST: Final[Seconds] = 1.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Tunnel:
    interface: str
    index: int

    @property
    def table(self) -> int:
        return TABLES + self.index


class PyrouteNetwork(HostNetwork):
    """Addresses, routes and rules through pyroute2, whose calls run in one thread, in order."""

    def __init__(self, run_dir: Path) -> None:
        self._journal = run_dir / JOURNAL
        self._guarding = run_dir / GUARD
        self._guard: Guard | None = None
        self._ledger = Ledger()
        self._thread: ThreadPoolExecutor | None = None
        self._kernel: Kernel | None = None
        self._tunnel: _Tunnel | None = None
        self._facts: tuple[Instant, Facts] | None = None
        self._told: set[str] = set()
        self._device = ("", 0)

    @override
    async def recover(self) -> None:
        await self._run(self._recover)

    @override
    async def open(self, interface: str, mtu: int) -> None:
        await self._run(lambda: self._open(interface, mtu))

    @override
    async def reopen(self) -> None:
        await self._run(self._reopen)

    @override
    async def govern(self, guard: Guard, /) -> tuple[str, ...]:
        return await self._run(lambda: self._govern(guard))

    @override
    async def dropped(self) -> Mapping[str, int]:
        return await self._run(self._dropped)

    @override
    async def add(self, plan: TunnelPlan) -> tuple[str, ...]:
        now = asyncio.get_running_loop().time()
        return await self._run(lambda: self._add(plan, now))

    @override
    async def remove(self, child_spi: int) -> None:
        await self._run(lambda: self._remove(child_spi))

    @override
    async def changes(self) -> AsyncIterator[tuple[Address, ...]]:
        with Roaming(lambda: self._ours) as roaming:
            while True:
                yield await self._run(lambda: self._link().addresses(self._ours))
                await roaming.change()
                await self._run(self._renew)

    @override
    async def close(self) -> None:
        if self._thread is None:
            return
        try:
            await self._run(self._close)
        finally:
            self._thread.shutdown(wait=False)
            self._thread = None

    async def _run(self, work: Callable[[], _T]) -> _T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="netlink")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # In the thread --------------------------------------------------------------------------------

    def _recover(self) -> None:
        left = journal.load(self._journal)
        if left is not None and left.is_here:
            self._link().sweep(left.table, left.index)
        journal.clear(self._journal)

    def _open(self, interface: str, mtu: int) -> None:
        kernel, self._device = self._link(), (interface, mtu)
        self._undo_all()
        tunnel = _Tunnel(interface, kernel.index_of(interface))
        self._note(tunnel)
        self._tunnel = tunnel
        try:
            kernel.bring_up(tunnel.index, interface, mtu)
            kernel.add_rules(tunnel.table)
        except HostError:
            self._undo_all()
            raise

    def _reopen(self) -> None:
        """The packet filter knows the interface by its name, and stays in force meanwhile."""
        self._open(*self._device)
        if self._guard is not None:
            self._link().steer(steering(self._guard.policies), self._opened().table)

    def _govern(self, guard: Guard) -> tuple[str, ...]:
        before = journal.load(self._guarding)
        if not (guard.policies or guard.connections):
            self._unsteer()
            self._unguard(before)
            return ()
        try:
            self._guard_by(guard, before)
        except HostError as error:
            if guard.is_asked_for:
                raise
            return (f"nothing keeps traffic of connections in while they are down: {error}",)
        return ()

    def _guard_by(self, guard: Guard, before: journal.Undo | None) -> None:
        """The packet filter comes first, so that no way is open that is to be closed."""
        tunnel = self._opened()
        self._save(self._guarding, journal.undo_of(guard.interface, 0, 0))
        nft.enforce(guard)
        if before is not None and before.is_here and before.interface != guard.interface:
            nft.release(before.interface)
        self._unsteer()
        self._guard = guard
        self._link().steer(steering(guard.policies), tunnel.table)

    def _unsteer(self) -> None:
        """Take back the routes of what is guarded until now."""
        if self._guard is not None and self._tunnel is not None:
            self._link().unsteer(steering(self._guard.policies), self._tunnel.table)

    def _unguard(self, before: journal.Undo | None) -> None:
        if before is not None and before.is_here:
            nft.release(before.interface)
        self._guard = None
        journal.clear(self._guarding)

    def _dropped(self) -> Mapping[str, int]:
        return {} if self._guard is None else nft.dropped(self._guard.interface)

    def _add(self, tunnel_plan: TunnelPlan, now: Instant) -> tuple[str, ...]:
        facts = self._current_facts(now)
        try:
            self._change(self._ledger.add(tunnel_plan.child_spi, plan(tunnel_plan, facts)))
        except HostError:
            self._facts = None
            self._remove(tunnel_plan.child_spi)
            raise
        news = [line for line in warnings(tunnel_plan, facts) if line not in self._told]
        self._told.update(news)
        return tuple(news)

    def _remove(self, child_spi: int) -> None:
        self._change(self._ledger.remove(child_spi))

    def _renew(self) -> None:
        """Put everything into force again: a route goes with the address that it sends from."""
        self._facts = None
        tunnel, kernel = self._tunnel, self._link()
        if tunnel is None or not kernel.has(tunnel.index):
            return  # between one interface and the next
        for step in self._ledger.steps:
            kernel.apply(step, tunnel.index, tunnel.table)

    def _close(self) -> None:
        try:
            self._undo_all()
            if self._guard is not None and not self._guard.holds:
                self._unguard(journal.load(self._guarding))
        finally:
            if self._kernel is not None:
                self._kernel.close()
                self._kernel = None

    def _undo_all(self) -> None:
        """Sweep everything away; the journal goes last."""
        self._ledger.clear()
        self._facts = None
        if self._tunnel is not None:
            self._link().sweep(self._tunnel.table, self._tunnel.index)
            self._tunnel = None
            journal.clear(self._journal)

    def _change(self, changes: tuple[Change, ...]) -> None:
        if not changes:
            return
        tunnel, kernel = self._opened(), self._link()
        for change in changes:
            match change:
                case Apply(step):
                    kernel.apply(step, tunnel.index, tunnel.table)
                case Revert(step):
                    kernel.undo(step, tunnel.index, tunnel.table)

    def _current_facts(self, now: Instant) -> Facts:
        """Return the host's facts, read at most once a second, for a gateway adds many at once."""
        if self._facts is None or now - self._facts[0] > _FACTS_LAST:
            self._facts = now, self._link().facts(self._opened().interface)
        return self._facts[1]

    def _note(self, tunnel: _Tunnel) -> None:
        self._save(self._journal, journal.undo_of(tunnel.interface, tunnel.index, tunnel.table))

    def _save(self, path: Path, undo: journal.Undo) -> None:
        try:
            journal.save(path, undo)
        except OSError as error:
            raise HostError(f"writing {path}: {error.strerror}") from error

    def _opened(self) -> _Tunnel:
        if self._tunnel is None:
            raise HostError("the tunnel's interface is not open")
        return self._tunnel

    @property
    def _ours(self) -> int:
        """The interface that is ours now; 0 is none."""
        return 0 if self._tunnel is None else self._tunnel.index

    def _link(self) -> Kernel:
        if self._kernel is None:
            self._kernel = Kernel()
        return self._kernel

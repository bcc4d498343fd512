# SPDX-License-Identifier: Apache-2.0
"""What a changed configuration changes in a daemon that runs, and what it cannot change there."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ikeway.config.load import Loaded, load
from ikeway.control.schema import Reloaded
from ikeway.daemon.guarding import guard_of
from ikeway.dataplane.port import DataPlane
from ikeway.model.errors import ConfigError, HostError, IkewayError
from ikeway.policy.connection import Connection
from ikeway.policy.credentials import Credentials
from ikeway.runtime.network import HostNetwork


@dataclass(frozen=True, slots=True)
class Changes:
    """The connections that are new, others than before, and gone, by their names."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def over(self) -> frozenset[str]:
        """Those whose IKE SAs end: what they were made from does not hold any more."""
        return frozenset((*self.changed, *self.removed))

    @property
    def fresh(self) -> tuple[str, ...]:
        """Those that begin."""
        return (*self.added, *self.changed)

    def facts(self) -> dict[str, str]:
        """Return what the log says of them."""
        known = {"added": self.added, "changed": self.changed, "removed": self.removed}
        return {word: ", ".join(names) for word, names in known.items() if names}

    def told(self) -> Reloaded:
        """Return what whoever asked for it hears."""
        return Reloaded(
            added=list(self.added), changed=list(self.changed), removed=list(self.removed)
        )


def changes(old: Loaded, new: Loaded) -> Changes:
    """Return what differs.

    Raises:
        ConfigError: more than connections, policies and shared secrets does.
    """
    fixed = [words for words, before, after in _fixed(old, new) if before != after]
    if fixed:
        raise ConfigError(
            f"nothing was changed: {', '.join(fixed)} differ, which takes a restart of ikeway"
        )
    before, after = _by_name(old), _by_name(new)
    kept = before.keys() & after.keys()
    return Changes(
        added=tuple(name for name in after if name not in before),
        changed=tuple(name for name in after if name in kept and after[name] != before[name]),
        removed=tuple(name for name in before if name not in after),
    )


def _fixed(old: Loaded, new: Loaded) -> tuple[tuple[str, object, object], ...]:
    """Return what the parts of a daemon are made from when it begins."""
    return (
        ("[host]", old.host, new.host),
        ("[dataplane]", old.dataplane, new.dataplane),
        ("[pools]", old.pools, new.pools),
        ("[limits]", old.limits, new.limits),
        ("[radius]", old.radius, new.radius),
        ("[store]", old.store, new.store),
        ("sources of revocation in [credentials]", old.sources, new.sources),
        ("keys in tokens", old.tokens, new.tokens),
        ("certificates, keys or accounts", _lasting(old), _lasting(new)),
    )


def _lasting(loaded: Loaded) -> Credentials:
    return replace(loaded.credentials, secrets=(), ppks=())


def _by_name(loaded: Loaded) -> dict[str, Connection]:
    return {one.name: one for one in loaded.connections}


async def enforce(
    old: Loaded, network: HostNetwork | None, plane: DataPlane, warn: Callable[[str], object]
) -> tuple[Loaded, Changes]:
    """Put the policies of the configuration as it is now into force; return it, and what differs.

    Raises:
        ConfigError: it is wrong, or takes a restart.
        HostError: the host or the data plane refuses its policies.
    """
    new = await asyncio.to_thread(load, old.file)
    found = changes(old, new)
    for remark in await _govern(old, new, network, plane):
        warn(remark)
    return new, found


async def _govern(
    old: Loaded, new: Loaded, network: HostNetwork | None, plane: DataPlane
) -> tuple[str, ...]:
    """Put other policies into force, all of them or none; return what the host cannot do."""
    guard, remarks = guard_of(new), tuple[str, ...]()
    if network is not None and guard != guard_of(old):
        remarks = await network.govern(guard)
    try:
        if new.policies != old.policies:
            await plane.govern(new.policies)
    except HostError:
        if network is not None:
            await network.govern(guard_of(old))
        raise
    return remarks


@contextmanager
def on_hangup(
    reload: Callable[[], Awaitable[Reloaded]], warn: Callable[[str], object]
) -> Iterator[None]:
    """Reload at SIGHUP, as daemons do; whoever sent it reads in the log what became of it."""
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    async def heed() -> None:
        try:
            await reload()
        except IkewayError as error:
            warn(f"the configuration is not reloaded: {error}")

    def begin() -> None:
        task = loop.create_task(heed())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, begin)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        for task in tasks:
            task.cancel()

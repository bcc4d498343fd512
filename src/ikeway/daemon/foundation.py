# SPDX-License-Identifier: Apache-2.0
"""What a daemon stands on, with workers or without: host, data plane and control socket."""

import gc
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final, Protocol

from structlog import get_logger

from ikeway.auth.radius.orders import Order
from ikeway.config.load import Loaded
from ikeway.control.rundir import RunDir
from ikeway.daemon import server
from ikeway.daemon.departures import Departures, Leaving
from ikeway.daemon.guarding import guard_of
from ikeway.daemon.radius import take_orders
from ikeway.dataplane import open_plane
from ikeway.dataplane.port import DataPlane, PlaneConfig
from ikeway.model.address import NAT_PORT
from ikeway.model.secret import Secret
from ikeway.runtime import crash_key, steering
from ikeway.runtime.network import HostNetwork

QUEUES_MOST: Final = 16
"""More are there if asked for only: each has to know every pair of SAs."""
COLLECT_AFTER: Final = 20_000


class Daemon(server.Daemon, Protocol):
    """A daemon from its beginning to its end."""

    def begin(self) -> None:
        """Open the sockets.

        Raises:
            HostError: a port cannot be had.
        """
        ...

    async def serve(self) -> None:
        """Work until told to end, by a signal or a request."""
        ...

    async def obey(self, order: Order) -> int:
        """Carry an order of a RADIUS server out; return how many sessions it was about."""
        ...

    async def depart(self, leaving: list[Leaving]) -> list[str]:
        """Delete the IKE SAs of users; return their ids."""
        ...

    async def close(self) -> None:
        """Leave nothing open."""
        ...


async def serve(
    loaded: Loaded,
    run_dir: RunDir,
    network: HostNetwork | None,
    make: Callable[[DataPlane], Daemon],
) -> None:
    """Open what a daemon needs, make it and let it work; all is closed again behind it.

    Raises:
        HostError: a port, the engine or the network is not to be had.
    """
    async with AsyncExitStack() as stack:
        if network is not None:
            await network.recover()
        settings, host = loaded.dataplane, loaded.host
        sockets = steering.QUEUES * host.workers
        where = PlaneConfig(
            host.listen,
            NAT_PORT,
            settings.interface,
            settings.mtu,
            ike_sockets=sockets,
            queues=settings.queues or queues_that_pay(),
            busy_poll=settings.busy_poll,
            compresses=compresses(loaded),
        )
        plane = await open_plane(settings.backend, run_dir.path, where)
        stack.push_async_callback(plane.close)
        # An engine that outlived a daemon has pairs whose IKE SAs died with that. What still comes
        # in on them would vanish here, where the peer can be told that nobody knows them.
        await plane.reset()
        if network is not None and plane.interface is not None:
            await network.open(plane.interface, settings.mtu)
            stack.push_async_callback(network.close)
            for remark in await network.govern(guard_of(loaded)):
                get_logger("ikeway").warning(remark)
        await plane.govern(loaded.policies)
        daemon = make(plane)
        stack.push_async_callback(daemon.close)
        daemon.begin()
        warn = get_logger("ikeway").warning
        orders = await take_orders(loaded.radius, daemon.obey, warn)
        if orders is not None:
            stack.callback(orders.close)
        departures = Departures(loaded.store, daemon.depart, warn)
        stack.push_async_callback(departures.close)
        departures.begin()
        control = server.ControlServer(run_dir.path, daemon, departures.look)
        await control.open()
        stack.push_async_callback(control.close)
        spare_the_collector()
        await daemon.serve()


def compresses(loaded: Loaded) -> bool:
    """Return whether a Child SA of a connection may be compressed (RFC 3173)."""
    return any(policy.ipcomp for one in loaded.connections for policy in one.child_policies)


def queues_that_pay() -> int:
    """Return one for every two processors that we may use: each queue has two threads."""
    return min(max(len(os.sched_getaffinity(0)) // 2, 1), QUEUES_MOST)


def ready(loaded: Loaded, plane: DataPlane) -> dict[str, str | None]:
    """Return what the log says of a daemon that has begun."""
    return {
        "listen": ", ".join(str(address) for address in loaded.host.listen),
        "connections": ", ".join(one.name for one in loaded.connections) or "none",
        "interface": plane.interface,
    }


def crash_secrets(loaded: Loaded, run_dir: RunDir) -> tuple[Secret, ...]:
    """Return the secrets of our crash tokens: none where the operator wants no tokens."""
    if not loaded.host.crash_detection:
        return ()
    return (crash_key.load(loaded.host.crash_key or run_dir.crash_key),)


def spare_the_collector() -> None:
    """Let cycles be looked for less often, and never among what is there from the start.

    IKE SAs are trees of frozen values and go when they are dropped; with many of them the
    collector would look through all again and again and find nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)

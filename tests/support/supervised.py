# SPDX-License-Identifier: Apache-2.0
"""Real supervisors in one process: sockets on the loopback, and data planes that move nothing."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ikeway.daemon.instruments import Instruments
from ikeway.daemon.share import Share
from ikeway.daemon.supervisor import Supervisor
from ikeway.dataplane.null import NullDataPlane
from ikeway.runtime import network as host_network
from support.configured import loaded

PATIENCE = 5.0


class Supervised:
    """One supervisor at work, and the data plane that it has."""

    def __init__(self, supervisor: Supervisor, plane: NullDataPlane) -> None:
        self.supervisor = supervisor
        self.plane = plane


@asynccontextmanager
async def supervising(
    folder: Path,
    config: str,
    address: str = "127.0.0.1",
    network: host_network.HostNetwork | None = None,
    share: Share | None = None,
) -> AsyncIterator[Supervised]:
    """Let a supervisor work that believes that its sockets are those of ports 500 and 4500."""
    plane = NullDataPlane(())
    made = Supervisor(loaded(folder, config), plane, network, Instruments(), share or Share())
    made.join([_bound(address)], [_bound(address)])
    work = asyncio.get_running_loop().create_task(made.work())
    try:
        yield Supervised(made, plane)
    finally:
        made.shutdown()
        await work
        await made.close()
        await plane.close()


def _bound(address: str) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind((address, 0))
    return bound


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    for _ in range(int(PATIENCE / 0.01)):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(what)

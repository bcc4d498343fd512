# SPDX-License-Identifier: Apache-2.0
"""A daemon without IKE behind a real control socket, for tests of the protocol and of commands."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from ikeway.control.rundir import RunDir
from ikeway.control.schema import Drain, Drained, DrainedSa, EventLine, Outcome, Reloaded
from ikeway.control.status import (
    ChildStatus,
    CompressionStatus,
    DrainStatus,
    IkeStatus,
    NatStatus,
    PartyStatus,
    RetryStatus,
    Status,
    StreamStatus,
)
from ikeway.daemon.server import ControlServer
from ikeway.model.errors import ConfigError, HostError, UsageError

OFFICE = IkeStatus(
    id="0102030405060708",
    connection="office",
    state="established",
    role="initiator",
    local=PartyStatus(address="192.0.2.1", port=4500, id="laptop@example.com"),
    peer=PartyStatus(address="203.0.113.7", port=4500, id="vpn.example.com"),
    virtual_ips=["10.66.0.2", "fd66::2"],
    suite="aes256gcm16-prfsha384-x25519",
    established_at=1_760_000_000.0,
    rekey_at=None,
    transport="udp",
    nat=NatStatus(local=True),
    child_sas=[
        ChildStatus(
            name="office",
            mode="tunnel",
            spi_in="c0000001",
            spi_out="c0000002",
            local_ts=["10.66.0.2/32"],
            peer_ts=["10.0.0.0/8"],
            suite="aes256gcm16-esn",
            bytes_in=1234,
            bytes_out=5678,
            packets_in=3,
            packets_out=4,
            path_mtu=1280,
            compression=CompressionStatus(
                packets_out=2, plain_bytes_out=3000, packed_bytes_out=1000
            ),
            stream=StreamStatus(
                per_second=900.0, rtt=0.0231, loss_event_rate=0.0125, breaker="closed"
            ),
        )
    ],
)


class FakeDaemon:
    """Keeps the promises of the `Daemon` port, without doing anything."""

    def __init__(self) -> None:
        self.sas = [OFFICE]
        self.retries: list[RetryStatus] = []
        self.draining: list[DrainStatus] = []
        self.ended = asyncio.Event()
        self.events: asyncio.Queue[EventLine | None] = asyncio.Queue()
        self.watching = 0

    async def status(self) -> Status:
        return Status(ike_sas=self.sas, retries=self.retries, draining=self.draining)

    async def reload(self) -> Reloaded:
        if self.retries:
            raise ConfigError("nothing was changed: [host] differ, which takes a restart of ikeway")
        return Reloaded(added=["new"], changed=["office"], removed=["old"])

    async def users_changed(self) -> list[str]:
        return [sa.id for sa in self.sas]

    async def disconnect(self, target: str) -> list[str]:
        gone = [sa for sa in self.sas if target in {sa.id, sa.connection}]
        if not gone:
            raise UsageError(f"there is no IKE SA {target!r}")
        self.sas = [sa for sa in self.sas if sa not in gone]
        return [sa.id for sa in gone]

    async def initiate(self, name: str) -> str:
        if name == "office":
            self.tell("Established", "IKE SA established with vpn.example.com", connection=name)
            return OFFICE.id
        if name == "unreachable":
            raise HostError("Network is unreachable")
        if name == "broken":
            raise OSError(5, "a fault inside")
        raise UsageError(f"there is no connection {name!r}")

    async def drain(self, order: Drain) -> Drained:
        if order.connection not in {None, "office"}:
            raise UsageError(f"no clients come by a connection {order.connection!r}")
        self.draining = [DrainStatus(connection="office", to=order.to)] if order.to else []
        outcome: Outcome = "disconnected" if order.disconnect else "sent" if order.to else "stays"
        said = "it does not follow redirects" if order.disconnect else None
        who = DrainedSa(
            id=OFFICE.id,
            connection="office",
            peer="laptop.example.com at 192.0.2.1",
            outcome=outcome,
            reason=said,
        )
        return Drained(ike_sas=[who])

    async def watch(self) -> AsyncIterator[EventLine]:
        self.watching += 1
        try:
            while (event := await self.events.get()) is not None:
                yield event
        finally:
            self.watching -= 1

    def shutdown(self) -> None:
        self.ended.set()

    def tell(self, kind: str, text: str, **facts: object) -> None:
        self.events.put_nowait(EventLine(at=1.0, level="info", event=kind, text=text, facts=facts))


@contextmanager
def running_daemon(run_dir: Path) -> Iterator[FakeDaemon]:
    """A daemon in a thread of its own, claimed run directory and all, until it is told to end."""
    begun, found = threading.Event(), []

    async def live() -> None:
        daemon = FakeDaemon()
        found.append((daemon, asyncio.get_running_loop()))
        server = ControlServer(run_dir, daemon, daemon.users_changed)
        with RunDir(run_dir).claim():
            await server.open()
            begun.set()
            await daemon.ended.wait()
            await server.close()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    assert begun.wait(10)
    daemon, loop = found[0]
    try:
        yield daemon
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(daemon.shutdown)
        thread.join(10)
        assert not thread.is_alive()

# SPDX-License-Identifier: Apache-2.0
"""The data plane of our own engine, a process that outlives the daemon (RFC 4303, RFC 3948)."""

import asyncio
import errno
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from typing_extensions import override

from ikeway.dataplane.advice import host_error
from ikeway.dataplane.engine_channel import (
    Answer,
    EngineChannel,
    EngineGoneError,
    EngineRefusedError,
)
from ikeway.dataplane.engine_end import ended
from ikeway.dataplane.engine_messages import (
    PROTOCOL_VERSION,
    child_sa,
    configuration,
    endpoint,
    policies_of,
    read_paths,
    read_usages,
    selectors,
)
from ikeway.dataplane.port import DataPlane, PlaneConfig, PlaneEvent
from ikeway.dataplane.pulse import answered, watch
from ikeway.model.address import Address, Endpoint
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa, Encapsulation, Usage
from ikeway.model.policies import TrafficPolicy
from ikeway.model.selectors import Selectors
from ikeway.model.time import Instant, Seconds

SOCKET_NAME: Final = "engine.sock"
LINGER_SECONDS: Final = 30.0

# The longest path that a unix socket can have (sun_path, less its terminator).
_PATH_OCTETS: Final = 107
_SHUTDOWN_SECONDS: Final = 5.0
_GIVES_BACK: Final[Seconds] = 3.0
"""How long the kernel may take to have back the interface and the sockets of one that is gone."""
_LOOKS_AGAIN: Final[Seconds] = 0.02
_TAKEN: Final = frozenset({errno.EBUSY, errno.EADDRINUSE})


class EngineDataPlane(DataPlane):
    """A connection to the engine process.

    `is_resumed` says whether the engine was running already, maybe with pairs: see `usages`.
    """

    def __init__(self, channel: EngineChannel, path: Path, config: PlaneConfig) -> None:
        self._channel = channel
        self._path = path
        self._config = config
        self._sockets: tuple[socket.socket, ...] = ()
        self._interface: str | None = None
        self.is_resumed = False

    @classmethod
    async def start(
        cls, run_dir: Path, config: PlaneConfig, linger: float = LINGER_SECONDS
    ) -> Self:
        """Take over the engine of `run_dir`, or start one, and configure it.

        An engine of another version or configuration is shut down first. Without a daemon the
        engine goes on for `linger` seconds.

        Raises:
            HostError: the engine cannot be started, or cannot listen or make its interface.
        """
        path = run_dir / SOCKET_NAME
        if len(str(path).encode()) > _PATH_OCTETS:
            raise HostError(f"{path} is too long for a unix socket: choose a shorter run directory")
        plane = await cls._attach(path, config)
        if plane is not None:
            return plane
        # What one leaves behind that was killed; it may still be giving back what it had.
        patience = _GIVES_BACK if path.exists() else 0.0
        await _launch(path, linger)
        plane = await cls._attach(path, config, patience)
        if plane is None:
            raise HostError(f"the engine that was started does not answer at {path}")
        return plane

    @property
    def channel(self) -> EngineChannel:
        """The way to the engine's process."""
        return self._channel

    @property
    @override
    def interface(self) -> str | None:
        return self._interface

    @property
    @override
    def esp_sockets(self) -> int:
        return self._config.queues

    @override
    def ike_sockets(self) -> tuple[socket.socket, ...]:
        return self._sockets

    @override
    async def install(self, child: ChildSa, *, standby: bool = False) -> None:
        await self._ask("install", standby=standby, child=child_sa(child))

    @override
    async def activate(self, spi_in: int) -> None:
        await self._ask("activate", spi_in=spi_in)

    @override
    async def migrate(
        self,
        spi_in: int,
        local: Endpoint,
        peer: Endpoint,
        encapsulation: Encapsulation = Encapsulation.UDP,
    ) -> None:
        ends = {"local": endpoint(local), "peer": endpoint(peer)}
        await self._ask("migrate", spi_in=spi_in, **ends, encapsulation=encapsulation.value)

    @override
    async def remove(self, spi_in: int) -> Usage:
        answer = await self._ask("remove", spi_in=spi_in)
        return read_usages(answer.fields)[spi_in]

    @override
    async def trap(self, number: int, local_ts: Selectors, peer_ts: Selectors) -> None:
        sides = {"local_ts": selectors(local_ts), "peer_ts": selectors(peer_ts)}
        await self._ask("trap", trap=number, **sides)

    @override
    async def untrap(self, number: int) -> None:
        await self._ask("untrap", trap=number)

    @override
    async def govern(self, policies: tuple[TrafficPolicy, ...]) -> None:
        await self._ask("govern", policies=policies_of(policies))

    @override
    async def usage(self, spi_in: int) -> Usage:
        answer = await self._ask("usage", spi_in=spi_in)
        return read_usages(answer.fields)[spi_in]

    @override
    async def usages(self) -> Mapping[int, Usage]:
        usages: dict[int, Usage] = {}
        start: int | None = 0
        while start is not None:
            page = (await self._ask("usages", start=start)).fields
            usages.update(read_usages(page))
            start = page["next"]
        return usages

    @override
    async def paths(self) -> Mapping[Address, int]:
        paths: dict[Address, int] = {}
        after: str | None = None
        while True:
            page = (await self._ask("paths", after=after)).fields
            paths.update(read_paths(page))
            after = page["next"]
            if after is None:
                return paths

    async def refused(self) -> Mapping[str, int]:
        """Return how many packets the engine dropped since it started, by reason."""
        counts: Mapping[str, int] = (await self._ask("usages", start=0)).fields["refused"]
        return counts

    async def process_id(self) -> int:
        """Return the number of the engine's process."""
        number: int = (await self._ask("hello")).fields["pid"]
        return number

    @override
    async def reset(self) -> None:
        await self._ask("reset")

    @override
    def events(self) -> AsyncIterator[PlaneEvent]:
        return self._channel.events()

    @override
    async def close(self) -> None:
        try:
            await self._shutdown()
        finally:
            await self.detach()

    @override
    async def detach(self) -> None:
        self._channel.close()
        for each in self._sockets:
            each.close()

    @classmethod
    async def _attach(cls, path: Path, config: PlaneConfig, patience: Seconds = 0.0) -> Self | None:
        """Return the configured engine at `path`, or None if there is none that can be used.

        For so long it tries to get what another one may be about to give back.
        """
        try:
            channel = EngineChannel.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise host_error(
                f"control socket {path}: {error.strerror}", error.errno, config
            ) from error
        plane = cls(channel, path, config)
        try:
            is_ours = await plane._configure(patience)
        except EngineGoneError:
            await plane.detach()
            await ended(channel.process_id, _GIVES_BACK)
            return None
        except BaseException:
            await plane.detach()
            raise
        if is_ours:
            return plane
        await plane.close()
        return None

    async def _configure(self, patience: Seconds) -> bool:
        """Configure the engine; False if it has another version or configuration."""
        until = asyncio.get_running_loop().time() + patience
        try:
            hello = await answered(self._channel, "hello")
            watch(self._channel)
            if hello.fields["version"] != PROTOCOL_VERSION:
                return False
            answer = await self._configured(until)
        except EngineRefusedError as refusal:
            if refusal.kind == "conflict":
                return False
            raise self._error(refusal) from refusal
        self.is_resumed = hello.fields["is_configured"]
        self._interface = answer.fields["interface"]
        self._sockets = tuple(socket.socket(fileno=fd) for fd in answer.descriptors)
        for each in self._sockets:
            each.setblocking(False)
        return True

    async def _configured(self, until: Instant) -> Answer:
        while True:
            try:
                return await self._channel.ask(
                    "configure", configuration=configuration(self._config)
                )
            except EngineRefusedError as refusal:
                if refusal.number not in _TAKEN or asyncio.get_running_loop().time() >= until:
                    raise
            await asyncio.sleep(_LOOKS_AGAIN)

    async def _shutdown(self) -> None:
        """End the engine and wait until its interface and sockets are gone."""
        if self._channel.is_gone.is_set():
            return
        with suppress(EngineGoneError):
            await self._ask("shutdown")
        async with asyncio.timeout(_SHUTDOWN_SECONDS):
            await self._channel.is_gone.wait()

    async def _ask(self, operation: str, **fields: Any) -> Answer:
        try:
            return await self._channel.ask(operation, **fields)
        except EngineRefusedError as refusal:
            raise self._error(refusal) from refusal

    def _error(self, refusal: EngineRefusedError) -> HostError:
        return host_error(refusal.message, refusal.number, self._config)


async def _launch(path: Path, linger: float) -> None:
    """Start the engine process, which is no child of this one when this returns."""
    command = (sys.executable, "-P", "-m", "ikeway.dataplane.engine_process")
    # Not asyncio's: under uvloop the engine would inherit descriptors and hold its stderr open.
    launcher = await asyncio.to_thread(
        subprocess.run,
        (*command, "--socket", str(path), "--linger", str(linger)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if launcher.returncode != 0:
        words = launcher.stderr
        raise HostError(f"the engine did not start: {words.decode(errors='replace').strip()}")

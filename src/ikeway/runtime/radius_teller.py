# SPDX-License-Identifier: Apache-2.0
"""Tells RADIUS servers of sessions until one has taken it (RFC 2866 §2, §5.2): nothing is lost."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ikeway.auth.radius import accounting
from ikeway.auth.radius.packet import Attribute
from ikeway.auth.radius.registry import AcctStatus, Code
from ikeway.model.errors import HostError
from ikeway.model.time import Seconds
from ikeway.runtime.radius import RadiusClient

RETRY: Final[Seconds] = 30.0
"""When what no server has taken is told again."""
KEPT_MOST: Final = 10_000
"""How much is kept for that; then the oldest is lost, and said to be."""
FLUSH: Final[Seconds] = 2.0
"""How long the end of the daemon waits for servers to take what is left."""


class RadiusTeller:
    """Sends accounting requests. `name` is our NAS-Identifier, `boot` names this run of ours."""

    def __init__(
        self, client: RadiusClient, name: str, boot: str, tell: Callable[[str], None]
    ) -> None:
        self._client = client
        self._name = name
        self._boot = boot
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._kept: deque[tuple[float, tuple[Attribute, ...]]] = deque(maxlen=KEPT_MOST)
        self._tasks: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Tell the servers that no session of before lives (RFC 2866 §5.1)."""
        self.say(accounting.power(AcctStatus.ACCOUNTING_ON, self._name, self._boot))

    async def close(self) -> None:
        """Say that all is over, and give the servers a moment to take what is left."""
        self.say(accounting.power(AcctStatus.ACCOUNTING_OFF, self._name, self._boot))
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH):
                await asyncio.gather(*self._tasks)
        if self._retry is not None:
            self._retry.cancel()
        if self._kept:
            self._tell(f"{len(self._kept)} accounting requests were taken by no RADIUS server")
        self._client.close()

    def say(self, attributes: tuple[Attribute, ...]) -> None:
        """Send a request, now and until a server has it."""
        self._deliver(self._loop.time(), attributes)

    def _deliver(self, since: float, attributes: tuple[Attribute, ...]) -> None:
        task = self._loop.create_task(self._ask(since, attributes))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, since: float, attributes: tuple[Attribute, ...]) -> None:
        late = round(self._loop.time() - since)
        told = accounting.delayed(attributes, late) if late else attributes
        try:
            await self._client.ask(Code.ACCOUNTING_REQUEST, told)
        except HostError as error:
            self._keep(since, attributes, str(error))

    def _keep(self, since: float, attributes: tuple[Attribute, ...], reason: str) -> None:
        if len(self._kept) == KEPT_MOST:
            self._tell("accounts are lost: more waits for a RADIUS server than is kept")
        self._kept.append((since, attributes))
        if self._retry is None:
            self._tell(f"{reason}; accounting is told again in {RETRY:g} s")
            self._retry = self._loop.call_later(RETRY, self._again)

    def _again(self) -> None:
        self._retry = None
        kept, self._kept = self._kept, deque(maxlen=KEPT_MOST)
        for since, attributes in kept:
            self._deliver(since, attributes)

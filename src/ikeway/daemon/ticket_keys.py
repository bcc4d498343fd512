# SPDX-License-Identifier: Apache-2.0
"""The secrets of tickets: drawn when the daemon begins, and each day anew (RFC 5723 §6.2, §9.5).

They live in memory only. After a restart nobody resumes: clients begin anew, at once.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final

from ikeway.crypto.tokens import SECRET_OCTETS
from ikeway.ike.resumption import LIFETIME_MOST
from ikeway.ike.revoked import Revoked
from ikeway.ike.tickets import TicketSecrets
from ikeway.model.secret import Secret
from ikeway.model.time import Seconds

ROTATION: Final[Seconds] = LIFETIME_MOST
"""The secret before the newest opens tickets too, so that each is good until its end."""


class TicketKeys:
    """Draws secrets and has each told; with workers, also knows which tickets are void."""

    def __init__(self, tell: Callable[[Secret], None]) -> None:
        self._tell = tell
        self._secrets = TicketSecrets()
        self._task: asyncio.Task[None] | None = None
        self.revoked = Revoked()

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets that open tickets, the one that seals them last."""
        return self._secrets.known[::-1]

    def begin(self) -> None:
        """Draw the first secret, and others as time goes by."""
        self._draw()
        self._task = asyncio.get_running_loop().create_task(self._rotate())

    def end(self) -> None:
        """Draw no more."""
        if self._task is not None:
            self._task.cancel()

    async def _rotate(self) -> None:
        while True:
            await asyncio.sleep(ROTATION)
            self._draw()

    def _draw(self) -> None:
        secret = Secret(os.urandom(SECRET_OCTETS))
        self._secrets.learn(secret)
        self._tell(secret)

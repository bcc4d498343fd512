# SPDX-License-Identifier: Apache-2.0
"""Which connections are to stay up, and how long to wait before each is started again."""

from collections.abc import Iterable
from typing import Final

from ikeway.model.time import Seconds

BACK_OFF: Final[tuple[Seconds, ...]] = (1.0, 2.0, 5.0, 10.0, 30.0)
"""How long to wait before the next try; the last goes on for ever."""


class Upkeep:
    """Knows the IKE SAs of each connection, on their way or up, whoever started them.

    A connection is started again when its last one is gone. To start one for each that ends would
    double them with every outage, where both sides start.
    """

    def __init__(self, wanted: Iterable[str]) -> None:
        self._wanted = frozenset(wanted)
        self._alive: dict[str, set[bytes]] = {}
        self._failures: dict[str, int] = {}
        self._waiting: set[str] = set()

    def begin(self, name: str) -> bool:
        """Whether a start that was waited for is still needed; it is not waited for any more."""
        self._waiting.discard(name)
        return not self._alive.get(name)

    def started(self, name: str, sa: bytes) -> None:
        """Note that an IKE SA is on its way."""
        self._alive.setdefault(name, set()).add(sa)

    def established(self, name: str, sa: bytes) -> None:
        """Note that an IKE SA is up."""
        self._alive.setdefault(name, set()).add(sa)
        self._failures.pop(name, None)

    def rekeyed(self, name: str, sa: bytes, successor: bytes) -> None:
        """Note that another IKE SA took the place of one."""
        alive = self._alive.setdefault(name, set())
        alive.discard(sa)
        alive.add(successor)

    def closed(self, name: str, sa: bytes) -> Seconds | None:
        """Note that an IKE SA is gone; return when to start the connection again, if at all."""
        left = self._alive.get(name, set())
        left.discard(sa)
        return None if left else self.failed(name)

    def failed(self, name: str) -> Seconds | None:
        """Note that a connection could not be started; return when to try again, if at all."""
        if name not in self._wanted or name in self._waiting:
            return None
        self._waiting.add(name)
        failures = self._failures.get(name, 0)
        self._failures[name] = failures + 1
        return BACK_OFF[min(failures, len(BACK_OFF) - 1)]

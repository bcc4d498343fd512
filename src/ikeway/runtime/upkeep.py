# SPDX-License-Identifier: Apache-2.0
"""Which connections are to stay up, and how long to wait before each is started again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ikeway.model.time import Instant, Seconds

BACK_OFF: Final[tuple[Seconds, ...]] = (1.0, 2.0, 5.0, 10.0, 30.0)
"""How long to wait before the next try; the last goes on for ever."""

JITTER: Final = 0.25
"""The part by which a wait is shorter or longer: those whom one outage hit do not come at once."""

STEADY: Final[Seconds] = 10.0
"""An IKE SA that lived so long was a success: patience with the connection is new."""

MISSED: Final[Seconds] = 0.25
"""How soon, on average, a connection is started again that was steady until now."""


@dataclass(frozen=True, slots=True)
class Retry:
    """A connection that is down is started again at `at`; it failed `failures` times in a row."""

    connection: str
    at: Instant
    reason: str
    failures: int


class Upkeep:
    """Knows the IKE SAs of each connection, on their way or up, whoever started them.

    A connection is started again when its last one is gone. To start one for each that ends would
    double them with every outage, where both sides start. One that somebody ended on purpose rests
    until somebody starts it. `draw` gives numbers from 0 to 1.
    """

    def __init__(self, wanted: Iterable[str], draw: Callable[[], float]) -> None:
        self._wanted = frozenset(wanted)
        self._draw = draw
        self._alive: dict[str, set[bytes]] = {}
        self._since: dict[bytes, Instant] = {}
        self._failures: dict[str, int] = {}
        self._waiting: dict[str, Retry] = {}
        self._resting: set[str] = set()

    @property
    def waiting(self) -> tuple[Retry, ...]:
        """The connections that are down and will be started again."""
        return tuple(self._waiting.values())

    def want(self, names: Iterable[str]) -> None:
        """Keep these up from now on, and no others."""
        self._wanted = frozenset(names)
        for known in (self._waiting, self._failures):
            for name in known.keys() - self._wanted:
                known.pop(name)
        self._resting &= self._wanted

    def begin(self, name: str) -> bool:
        """Whether a start that was waited for is still needed; it is not waited for any more."""
        self._waiting.pop(name, None)
        return name not in self._resting and not self._alive.get(name)

    def rest(self, name: str) -> bool:
        """Start a connection no more until it is woken; return whether it was to stay up."""
        if name not in self._wanted or name in self._resting:
            return False
        self._waiting.pop(name, None)
        self._failures.pop(name, None)
        self._resting.add(name)
        return True

    def wake(self, name: str) -> None:
        """Note that somebody wants a connection up."""
        self._resting.discard(name)

    def started(self, name: str, sa: bytes) -> None:
        """Note that an IKE SA is on its way."""
        self._alive.setdefault(name, set()).add(sa)

    def established(self, name: str, sa: bytes, now: Instant) -> None:
        """Note that an IKE SA is up."""
        self._alive.setdefault(name, set()).add(sa)
        self._since[sa] = now

    def rekeyed(self, name: str, sa: bytes, successor: bytes, now: Instant) -> None:
        """Note that another IKE SA took the place of one."""
        alive = self._alive.setdefault(name, set())
        alive.discard(sa)
        alive.add(successor)
        self._since[successor] = self._since.pop(sa, now)

    def closed(self, name: str, sa: bytes, reason: str, now: Instant) -> Seconds | None:
        """Note that an IKE SA is gone; return when to start the connection again, if at all."""
        left = self._alive.get(name, set())
        left.discard(sa)
        was_steady = now - self._since.pop(sa, now) >= STEADY
        if was_steady:
            self._failures.pop(name, None)
        if left:
            return None
        return self._missed(name, reason, now) if was_steady else self.failed(name, reason, now)

    def failed(self, name: str, reason: str, now: Instant) -> Seconds | None:
        """Note that a connection could not be started; return when to try again, if at all."""
        if not self._may_wait(name):
            return None
        failures = self._failures.get(name, 0) + 1
        self._failures[name] = failures
        wait = BACK_OFF[min(failures, len(BACK_OFF)) - 1]
        wait *= 1.0 + JITTER * (2.0 * self._draw() - 1.0)
        self._waiting[name] = Retry(name, now + wait, reason, failures)
        return wait

    def _missed(self, name: str, reason: str, now: Instant) -> Seconds | None:
        """Return when to start a steady connection again, if at all: that is no failure yet."""
        if not self._may_wait(name):
            return None
        wait = 2.0 * MISSED * self._draw()
        self._waiting[name] = Retry(name, now + wait, reason, 0)
        return wait

    def _may_wait(self, name: str) -> bool:
        """Whether a connection that is down is to be started again, and is not yet."""
        return name in self._wanted and name not in self._waiting and name not in self._resting

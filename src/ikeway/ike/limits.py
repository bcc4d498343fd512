# SPDX-License-Identifier: Apache-2.0
"""How often something may happen that anybody can cause."""

from ikeway.model.time import Instant


class RateLimit:
    """A token bucket."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, per_second: float, burst: int) -> None:
        self._rate = per_second
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at: Instant | None = None

    def allows(self, now: Instant) -> bool:
        """Whether it may happen once more now; if so, it has happened."""
        passed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        self._tokens = min(self._burst, self._tokens + passed * self._rate)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

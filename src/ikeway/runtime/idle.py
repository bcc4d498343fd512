# SPDX-License-Identifier: Apache-2.0
"""Which Child SAs carry nothing any more, so that those on demand can be closed."""

from collections.abc import Mapping

from ikeway.model.esp import Usage
from ikeway.model.time import Instant, Seconds


class Idleness:
    """Remembers when the counters of each Child SA last changed."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, Instant]] = {}

    def idle(
        self, usages: Mapping[int, Usage], patience: Mapping[int, Seconds], now: Instant
    ) -> tuple[int, ...]:
        """Return the inbound SPIs of those that were idle for longer than their patience."""
        found = []
        seen: dict[int, tuple[int, Instant]] = {}
        for spi, wait in patience.items():
            usage = usages.get(spi)
            if usage is None:
                continue
            count = usage.packets_in + usage.packets_out
            before, since = self._seen.get(spi, (-1, now))
            seen[spi] = (count, since if count == before else now)
            if now - seen[spi][1] >= wait:
                found.append(spi)
        self._seen = seen
        return tuple(found)

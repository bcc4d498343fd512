# SPDX-License-Identifier: Apache-2.0
"""Which gateway sent us where we are, and how often that may happen (RFC 5685 §7)."""

from dataclasses import dataclass
from typing import Final

from ikeway.model.address import Address
from ikeway.model.errors import MalformedError
from ikeway.model.time import Instant, Seconds

REDIRECTS_MOST: Final = 5
PERIOD: Final[Seconds] = 300.0
"""MAX_REDIRECTS and REDIRECT_LOOP_DETECT_PERIOD."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Who redirected us last, and when we were redirected."""

    origin: Address | None = None
    times: tuple[Instant, ...] = ()

    def after(self, origin: Address, now: Instant) -> "Trail":
        """Return the trail after one more redirect, by the gateway at `origin`.

        Raises:
            MalformedError: it is one too many.
        """
        recent = tuple(at for at in self.times if at + PERIOD > now)
        if len(recent) >= REDIRECTS_MOST:
            raise MalformedError(f"more than {REDIRECTS_MOST} redirects in {PERIOD:.0f} s")
        return Trail(origin, (*recent, now))

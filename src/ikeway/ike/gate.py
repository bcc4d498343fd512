# SPDX-License-Identifier: Apache-2.0
"""Who may make us compute: what an IKE_SA_INIT request has to bring (RFC 7296 §2.6, RFC 8019 §6).

Nothing at first; a cookie when many IKE SAs are half open, or many of one source; a solved puzzle
when cookies do not help. Until it has brought that, a request costs a walk along its payloads and
a few short hashes: no decoding, no key exchange, and no memory (I4, I5).
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from ikeway.crypto.puzzle import Puzzle, check_solution
from ikeway.crypto.random import Random
from ikeway.ike import puzzles
from ikeway.ike.cookies import Challenge, Cookies, Terms
from ikeway.ike.half_open import HalfOpen
from ikeway.ike.io import Datagram
from ikeway.ike.limits import RateLimit
from ikeway.ike.opening import Opening, glance, is_resuming
from ikeway.ike.sources import Meter, Source, source_of
from ikeway.model.errors import IntegrityError
from ikeway.model.time import Instant, Seconds
from ikeway.policy.limits import Limits
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

LEGACY_SHARE: Final = 0.25
"""Of those who return a cookie but do not solve puzzles, how many are served at the least load."""
FLOODED: Final[Seconds] = 0.1
"""How long nobody is counted when too many come: then it is seen again how many do."""
FAILURE_COST: Final = 20.0
"""How many requests an IKE SA counts for that came to nothing."""


class Demand(Enum):
    """What a request has to bring."""

    NOTHING = "nothing"
    COOKIE = "a cookie"
    PUZZLE = "a solved puzzle"


@dataclass(frozen=True, slots=True)
class Admitted:
    """Go on with the request; `cookie` is what it brought where it had to, and is used up then."""

    cookie: bytes
    is_pressed: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """Answer with these notifies instead."""

    notifies: tuple[Notify, ...]
    demand: Demand


@dataclass(frozen=True, slots=True)
class Refused:
    """Drop the request, for this reason."""

    reason: str


Verdict: TypeAlias = Admitted | Asked | Refused


class Gate:
    """Decides about IKE_SA_INIT requests, from how many IKE SAs are half open."""

    def __init__(self, limits: Limits, random: Random, half_open: HalfOpen) -> None:
        self._limits = limits
        self._random = random
        self._half_open = half_open
        self._cookies = Cookies(random)
        rate = float(limits.source_rate)
        self._few = RateLimit(rate, limits.source_rate)
        self._all = RateLimit(float(limits.total_rate), limits.total_rate)
        self._sources = Meter(random, rate, rate)
        self._flooded_until: Instant = -math.inf

    def decide(self, datagram: Datagram, now: Instant) -> Verdict:
        """Return what becomes of a request.

        Raises:
            PeerError: it cannot be read where it has to be, or it has no PRF of ours.
        """
        opening, source = glance(datagram.octets), source_of(datagram.peer.address)
        demand = self._demand(source, now)
        if self._half_open.is_full:
            return Refused(f"{len(self._half_open)} IKE SAs are half open")
        if demand is Demand.NOTHING:
            return Admitted(b"", is_pressed=False)
        try:
            terms = self._cookies.check(opening, datagram.peer.address.packed, now)
        except IntegrityError:
            return self._ask_cookie(opening, datagram, now)
        if demand is Demand.COOKIE or is_resuming(datagram.octets):
            # RFC 8019 §4.5: who has a ticket is preferred, after a return routability check.
            return Admitted(opening.cookie, is_pressed=True)
        return self._judge(opening, terms, datagram, now)

    def challenge(self, now: Instant) -> Challenge | None:
        """Return what everybody has to return a cookie of now; None if not everybody has to."""
        if now < self._flooded_until or len(self._half_open) >= self._limits.cookies_from:
            return self._cookies.challenge(now)
        return None

    def spend(self, admitted: Admitted) -> None:
        """Note that a request has made an IKE SA."""
        if admitted.cookie:
            self._cookies.spend(admitted.cookie)

    def failed(self, source: Source, now: Instant) -> None:
        """Note that an IKE SA came to nothing: whoever is there counts for many from now on."""
        self._sources.charge(source.key, now, FAILURE_COST)

    def _demand(self, source: Source, now: Instant) -> Demand:
        limits, half_open = self._limits, self._half_open
        total, of_source = len(half_open), half_open.count(source.key)
        is_much = (
            total >= limits.puzzles_from
            or of_source >= limits.source_half_open
            or half_open.count(source.network) >= limits.network_half_open
        )
        is_flood = now < self._flooded_until or not self._all.allows(now)
        if is_flood and now >= self._flooded_until:
            self._flooded_until = now + FLOODED
        is_quick = not self._few.allows(now) and not self._sources.allows(source.key, now)
        if is_much:
            return Demand.PUZZLE
        if (
            is_flood
            or is_quick
            or total >= limits.cookies_from
            or of_source >= limits.source_cookies_from
        ):
            return Demand.COOKIE
        return Demand.NOTHING

    def _ask_cookie(self, opening: Opening, datagram: Datagram, now: Instant) -> Asked:
        cookie = self._cookies.make(opening, datagram.peer.address.packed, now)
        return Asked((Notify(NotifyType.COOKIE, cookie),), Demand.COOKIE)

    # Puzzles (RFC 8019 §7.1) ----------------------------------------------------------------------

    def _judge(self, opening: Opening, terms: Terms, datagram: Datagram, now: Instant) -> Verdict:
        """Decide about a request whose source is proven, when that is not enough (§7.1.4)."""
        if not terms.bits:
            return self._ask_puzzle(opening, datagram, now)
        try:
            check_solution(Puzzle(terms.prf, terms.bits, opening.cookie), opening.solution)
        except IntegrityError:
            if self._is_lucky(source_of(datagram.peer.address)):
                return Admitted(opening.cookie, is_pressed=True)
            return Refused("a puzzle that is not solved")
        return Admitted(opening.cookie, is_pressed=True)

    def _ask_puzzle(self, opening: Opening, datagram: Datagram, now: Instant) -> Asked:
        terms = Terms(puzzles.choose_prf(datagram.octets), self._bits())
        cookie = self._cookies.make(opening, datagram.peer.address.packed, now, terms)
        asked = puzzles.notify(terms.prf, terms.bits)
        return Asked((Notify(NotifyType.COOKIE, cookie), asked), Demand.PUZZLE)

    def _fill(self) -> float:
        """Return how far we are between where puzzles begin and where nothing goes any more."""
        room = self._limits.half_open - self._limits.puzzles_from
        over = len(self._half_open) - self._limits.puzzles_from
        return min(1.0, max(0.0, over / room)) if room > 0 else 1.0

    def _bits(self) -> int:
        return puzzles.difficulty(self._fill(), self._limits.puzzle_bits)

    def _is_lucky(self, source: Source) -> bool:
        """Draw lots for those who cannot solve puzzles; none for a source that has had its share.

        §7.1: they are served with a probability that sinks as the load rises.
        """
        if self._half_open.count(source.key) >= 2 * self._limits.source_half_open:
            return False
        return self._random.octets(1)[0] < 256 * LEGACY_SHARE * (1.0 - self._fill())

# SPDX-License-Identifier: Apache-2.0
"""Cookies: what a stranger has to send back before we compute anything (RFC 7296 §2.6).

Nothing is remembered of a cookie that is given; of one that made an IKE SA, that it did, so that
nobody starts many with it or with the solution of its puzzle (RFC 8019 §10).
"""

from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from ikeway.crypto.random import Random
from ikeway.crypto.tokens import CODE_OCTETS, SECRET_OCTETS, check_code, code
from ikeway.ike.opening import Opening
from ikeway.model.errors import IntegrityError
from ikeway.model.secret import Secret
from ikeway.model.time import Instant, Seconds

LIFETIME: Final[Seconds] = 30.0
"""How long cookies are made with one secret; they are taken for as long again."""
SPENT_MOST: Final = 65_536
"""How many cookies of one secret may make an IKE SA before there is a new one."""

_TERMS: Final = Struct("!BHHB")
"""Which secret, tenths of a second since it came, and the puzzle that was given with it."""
_TENTHS: Final = 10
_SECRETS_KEPT: Final = 2


@dataclass(frozen=True, slots=True)
class Terms:
    """What was asked together with a cookie: `bits` is 0 where it was only the cookie."""

    prf: int = 0
    bits: int = 0


@dataclass(frozen=True, slots=True)
class Challenge:
    """What all cookies of a moment are made of and checked with.

    `secrets` are numbered, the one in use first; `head` is what cookies begin with.
    """

    secrets: tuple[tuple[int, Secret], ...]
    head: bytes

    def cookie(self, opening: Opening, source: bytes) -> bytes:
        """Return the cookie for a request from an address, which is as IP headers have it."""
        _, secret = self.secrets[0]
        return self.head + code(secret, _bound(self.head, opening, source))

    def check(self, opening: Opening, source: bytes) -> None:
        """Check the cookie of a request.

        Raises:
            IntegrityError: it is not of ours, too old, or of another request.
        """
        cookie = opening.cookie
        if len(cookie) != _TERMS.size + CODE_OCTETS:
            raise IntegrityError("no cookie of ours")
        head = cookie[: _TERMS.size]
        for number, secret in self.secrets:
            if number == head[0]:
                bound = _bound(head, opening, source)
                check_code(secret, bound, cookie[_TERMS.size :], "a cookie")
                return
        raise IntegrityError("a cookie of a secret that is gone")


@dataclass(slots=True)
class _Generation:
    number: int
    secret: Secret
    since: Instant
    spent: set[bytes] = field(default_factory=set)


class Cookies:
    """Makes and checks cookies. Secrets are drawn when the first cookie is asked for, and rotate.

    Cookie = generation | when | puzzle | code(SPIi | IPi | generation | when | puzzle | Ni). The
    port is left out: a NAT may change it between two requests.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._generations: list[_Generation] = []

    def make(self, opening: Opening, source: bytes, now: Instant, terms: Terms = Terms()) -> bytes:
        """Return the cookie that this request has to come back with."""
        return self.challenge(now, terms).cookie(opening, source)

    def challenge(self, now: Instant, terms: Terms = Terms()) -> Challenge:
        """Return what cookies are made of at this moment."""
        current = self._current(now)
        when = min(int((now - current.since) * _TENTHS), 0xFFFF)
        head = _TERMS.pack(current.number, when, terms.prf, terms.bits)
        return Challenge(tuple((one.number, one.secret) for one in self._generations), head)

    def check(self, opening: Opening, source: bytes, now: Instant) -> Terms:
        """Return what was asked for when the request's cookie was given.

        Raises:
            IntegrityError: it is not of ours, too old, of another request, or used up.
        """
        self.challenge(now).check(opening, source)
        if any(opening.cookie in known.spent for known in self._generations):
            raise IntegrityError("a cookie that has made an IKE SA")
        _, _, prf, bits = _TERMS.unpack(opening.cookie[: _TERMS.size])
        return Terms(prf, bits)

    def spend(self, cookie: bytes) -> None:
        """Note that a cookie, which was checked, has made an IKE SA."""
        for known in self._generations:
            if known.number == cookie[0]:
                known.spent.add(cookie)

    def _current(self, now: Instant) -> _Generation:
        if not self._generations or self._is_old(self._generations[0], now):
            self._rotate(now)
        return self._generations[0]

    def _is_old(self, current: _Generation, now: Instant) -> bool:
        return now >= current.since + LIFETIME or len(current.spent) >= SPENT_MOST

    def _rotate(self, now: Instant) -> None:
        """Draw a new secret. After a rest the last one is as old as one that was replaced twice."""
        number = (self._generations[0].number + 1) % 256 if self._generations else 0
        fresh = _Generation(number, Secret(self._random.octets(SECRET_OCTETS)), now)
        kept = [one for one in self._generations if now < one.since + _SECRETS_KEPT * LIFETIME]
        self._generations = [fresh, *kept][:_SECRETS_KEPT]


def _bound(head: bytes, opening: Opening, source: bytes) -> bytes:
    """Return what a cookie is bound to. All but the last have a fixed length, or tell it."""
    return b"".join((opening.spi_i, head, bytes((len(source),)), source, opening.nonce))

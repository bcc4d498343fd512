# SPDX-License-Identifier: Apache-2.0
"""OCSP responses about our own certificates, for peers that ask for them (RFC 4806 §4.2).

A handshake does not wait for a responder: it gets what is at hand, and what is old is fetched anew
meanwhile. Only the first answer of all, which is asked for when the daemon starts, is waited for a
moment: connections start with the daemon.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from ikeway.crypto import ocsp
from ikeway.crypto.certificate import Certificate, names_equal
from ikeway.crypto.revocation import Status, responders
from ikeway.model.errors import AuthenticationError, HostError
from ikeway.policy.revocation import StatusSources
from ikeway.runtime.crls import AGAIN
from ikeway.runtime.fetch import Bounds, Fetcher

OCTETS_MOST: Final = 16 << 10
"""More would hardly fit into a message beside a chain."""
FIRST_SECONDS: Final = 1.0
_OCSP: Final = "application/ocsp-request"


@dataclass(frozen=True, slots=True)
class _Held:
    """The last response about a certificate, if there is one, and when we asked for it."""

    octets: bytes
    status: Status | None
    asked: datetime


class Stapler:
    """Holds a response for each certificate of ours that names a responder."""

    def __init__(
        self,
        sources: StatusSources,
        authorities: Sequence[Certificate],
        warn: Callable[[str], None],
    ) -> None:
        self._sources = sources
        self._authorities = authorities
        self._warn = warn
        self._fetcher = Fetcher(Bounds(sources.timeout, OCTETS_MOST))
        self._held: dict[bytes, _Held] = {}
        self._under_way: dict[bytes, asyncio.Task[_Held]] = {}

    def of(self, chain: Sequence[Certificate], at: datetime) -> tuple[bytes, ...]:
        """Return the responses about a chain of ours that count now, and see to the others."""
        found = []
        for certificate in chain:
            issuer = self._issuer(certificate, chain)
            if issuer is None or not self._sources.fetch or not responders(certificate):
                continue
            held = self._held.get(certificate.der)
            if held is None or at >= held.asked + self._patience(held):
                self._begin(certificate, issuer, at)
            if held is not None and held.status is not None and at < held.status.until:
                found.append(held.octets)
        return tuple(found)

    def is_awaited(self, chain: Sequence[Certificate]) -> bool:
        """Whether the first answer of all about one of these is under way."""
        return any(one.der in self._under_way and one.der not in self._held for one in chain)

    async def first(self) -> None:
        """Wait for the answers that are under way, but not for long."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=FIRST_SECONDS)
            await asyncio.sleep(0)

    def _issuer(self, certificate: Certificate, chain: Sequence[Certificate]) -> Certificate | None:
        """Return who issued it; nobody says of an authority at the top that it was revoked."""
        if names_equal(certificate.subject_der, certificate.issuer_der):
            return None
        known = (*chain, *self._authorities)
        return next(
            (one for one in known if names_equal(one.subject_der, certificate.issuer_der)), None
        )

    def _patience(self, held: _Held) -> timedelta:
        recheck = timedelta(seconds=self._sources.recheck)
        return recheck if held.status is not None else min(recheck, AGAIN)

    def _begin(self, certificate: Certificate, issuer: Certificate, at: datetime) -> None:
        if certificate.der in self._under_way:
            return
        task = asyncio.get_running_loop().create_task(self._ask(certificate, issuer, at))
        self._under_way[certificate.der] = task
        task.add_done_callback(partial(self._done, certificate.der))

    def _done(self, name: bytes, task: "asyncio.Task[_Held]") -> None:
        self._under_way.pop(name, None)
        if not task.cancelled():
            self._held[name] = task.result()

    async def _ask(self, certificate: Certificate, issuer: Certificate, at: datetime) -> _Held:
        """Ask the responders; where none answers, what was said before stays, while it counts."""
        reasons = []
        for url in responders(certificate):
            try:
                question = ocsp.request(certificate, issuer, None)
                octets = await self._fetcher.fetch(url, question, _OCSP)
                status = ocsp.status(octets, certificate, issuer, at, None)
            except HostError as error:
                reasons.append(str(error))
            except AuthenticationError as error:
                reasons.append(f"{url}: {error.reason}")
            else:
                if status.revoked is None:
                    return _Held(octets, status, at)
                self._warn(f"our own certificate {certificate.subject} was {status.revoked}")
                return _Held(b"", None, at)
        self._warn(f"no status of {certificate.subject} to show to peers: {'; '.join(reasons)}")
        before = self._held.get(certificate.der)
        return _Held(before.octets, before.status, at) if before else _Held(b"", None, at)

    async def close(self) -> None:
        """Stop asking."""
        for task in tuple(self._under_way.values()):
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

# SPDX-License-Identifier: Apache-2.0
"""Finds out whether the certificates of a chain were taken back (RFC 5280 §6.3, RFC 6960)."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Final

from ikeway.crypto import ocsp
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.revocation import Status, distribution_points, responders
from ikeway.model.errors import AuthenticationError, HostError
from ikeway.policy.revocation import Revocation, StatusSources
from ikeway.runtime.crls import AGAIN, Crls
from ikeway.runtime.fetch import Bounds, Fetcher

REMEMBERED_MOST: Final = 4096
OCSP_OCTETS: Final = 64 << 10
_OCSP: Final = "application/ocsp-request"


@dataclass(frozen=True, slots=True)
class Checked:
    """A chain that nothing is known against. `doubts` are what could not be found out."""

    until: datetime
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Said:
    """What a responder said of a certificate, or why nothing, and when it was asked."""

    status: Status | None
    why: str
    at: datetime


class StatusDesk:
    """Knows, or finds out, the status of certificates; each source is asked once for all."""

    def __init__(self, sources: StatusSources) -> None:
        self._sources = sources
        fetcher = Fetcher(Bounds(sources.timeout, sources.octets))
        self._ocsp = Fetcher(Bounds(sources.timeout, OCSP_OCTETS))
        self._crls = Crls(sources, fetcher.fetch)
        self._said: OrderedDict[tuple[bytes, bytes], _Said] = OrderedDict()
        self._under_way: dict[tuple[bytes, bytes], asyncio.Task[_Said]] = {}

    def has_source(self, chain: Sequence[Certificate]) -> bool:
        """Whether anything could ever say that a certificate of the chain was revoked."""
        if self._sources.crls:
            return True
        return self._sources.fetch and any(
            responders(one) or distribution_points(one) for one in chain[:-1]
        )

    async def check(
        self,
        chain: Sequence[Certificate],
        policy: Revocation,
        stapled: Sequence[bytes],
        at: datetime,
    ) -> Checked:
        """Return until when the chain's status is known; `stapled` are OCSP responses of its owner.

        Raises:
            AuthenticationError: a certificate was revoked; or its status is not to be had, and the
                policy is strict.
        """
        until = at + timedelta(seconds=self._sources.recheck)
        doubts: list[str] = []
        for certificate, issuer in pairwise(chain):
            try:
                status = await self._status(certificate, issuer, stapled, at)
            except AuthenticationError as error:
                doubt = f"{certificate.subject}: {error.reason}"
                if policy is Revocation.STRICT:
                    raise AuthenticationError(f"is it revoked? {doubt}") from error
                doubts.append(doubt)
                until = min(until, at + AGAIN)
                continue
            if status.revoked is not None:
                raise AuthenticationError(f"{certificate.subject} was {status.revoked}")
            until = min(until, status.until)
        return Checked(until, tuple(doubts))

    async def _status(
        self, certificate: Certificate, issuer: Certificate, stapled: Sequence[bytes], at: datetime
    ) -> Status:
        """Return the status by the first source that knows it; files of the operator's first.

        Raises:
            AuthenticationError: none knows it.
        """
        reasons: list[str] = []
        filed: Status | None = None
        try:
            filed = self._crls.of_files(certificate, issuer, at)
        except AuthenticationError as error:
            reasons.append(error.reason)
        if filed and filed.revoked:
            return filed
        for response in stapled:
            try:
                return ocsp.status(response, certificate, issuer, at, None)
            except AuthenticationError as error:
                reasons.append(error.reason)
        fetched = await self._fetched(certificate, issuer, at, reasons)
        if fetched or filed:
            return fetched or filed  # type: ignore[return-value]
        raise AuthenticationError("; ".join(reasons))

    async def _fetched(
        self, certificate: Certificate, issuer: Certificate, at: datetime, reasons: list[str]
    ) -> Status | None:
        """Return the status by OCSP, or else by the CRL of a distribution point."""
        if not self._sources.fetch:
            return None
        try:
            async with asyncio.timeout(2 * self._sources.timeout):
                for ask in (self._by_ocsp, self._crls.of_points):
                    try:
                        return await ask(certificate, issuer, at)
                    except AuthenticationError as error:
                        reasons.append(error.reason)
        except TimeoutError:
            reasons.append("its sources take too long to answer")
        return None

    async def _by_ocsp(self, certificate: Certificate, issuer: Certificate, at: datetime) -> Status:
        if not responders(certificate):
            raise AuthenticationError("it names no OCSP responder")
        name = issuer.subject_key_hash + issuer.subject_der, certificate.der
        known = self._said.get(name)
        if known is None or at >= known.at + self._patience(known):
            task = self._under_way.get(name)
            if task is None:
                task = asyncio.get_running_loop().create_task(
                    self._ask(certificate, issuer, known, at)
                )
                self._under_way[name] = task
                task.add_done_callback(partial(self._done, name))
            known = await asyncio.shield(task)
        if known.status is None or (known.status.until <= at and not known.status.revoked):
            raise AuthenticationError(known.why or "the OCSP response is out of date")
        return known.status

    def _done(self, name: tuple[bytes, bytes], task: "asyncio.Task[_Said]") -> None:
        self._under_way.pop(name, None)
        if not task.cancelled():
            self._said[name] = task.result()
            self._said.move_to_end(name)
            while len(self._said) > REMEMBERED_MOST:
                self._said.popitem(last=False)

    def _patience(self, known: _Said) -> timedelta:
        recheck = timedelta(seconds=self._sources.recheck)
        return recheck if known.status and not known.why else min(recheck, AGAIN)

    async def _ask(
        self, certificate: Certificate, issuer: Certificate, known: _Said | None, at: datetime
    ) -> _Said:
        """Ask the responders; where none answers, what was said before stays, while it counts."""
        reasons = []
        for url in responders(certificate):
            nonce = os.urandom(ocsp.NONCE_OCTETS)
            try:
                octets = await self._ocsp.fetch(
                    url, ocsp.request(certificate, issuer, nonce), _OCSP
                )
                return _Said(ocsp.status(octets, certificate, issuer, at, nonce), "", at)
            except HostError as error:
                reasons.append(str(error))
            except AuthenticationError as error:
                reasons.append(f"{url}: {error.reason}")
        return _Said(known.status if known else None, "; ".join(reasons), at)

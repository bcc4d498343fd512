# SPDX-License-Identifier: Apache-2.0
"""The CRLs at hand: files of the operator's, and what distribution points published (RFC 5280)."""

import asyncio
import hashlib
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.crl import Crl, check_issuer, status
from ikeway.crypto.revocation import Status, distribution_points, freshest
from ikeway.model.errors import AuthenticationError, HostError
from ikeway.policy.revocation import StatusSources

REMEMBERED_MOST: Final = 256
AGAIN: Final = timedelta(seconds=60)
"""After so long a place that had nothing for us is asked once more."""

Fetch = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Found:
    """What came from a place, or why nothing did, and when it was asked."""

    crl: Crl | None
    why: str
    at: datetime


class Crls:
    """Lists by where they come from. Those that were fetched survive in a folder, if there is one.

    A list counts for an issuer only once that issuer's key has signed it.
    """

    def __init__(self, sources: StatusSources, fetch: Fetch) -> None:
        self._sources = sources
        self._fetch = fetch
        self._files: dict[Path, tuple[int, Crl]] = {}
        self._places: OrderedDict[str, Found] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[Found]] = {}
        self._checked: OrderedDict[tuple[bytes, bytes], None] = OrderedDict()

    # Files ------------------------------------------------------------------------------------

    def of_files(self, certificate: Certificate, issuer: Certificate, at: datetime) -> Status:
        """Return what the operator's files say of a certificate.

        Raises:
            AuthenticationError: nothing that counts.
        """
        reasons: list[str] = []
        lists = [crl for crl in self._read(reasons) if self._is_of(crl, issuer, reasons)]
        deltas = [crl for crl in lists if crl.base is not None]
        found: list[Status] = []
        for crl in lists:
            if crl.base is not None:
                continue
            try:
                found.append(status(crl, _newest(deltas), certificate, at))
            except AuthenticationError as error:
                reasons.append(error.reason)
        for each in found:
            if each.revoked:
                return each
        if not found:
            raise AuthenticationError("; ".join(reasons) or "no CRL file of its issuer")
        return max(found, key=lambda each: each.until)

    def _read(self, reasons: list[str]) -> Iterator[Crl]:
        """Return the lists in the files; one that has changed is read again."""
        for name in self._sources.crls:
            path = Path(name)
            try:
                changed = path.stat().st_mtime_ns
                known = self._files.get(path)
                if known is None or known[0] != changed:
                    known = changed, Crl.of(path.read_bytes())
                    self._files[path] = known
                yield known[1]
            except OSError as error:
                reasons.append(f"{path}: {error.strerror}")
            except AuthenticationError as error:
                reasons.append(f"{path}: {error.reason}")

    def _is_of(self, crl: Crl, issuer: Certificate, reasons: list[str]) -> bool:
        """Whether an issuer made a list; signatures that hold are remembered."""
        name = hashlib.sha256(crl.der).digest(), issuer.der
        if name not in self._checked:
            try:
                check_issuer(crl, issuer)
            except AuthenticationError as error:
                reasons.append(error.reason)
                return False
            self._checked[name] = None
            while len(self._checked) > REMEMBERED_MOST:
                self._checked.popitem(last=False)
        return True

    # Distribution points ----------------------------------------------------------------------

    async def of_points(
        self, certificate: Certificate, issuer: Certificate, at: datetime
    ) -> Status:
        """Return what the lists at the certificate's distribution points say of it.

        Raises:
            AuthenticationError: nothing that counts.
        """
        reasons: list[str] = []
        for url in distribution_points(certificate):
            found = await self._at(url, at)
            if found.crl is None:
                reasons.append(found.why)
                continue
            if not self._is_of(found.crl, issuer, reasons):
                continue
            try:
                delta = await self._delta(found.crl, certificate, issuer, at)
                return status(found.crl, delta, certificate, at)
            except AuthenticationError as error:
                reasons.append(error.reason)
        raise AuthenticationError("; ".join(reasons) or "it names no distribution point")

    async def _delta(
        self, crl: Crl, certificate: Certificate, issuer: Certificate, at: datetime
    ) -> Crl | None:
        """Return the newest delta; without one the list counts as it is."""
        urls = (*freshest(certificate.extensions), *freshest(crl.extensions))
        found = [(await self._at(url, at)).crl for url in dict.fromkeys(urls)]
        return _newest([one for one in found if one and self._is_of(one, issuer, [])])

    async def _at(self, url: str, at: datetime) -> Found:
        """Return what is at a place, asked for anew if that is due, and once for all who wait."""
        known = self._places.get(url) or self._kept(url, at)
        if known is not None and at < known.at + self._patience(known):
            return known
        task = self._under_way.get(url)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(url, known, at))
            self._under_way[url] = task
            task.add_done_callback(lambda _: self._under_way.pop(url, None))
        return await asyncio.shield(task)

    def _patience(self, known: Found) -> timedelta:
        recheck = timedelta(seconds=self._sources.recheck)
        return recheck if known.crl and not known.why else min(recheck, AGAIN)

    async def _ask(self, url: str, known: Found | None, at: datetime) -> Found:
        """Fetch a list; where that fails the one that is known stays: it says how old it is."""
        try:
            octets = await self._fetch(url)
            found = Found(await asyncio.to_thread(Crl.of, octets), "", at)
            await asyncio.to_thread(self._keep, url, found.crl)
        except HostError as error:
            found = Found(known.crl if known else None, str(error), at)
        except AuthenticationError as error:
            found = Found(known.crl if known else None, f"{url}: {error.reason}", at)
        self._places[url] = found
        self._places.move_to_end(url)
        while len(self._places) > REMEMBERED_MOST:
            self._places.popitem(last=False)
        return found

    # The folder -------------------------------------------------------------------------------

    def _path(self, url: str) -> Path | None:
        folder = self._sources.cache
        name = hashlib.sha256(url.encode()).hexdigest()[:32]
        return None if folder is None else Path(folder) / f"{name}.crl"

    def _keep(self, url: str, crl: Crl | None) -> None:
        path = self._path(url)
        if path is None or crl is None:
            return
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished = path.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(crl.der)
            unfinished.replace(path)

    def _kept(self, url: str, at: datetime) -> Found | None:
        """Return the list that was fetched in an earlier life; it is asked for anew at once."""
        path = self._path(url)
        if path is None:
            return None
        try:
            crl = Crl.of(path.read_bytes())
        except (OSError, AuthenticationError):
            return None
        return Found(crl, "", at - timedelta(seconds=self._sources.recheck))


def _newest(deltas: list[Crl]) -> Crl | None:
    return max(deltas, key=lambda crl: crl.number, default=None)

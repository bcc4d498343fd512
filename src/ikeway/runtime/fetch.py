# SPDX-License-Identifier: Apache-2.0
"""Fetches small things over HTTP for the checks of certificates: CRLs, OCSP, certificates.

What is fetched is signed, so plain HTTP will do (RFC 5280 §8), and must, where TLS would ask for
the check that is under way. A fetch has bounds in time and size, and goes nowhere else than asked:
a redirect is refused.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ikeway.model.errors import HostError
from ikeway.model.time import Seconds

AT_ONCE: Final = 16
_HEAD_OCTETS: Final = 16 << 10
_STATUS: Final = re.compile(rb"HTTP/1\.\d (\d{3})[ \r]")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d{1,12}) *\r\n", re.IGNORECASE)
_CODED: Final = re.compile(rb"\r\n(?:transfer|content)-encoding: *(?!identity)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a fetch may take in all, and how much may come."""

    seconds: Seconds
    octets: int


class Fetcher:
    """An HTTP client of few words; while many fetches are under way, others wait their turn."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def fetch(self, url: str, body: bytes | None = None, kind: str = "") -> bytes:
        """Return what is at a URL; with a body of a media type, what is answered to it.

        Raises:
            HostError: it cannot be had, within the bounds.
        """
        parts = _parts(url)
        try:
            async with asyncio.timeout(self._bounds.seconds), self._slots:
                return await self._fetch(parts, body, kind)
        except TimeoutError as error:
            raise HostError(f"{url}: not in {self._bounds.seconds:g} s") from error
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            raise HostError(f"{url}: {error}") from error
        except asyncio.LimitOverrunError as error:
            raise HostError(f"{url}: its answer is no HTTP") from error

    async def _fetch(self, parts: SplitResult, body: bytes | None, kind: str) -> bytes:
        reader, writer = await asyncio.open_connection(
            parts.hostname, parts.port or 80, limit=_HEAD_OCTETS
        )
        try:
            writer.write(_request(parts, body, kind))
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            return await self._content(reader, head)
        finally:
            writer.close()

    async def _content(self, reader: asyncio.StreamReader, head: bytes) -> bytes:
        status = _STATUS.match(head)
        if status is None or status[1] != b"200":
            raise ValueError(f"it answers {head.splitlines()[0][:80].decode('latin-1')!r}")
        if _CODED.search(head):
            raise ValueError("it answers in an encoding that was not asked for")
        length, most = _LENGTH.search(head), self._bounds.octets
        if length is not None and int(length[1]) > most:
            raise ValueError(f"{int(length[1])} octets, more than {most}")
        if length is not None:
            return await reader.readexactly(int(length[1]))
        found = bytearray()
        while part := await reader.read(1 << 16):
            found += part
            if len(found) > most:
                raise ValueError(f"more than {most} octets")
        return bytes(found)


def _parts(url: str) -> SplitResult:
    """Return the parts of a URL that we can fetch.

    Raises:
        HostError: it is none.
    """
    try:
        parts = urlsplit(url)
        is_fit = parts.scheme == "http" and parts.hostname and not parts.username
        is_fit = is_fit and parts.port != 0 and url.isascii() and url.isprintable()
    except ValueError as error:
        raise HostError(f"{url[:200]!r}: {error}") from error
    if not is_fit:
        raise HostError(f"{url[:200]!r}: not http://HOST/..., which is all that we fetch")
    return parts


def _request(parts: SplitResult, body: bytes | None, kind: str) -> bytes:
    """Return the request: HTTP/1.0, whose answers end with the connection and come in one piece."""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.0", f"Host: {parts.netloc}"]
    if body is not None:
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).replace(" \r\n", "\r\n").encode() + (body or b"")

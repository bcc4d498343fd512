# SPDX-License-Identifier: Apache-2.0
"""Fetches certificates that a peer names by hash and URL (RFC 7296 §3.6), where that is allowed.

The peer has proven nothing yet: it must not have us send requests to where it likes. Only URLs
within the operator's list are fetched, within bounds, and what comes must have the hash.
"""

from collections import OrderedDict
from hashlib import sha1
from typing import Final

from ikeway.crypto.der import decode
from ikeway.ike.questions import VerifyCertificate
from ikeway.model.errors import AuthenticationError, HostError
from ikeway.model.reference import Reference
from ikeway.model.time import Seconds
from ikeway.runtime.fetch import Bounds, Fetcher

OCTETS_MOST: Final = 64 << 10
REMEMBERED_MOST: Final = 256
_CERTIFICATE: Final = 0xA0


class References:
    """What was fetched is remembered by its hash, which no other content has."""

    def __init__(self, allowed: tuple[str, ...], timeout: Seconds) -> None:
        self._allowed = allowed
        self._fetcher = Fetcher(Bounds(timeout, OCTETS_MOST))
        self._known: OrderedDict[bytes, bytes] = OrderedDict()

    async def resolved(self, question: VerifyCertificate) -> tuple[bytes, ...]:
        """Return the chain with certificates in place of what names them.

        Raises:
            AuthenticationError: a URL is not allowed, cannot be fetched, or has something else.
        """
        chain: list[tuple[bytes, ...]] = [(der,) for der in question.chain]
        for reference in reversed(question.references):
            chain.insert(reference.place, await self._certificates(reference))
        return tuple(der for part in chain for der in part)

    async def _certificates(self, reference: Reference) -> tuple[bytes, ...]:
        content = await self._content(reference)
        if not reference.is_bundle:
            return (content,)
        try:
            return tuple(
                part.contents for part in decode(content).children() if part.tag == _CERTIFICATE
            )
        except ValueError as error:
            raise AuthenticationError(f"{reference.url}: no bundle: {error}") from error

    async def _content(self, reference: Reference) -> bytes:
        known = self._known.get(reference.digest)
        if known is not None:
            self._known.move_to_end(reference.digest)
            return known
        if not reference.is_within(self._allowed):
            raise AuthenticationError(
                f"the peer's certificate is at {reference.url[:200]!r}, which is not within"
                " credentials.certificate_urls"
            )
        try:
            content = await self._fetcher.fetch(reference.url)
        except HostError as error:
            raise AuthenticationError(f"the peer's certificate: {error}") from error
        if sha1(content, usedforsecurity=False).digest() != reference.digest:
            raise AuthenticationError(f"{reference.url}: another content than the peer's hash says")
        self._known[reference.digest] = content
        while len(self._known) > REMEMBERED_MOST:
            self._known.popitem(last=False)
        return content

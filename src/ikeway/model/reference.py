# SPDX-License-Identifier: Apache-2.0
"""A certificate that a peer names by its hash and a URL, instead of sending it (RFC 7296 §3.6)."""

from dataclasses import dataclass
from hashlib import sha1
from urllib.parse import unquote, urlsplit

HASH_OCTETS = 20


def refer(content: bytes, url: str) -> bytes:
    """Return the Certificate Data that names a content at a URL: its SHA-1, then the URL."""
    return sha1(content, usedforsecurity=False).digest() + url.encode("ascii")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a certificate is, or a bundle of them, and its SHA-1; `place` is that in the chain."""

    place: int
    digest: bytes
    url: str
    is_bundle: bool

    def is_within(self, allowed: tuple[str, ...]) -> bool:
        """Whether the URL begins as one that the operator allows: host, port and path."""
        try:
            asked = urlsplit(self.url)
            port = asked.port
        except ValueError:
            return False
        is_plain = asked.scheme == "http" and not asked.username and ".." not in unquote(asked.path)
        return is_plain and any(_begins(asked.hostname, port, asked.path, one) for one in allowed)


def _begins(host: str | None, port: int | None, path: str, allowed: str) -> bool:
    prefix = urlsplit(allowed)
    folder = prefix.path if prefix.path.endswith("/") else f"{prefix.path}/"
    same = (host, port or 80) == (prefix.hostname, prefix.port or 80)
    return same and (path.startswith(folder) or (path == prefix.path and bool(path)))

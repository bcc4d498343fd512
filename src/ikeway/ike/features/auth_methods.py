# SPDX-License-Identifier: Apache-2.0
"""SUPPORTED_AUTH_METHODS: by which methods of AUTH a peer may be proven (RFC 9593).

It only helps one who has several keys to show the right one. Nobody shows another proof for it than
the configuration says: most of it is said before anybody is authentic.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ikeway.auth.signatures import DIGITAL_SIGNATURE, OUR_HASHES, RSA_SHA1
from ikeway.crypto.sign import SCHEMES
from ikeway.policy.connection import Connection, Proof
from ikeway.wire.message import Message
from ikeway.wire.payloads import CertificateRequest, Notify
from ikeway.wire.registry import AuthMethod, CertEncoding, NotifyType

KIND: Final = NotifyType.SUPPORTED_AUTH_METHODS
MOST: Final = 64
"""More announcements of one peer are not looked at."""
LATER: Final = (Notify(KIND),)
"""Says in IKE_SA_INIT that the list comes in IKE_INTERMEDIATE, where it may be long (§3.1)."""
_WITHOUT_KEYS: Final = {
    Proof.PSK: AuthMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE,
    Proof.NULL: AuthMethod.NULL,
}
_SIGNED: Final = frozenset({Proof.CERTIFICATE, Proof.PUBKEY})
_NO_LINK: Final = 0


@dataclass(frozen=True, slots=True)
class Announced:
    """A method that a peer accepts: with that AlgorithmIdentifier, from under that authority."""

    method: int
    identifier: bytes = b""
    authority: bytes = b""

    def fits(
        self, method: int, identifiers: tuple[bytes, ...], authorities: frozenset[bytes]
    ) -> bool:
        """Whether a signature of that scheme, by a key under these authorities, is meant."""
        return (
            self.method == method
            and (not self.identifier or self.identifier in identifiers)
            and (not self.authority or self.authority in authorities)
        )


# Ours ---------------------------------------------------------------------------------------------


def announce(connections: tuple[Connection, ...]) -> tuple[Notify, ...]:
    """Return the list of what these connections accept, the best first, if one wants it said."""
    wanting = [connection for connection in connections if connection.announce_methods]
    if not wanting:
        return ()
    blobs = dict.fromkeys(blob for connection in wanting for blob in _blobs(connection))
    return (Notify(KIND, b"".join(blobs)),) if blobs else ()


def _blobs(connection: Connection) -> Iterator[bytes]:
    """Yield announcements in the three formats of §3.2; all are for any authority."""
    for proof in connection.accepted:
        if proof in _WITHOUT_KEYS:
            yield _blob(bytes([_WITHOUT_KEYS[proof]]))
        if proof in _SIGNED:
            for scheme in SCHEMES:
                if scheme.hash in OUR_HASHES:
                    yield _blob(bytes([DIGITAL_SIGNATURE, _NO_LINK]) + scheme.identifier)
            if connection.allow_sha1_signatures:
                yield _blob(bytes([RSA_SHA1, _NO_LINK]))


def _blob(rest: bytes) -> bytes:
    return bytes([1 + len(rest)]) + rest


# The peer's ---------------------------------------------------------------------------------------


def learn(message: Message, *, may_link: bool = True) -> tuple[Announced, ...]:
    """Return what the peer announces in a message, its best first; what we cannot read is ignored.

    Links are to the authorities that its CERTREQ payloads name in the same message; where there are
    none of these, a link counts for nothing, or, unless it `may_link` so, the announcement does.
    """
    lists = [notify.data for notify in message.all(Notify) if notify.type is KIND]
    authorities = _authorities(message)
    found: list[Announced] = []
    for blob in _split(b"".join(lists)):
        method, link = blob[0], blob[1] if len(blob) > 1 else _NO_LINK
        known = Announced(method, blob[2:])
        if link == _NO_LINK or (not authorities and may_link):
            found.append(known)
        elif link <= len(authorities):
            found.append(Announced(method, blob[2:], authorities[link - 1]))
    return tuple(found)


def _split(data: bytes) -> Iterator[bytes]:
    """Yield the announcements without their lengths, up to one that cannot be."""
    for _ in range(MOST):
        size = data[0] if data else 0
        if size < 2 or size > len(data):
            return
        yield data[1:size]
        data = data[size:]


def _authorities(message: Message) -> list[bytes]:
    """Return the authorities that the peer asks for, those of all CERTREQs in one list (§3.2.2)."""
    return [
        one
        for request in message.all(CertificateRequest)
        if request.encoding is CertEncoding.X509_SIGNATURE
        for one in request.hashes
    ]

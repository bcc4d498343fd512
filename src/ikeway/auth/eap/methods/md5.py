# SPDX-License-Identifier: Apache-2.0
"""EAP-MD5 (RFC 3748 §5.4, RFC 1994): proves the peer's password, not the server, and has no key."""

import hashlib
from hmac import compare_digest
from typing import Final

from ikeway.auth.eap.means import Means
from ikeway.auth.eap.method import Method, Proven, Say
from ikeway.auth.eap.packet import EapType, Packet
from ikeway.model.errors import AuthenticationError, MalformedError
from ikeway.model.secret import Secret

CHALLENGE_OCTETS: Final = 16
DIGEST_OCTETS: Final = 16


class Server:
    """Sends a challenge and checks the digest."""

    def __init__(self, means: Means, identity: bytes) -> None:
        self._identity = identity
        self._passwords = means.passwords
        self._challenge = means.random.octets(CHALLENGE_OCTETS)

    def begin(self, _identifier: int) -> bytes:
        """Return the challenge."""
        return bytes([CHALLENGE_OCTETS]) + self._challenge

    def handle(self, response: Packet, _identifier: int) -> Say | Proven:
        """Check the digest.

        Raises:
            AuthenticationError: it is of another password, or nobody has that name.
        """
        seen = _value(response.data)
        password = self._passwords.clear(self._identity)
        if password is None:
            raise AuthenticationError("EAP-MD5: nobody has that name and a password")
        if not compare_digest(_digest(response.identifier, password, self._challenge), seen):
            self._passwords.failed(self._identity)
            raise AuthenticationError("EAP-MD5: the password is wrong")
        return Proven(self._identity, None)


class Peer:
    """Answers one challenge."""

    def __init__(self, means: Means, identity: bytes) -> None:
        self._login = means.login(identity)

    def handle(self, request: Packet) -> Proven:
        """Return the digest over the challenge."""
        digest = _digest(request.identifier, self._login.password, _value(request.data))
        return Proven(self._login.identity, None, bytes([DIGEST_OCTETS]) + digest)


def _value(data: bytes) -> bytes:
    """Return the value before the name, which says nothing."""
    if not data or not data[0] or len(data) < 1 + data[0]:
        raise MalformedError("EAP-MD5: a value that is not there")
    return data[1 : 1 + data[0]]


def _digest(identifier: int, password: Secret, challenge: bytes) -> bytes:
    octets = bytes([identifier]) + password.octets + challenge
    return hashlib.md5(octets, usedforsecurity=False).digest()


METHOD: Final = Method(
    EapType.MD5_CHALLENGE,
    "md5",
    makes_key=False,
    may_stand_alone=False,
    serve=Server,
    join=Peer,
)

# SPDX-License-Identifier: Apache-2.0
"""EAP-GTC (RFC 3748 §5.6): the password itself, after a prompt. Only for inside a TLS tunnel."""

from typing import Final

from ikeway.auth.eap.means import Means
from ikeway.auth.eap.method import Method, Proven, Say
from ikeway.auth.eap.packet import EapType, Packet
from ikeway.model.errors import AuthenticationError
from ikeway.model.secret import Secret

PROMPT: Final = b"Password"


class Server:
    """Asks for the password."""

    def __init__(self, means: Means, identity: bytes) -> None:
        self._identity = identity
        self._passwords = means.passwords

    def begin(self, _identifier: int) -> bytes:
        """Return the prompt."""
        return PROMPT

    def handle(self, response: Packet, _identifier: int) -> Say | Proven:
        """Check the password.

        Raises:
            AuthenticationError: it is another one, or nobody has that name.
        """
        if not self._passwords.accepts(self._identity, Secret(response.data)):
            raise AuthenticationError("EAP-GTC: the password is wrong, or nobody has that name")
        return Proven(self._identity, None)


class Peer:
    """Says the password to whoever asks."""

    def __init__(self, means: Means, identity: bytes) -> None:
        self._login = means.login(identity)

    def handle(self, _request: Packet) -> Proven:
        """Return the password, whatever the prompt says."""
        return Proven(self._login.identity, None, self._login.password.octets)


METHOD: Final = Method(
    EapType.GTC,
    "gtc",
    makes_key=False,
    may_stand_alone=False,
    serve=Server,
    join=Peer,
)

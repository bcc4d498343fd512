# SPDX-License-Identifier: Apache-2.0
"""EAP-TLS (RFC 5216, RFC 9190): both sides prove themselves by certificate."""

from typing import Final

from typing_extensions import override

from ikeway.auth.certificates import identity_matches
from ikeway.auth.eap import identity as names
from ikeway.auth.eap.means import Means
from ikeway.auth.eap.method import Method, Move, Proven
from ikeway.auth.eap.packet import EapType
from ikeway.auth.eap.tls_method import Flavour, TlsPeer, TlsServer
from ikeway.crypto.certificate import Certificate
from ikeway.model.errors import AuthenticationError
from ikeway.model.identity import IdType

FLAVOUR: Final = Flavour(EapType.TLS, b"client EAP encryption")
COMMITMENT: Final = b"\0"
"""What a server says in TLS 1.3 once it believes the peer: no more handshake comes (RFC 9190)."""


class Server(TlsServer):
    """Believes the peer's certificate, whose name counts, not the one that was claimed."""

    def __init__(self, means: Means, identity: bytes) -> None:
        super().__init__(means, FLAVOUR, asks_certificate=True)
        self._identity = identity

    @override
    def _done(self, records: bytes) -> Move:
        more = self.tls.write(COMMITMENT) if self.tls.is_tls13 else b""
        return self.say(records + more)

    @override
    def _plain(self, plain: bytes) -> Move:
        if plain:
            raise AuthenticationError("EAP-TLS: data from a peer that has none to send")
        chain = self.tls.peer_chain()
        proven = _name(self._identity, chain[0])
        ders = tuple(each.der for each in chain)
        return Proven(proven, FLAVOUR.msk(self.tls), chain=ders)


def _name(claimed: bytes, leaf: Certificate) -> bytes:
    """Return the name that is proven: the claimed one if it is the certificate's, else its first.

    Raises:
        AuthenticationError: it has none that a user could have.
    """
    if claimed and identity_matches(names.of_user(claimed), leaf):
        return claimed
    for own in leaf.sans:
        if own.type in {IdType.FQDN, IdType.RFC822_ADDR}:
            return own.data
    raise AuthenticationError(f"EAP-TLS: the certificate of {leaf.subject} names no user")


class Peer(TlsPeer):
    """Shows our certificate to a server that is believed."""

    def __init__(self, means: Means, identity: bytes) -> None:
        super().__init__(means, FLAVOUR, shows_certificate=True)
        self._identity = identity

    @override
    def _done(self, records: bytes) -> Move:
        # In TLS 1.3 we are done first, and the server has yet to commit itself.
        return self.say(records) if records else self.proven(self._identity)

    @override
    def _plain(self, plain: bytes) -> Move:
        if not self.tls.is_tls13 or plain != COMMITMENT:
            raise AuthenticationError("EAP-TLS: the server does not commit itself")
        return self.proven(self._identity)


METHOD: Final = Method(
    EapType.TLS,
    "tls",
    makes_key=True,
    may_stand_alone=True,
    serve=Server,
    join=Peer,
)

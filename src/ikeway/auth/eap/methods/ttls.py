# SPDX-License-Identifier: Apache-2.0
"""EAP-TTLS (RFC 5281): a password, or another method, inside TLS that proves the server."""

from dataclasses import replace
from typing import Final

from typing_extensions import override

from ikeway.auth.eap.means import Means
from ikeway.auth.eap.method import Method, Move, Proven, Say
from ikeway.auth.eap.packet import EapType
from ikeway.auth.eap.tls_method import ACKNOWLEDGED, Flavour, TlsPeer, TlsServer
from ikeway.auth.eap.ttls_inner import InnerServer, Reply
from ikeway.auth.eap.ttls_inner_peer import InnerPeer, inner_peer
from ikeway.model.errors import AuthenticationError

FLAVOUR: Final = Flavour(EapType.TTLS, b"ttls keying material")


class Server(TlsServer):
    """Shows a certificate, and takes whatever proof of a password comes inside."""

    def __init__(self, means: Means, _identity: bytes) -> None:
        super().__init__(means, FLAVOUR, asks_certificate=False)
        self._inner = InnerServer(means, self.tls)

    @override
    def _done(self, records: bytes) -> Move:
        plain = self.tls.read(b"")
        if plain:  # in TLS 1.3 the peer says it along with the end of its handshake
            return self._answer(records, plain)
        return self.say(records) if records else Say(ACKNOWLEDGED)

    @override
    def _plain(self, plain: bytes) -> Move:
        return self._answer(b"", plain)

    def _answer(self, records: bytes, plain: bytes) -> Move:
        inner = self._inner.handle(plain)
        if isinstance(inner, Reply):
            return self.say(records + self.tls.write(inner.plain))
        return Proven(inner.identity, FLAVOUR.msk(self.tls))


class Peer(TlsPeer):
    """Believes the server, then proves the password inside."""

    def __init__(self, means: Means, identity: bytes) -> None:
        super().__init__(means, FLAVOUR, shows_certificate=False)
        self._identity = identity
        self._inner: InnerPeer = inner_peer(means, identity, self.tls)

    @override
    def _done(self, records: bytes) -> Move:
        first = self.tls.write(self._inner.begin())
        return self._go_on(records + first)

    @override
    def _plain(self, plain: bytes) -> Move:
        if not plain:
            raise AuthenticationError("EAP-TTLS: the server has nothing to say")
        said = self._inner.handle(plain)
        return self._go_on(self.tls.write(said) if said else b"")

    def _go_on(self, records: bytes) -> Move:
        told = self.say(records)
        if not self._inner.is_done:
            return told
        return replace(self.proven(self._identity), data=told.data)


METHOD: Final = Method(
    EapType.TTLS,
    "ttls",
    makes_key=True,
    may_stand_alone=True,
    serve=Server,
    join=Peer,
)

# SPDX-License-Identifier: Apache-2.0
"""PEAP version 0: EAP once more, inside TLS that proves the server (draft-kamath-pppext-peapv0).

Packets inside come without their header, and the end of it is said in there, where nobody else can.
"""

from dataclasses import replace
from typing import Final

from typing_extensions import override

from ikeway.auth.eap.means import Means
from ikeway.auth.eap.method import Method, Move, Proven
from ikeway.auth.eap.methods import gtc, mschapv2
from ikeway.auth.eap.packet import Code, EapType, Packet
from ikeway.auth.eap.peer import EapPeer
from ikeway.auth.eap.progress import Failure, Progress, Success
from ikeway.auth.eap.server import EapServer
from ikeway.auth.eap.tls_method import Flavour, TlsPeer, TlsServer
from ikeway.model.errors import AuthenticationError, MalformedError

FLAVOUR: Final = Flavour(EapType.PEAP, b"client EAP encryption")
INNER: Final = (mschapv2.METHOD, gtc.METHOD)
"""What may run inside, the best first: nothing that covers the identifier, which is not there."""
_HEADER_OCTETS: Final = 4
_RESULT: Final = b"\x80\x03\x00\x02\x00"
"""The result TLV: mandatory, type 3, two octets."""
_GOOD, _BAD = b"\1", b"\2"


def _result(code: Code, verdict: bytes) -> bytes:
    """Return the packet with the result, which alone has its header."""
    return Packet(code, 0, EapType.EXTENSIONS, _RESULT + verdict).encode()


def _verdict(plain: bytes, code: Code) -> bytes:
    """Return what a packet with a result says; empty if it is none."""
    if len(plain) < _HEADER_OCTETS + 1 or plain[0] != code or plain[4] != EapType.EXTENSIONS:
        return b""
    data = Packet.decode(plain).data
    if not data.startswith(_RESULT) or len(data) != len(_RESULT) + 1:
        raise MalformedError("PEAP: extensions without a result, or with more")
    return data[-1:]


class Server(TlsServer):
    """Shows a certificate, then leads another conversation inside."""

    def __init__(self, means: Means, _identity: bytes) -> None:
        super().__init__(means, FLAVOUR, asks_certificate=False)
        self._inner = EapServer(INNER, means)
        self._asked: Packet | None = None
        self._outcome: Success | Failure | None = None

    @override
    def _done(self, records: bytes) -> Move:
        if self.tls.is_tls13:
            return self._say(self._inner.start(), records)
        return self.say(records)

    @override
    def _plain(self, plain: bytes) -> Move:
        if self._outcome is not None:
            return self._end(self._outcome, plain)
        if self._asked is None:
            if plain:
                raise MalformedError("PEAP: something inside before it was asked for")
            return self._say(self._inner.start())
        if not plain:
            raise MalformedError("PEAP: nothing inside")
        told = Packet(Code.RESPONSE, self._asked.identifier, EapType(plain[0]), plain[1:])
        return self._say(self._inner.handle(told.encode()))

    def _say(self, progress: Progress, records: bytes = b"") -> Move:
        if progress.outcome is None:
            octets = progress.reply or b""
            self._asked = Packet.decode(octets)
            return self.say(records + self.tls.write(octets[_HEADER_OCTETS:]))
        self._outcome = progress.outcome
        verdict = _GOOD if isinstance(progress.outcome, Success) else _BAD
        return self.say(records + self.tls.write(_result(Code.REQUEST, verdict)))

    def _end(self, outcome: Success | Failure, plain: bytes) -> Move:
        """Take the peer's own result: both have to be content."""
        if isinstance(outcome, Failure):
            raise AuthenticationError(f"PEAP: {outcome.reason}")
        if _verdict(plain, Code.RESPONSE) != _GOOD:
            raise AuthenticationError("PEAP: the peer does not confirm the result")
        return Proven(outcome.identity, FLAVOUR.msk(self.tls))


class Peer(TlsPeer):
    """Believes the server, then answers inside."""

    def __init__(self, means: Means, identity: bytes) -> None:
        super().__init__(means, FLAVOUR, shows_certificate=False)
        self._identity = identity
        self._inner = EapPeer(INNER, means, identity)
        self._count = 0

    @override
    def _done(self, records: bytes) -> Move:
        return self.say(records)

    @override
    def _plain(self, plain: bytes) -> Move:
        verdict = _verdict(plain, Code.REQUEST)
        if verdict:
            return self._end(verdict)
        if not plain:
            raise MalformedError("PEAP: nothing inside")
        self._count = (self._count + 1) % 256
        asked = Packet(Code.REQUEST, self._count, EapType(plain[0]), plain[1:])
        progress = self._inner.handle(asked.encode())
        if isinstance(progress.outcome, Failure):
            raise AuthenticationError(f"PEAP: {progress.outcome.reason}")
        return self.say(self.tls.write((progress.reply or b"")[_HEADER_OCTETS:]))

    def _end(self, verdict: bytes) -> Move:
        """Believe a success only once the method inside is done."""
        if verdict != _GOOD:
            told = self.say(self.tls.write(_result(Code.RESPONSE, _BAD)))
            return replace(told, note="PEAP: the server refuses")
        if not self._inner.is_proven:
            raise AuthenticationError("PEAP: the server says success before any proof")
        told = self.say(self.tls.write(_result(Code.RESPONSE, _GOOD)))
        return replace(self.proven(self._identity), data=told.data)


METHOD: Final = Method(
    EapType.PEAP,
    "peap",
    makes_key=True,
    may_stand_alone=False,
    serve=Server,
    join=Peer,
)

# SPDX-License-Identifier: Apache-2.0
"""What the methods that are made of TLS have in common (RFC 5216 §2.1, RFC 9190, RFC 9427)."""

from dataclasses import dataclass, replace
from typing import Final

from typing_extensions import override

from ikeway.auth.certificates import identity_matches
from ikeway.auth.eap.means import Means
from ikeway.auth.eap.method import Move, Proven, Say
from ikeway.auth.eap.packet import EapType, Packet
from ikeway.auth.eap.tls_frames import START, Frames
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.tls import BrokenHandshakeError, TlsEnd, TlsPolicy
from ikeway.model.errors import AuthenticationError, MalformedError
from ikeway.model.secret import Secret

ACKNOWLEDGED: Final = bytes([0])
MSK_OCTETS: Final = 64
_KEYS_OCTETS: Final = 128


@dataclass(frozen=True, slots=True)
class Flavour:
    """A method's type, and the label of its keys before TLS 1.3."""

    type: EapType
    label: bytes

    def msk(self, tls: TlsEnd) -> Secret:
        """Return the MSK: the first half of what TLS exports for EAP."""
        if tls.is_tls13:
            context = bytes([self.type])
            keys = tls.export(b"EXPORTER_EAP_TLS_Key_Material", _KEYS_OCTETS, context)
        else:
            keys = tls.export(self.label, _KEYS_OCTETS)
        return Secret(keys.octets[:MSK_OCTETS])


class _TlsTalk:
    """One side of one conversation. `_plain` is what each method makes of the tunnel."""

    def __init__(self, flavour: Flavour, policy: TlsPolicy) -> None:
        self.flavour = flavour
        self.tls = TlsEnd(policy)
        self._frames = Frames()
        self._broken = ""

    def say(self, records: bytes) -> Say:
        """Send a flight."""
        return Say(self._frames.say(records))

    def _hear(self, data: bytes) -> Move:
        """Take a part of a flight, or the acknowledgement of one."""
        if self._frames.is_saying:
            return Say(self._frames.say_on(data))
        flight = self._frames.hear(data)
        return Say(ACKNOWLEDGED) if flight is None else self._turn(flight)

    def _turn(self, flight: bytes) -> Move:
        if self.tls.is_done:
            return self._plain(self.tls.read(flight))
        if self._broken:
            raise AuthenticationError(self._broken)
        try:
            records, is_done = self.tls.handshake(flight)
        except BrokenHandshakeError as error:
            self._broken = str(error)
            return self._break(error)
        return self._done(records) if is_done else self._handshake_on(records)

    def _break(self, error: BrokenHandshakeError) -> Move:
        """Say what is left to say of a handshake that came to nothing."""
        raise NotImplementedError

    def _handshake_on(self, records: bytes) -> Move:
        """Send what the handshake goes on with."""
        return self.say(records)

    def _done(self, records: bytes) -> Move:
        """Go on after the handshake; `records` are our last ones."""
        raise NotImplementedError

    def _plain(self, plain: bytes) -> Move:
        """Take what came through the tunnel; an acknowledgement has nothing."""
        raise NotImplementedError


class TlsServer(_TlsTalk):
    """The server of one conversation."""

    def __init__(self, means: Means, flavour: Flavour, *, asks_certificate: bool) -> None:
        tls = means.need_tls()
        if tls.credential is None:
            raise AuthenticationError("EAP with TLS needs a certificate of the server")
        believe = tls.believe_client if asks_certificate else None
        super().__init__(flavour, TlsPolicy(True, tls.credential, believe))

    def begin(self, _identifier: int) -> bytes:
        """Return the start."""
        return bytes([START])

    def handle(self, response: Packet, _identifier: int) -> Move:
        """Take a part of a flight, or the acknowledgement of one.

        Raises:
            PeerError: TLS does not come about, or the peer does not prove what it has to.
        """
        return self._hear(response.data)

    @override
    def _break(self, error: BrokenHandshakeError) -> Move:
        if not error.alert:
            raise error
        return self.say(error.alert)

    @override
    def _handshake_on(self, records: bytes) -> Move:
        if not records:
            raise MalformedError("EAP: a flight of TLS that leads nowhere")
        return self.say(records)


class TlsPeer(_TlsTalk):
    """The peer of one conversation."""

    def __init__(self, means: Means, flavour: Flavour, *, shows_certificate: bool) -> None:
        tls = means.need_tls()
        if shows_certificate and tls.credential is None:
            raise AuthenticationError("EAP-TLS needs a certificate of ours")
        own = tls.credential if shows_certificate else None
        self._means = means
        super().__init__(flavour, TlsPolicy(False, own, self._believe))

    def _believe(self, chain: tuple[Certificate, ...]) -> None:
        """Believe the server that the gateway's name, or the configured one, is of."""
        self._means.need_tls().believe_server(chain)
        expected = self._means.expected
        if expected is None or not identity_matches(expected, chain[0]):
            names = ", ".join(map(str, chain[0].sans)) or "none"
            raise AuthenticationError(
                f"the certificate of the EAP server is not for {expected}; its names are {names}"
            )

    def handle(self, request: Packet) -> Move:
        """Take a part of a flight, or the acknowledgement of one.

        Raises:
            PeerError: TLS does not come about, or the server is not believed.
        """
        if request.data and request.data[0] & START:
            return self.say(self.tls.handshake(b"")[0])
        return self._hear(request.data)

    @override
    def _break(self, error: BrokenHandshakeError) -> Move:
        # RFC 5216 §2.1.3: our alert, or an empty answer to theirs, brings the server's failure.
        return replace(self.say(error.alert), note=self._broken)

    def proven(self, identity: bytes) -> Proven:
        """Return the end of it: the server is proven, and we have the key."""
        chain = tuple(each.der for each in self.tls.peer_chain())
        return Proven(identity, self.flavour.msk(self.tls), ACKNOWLEDGED, chain)

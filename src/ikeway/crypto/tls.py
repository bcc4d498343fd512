# SPDX-License-Identifier: Apache-2.0
"""TLS without a socket, for the EAP methods that are made of it (RFC 5246, RFC 8446, RFC 5705).

OpenSSL draws its own random octets. Whether to believe a certificate is not its decision.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.keypair import PrivateKey
from ikeway.model.errors import AuthenticationError, UsageError
from ikeway.model.secret import Secret

_READ_MOST: Final = 1 << 16
_CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES256:!SHA1:!aNULL"
_NO_RENEGOTIATION: Final = 1 << 30
_LEGACY_SERVER_CONNECT: Final = 1 << 2
"""OpenSSL's SSL_OP_NO_RENEGOTIATION and SSL_OP_LEGACY_SERVER_CONNECT."""
_Usable = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)
"""Keys that TLS signs with; ML-DSA is not among them in pyOpenSSL."""

Believe = Callable[[tuple[Certificate, ...]], None]
"""Checks the certificates of the other end, its own first; raises `AuthenticationError`."""


class BrokenHandshakeError(AuthenticationError):
    """No handshake is possible. `alert` is what the other end is to hear; empty if it said so."""

    def __init__(self, reason: str, alert: bytes) -> None:
        super().__init__(f"TLS: {reason}")
        self.alert = alert


@dataclass(frozen=True, slots=True)
class Credential:
    """Certificates, our own first, and the key of it."""

    chain: tuple[Certificate, ...]
    key: PrivateKey


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """What one end brings and wants. `believe` None asks the other end for no certificate."""

    is_server: bool
    credential: Credential | None = None
    believe: Believe | None = None
    allow_tls13: bool = True


class TlsEnd:
    """One end of one TLS connection. Octets go in and come out as records."""

    def __init__(self, policy: TlsPolicy) -> None:
        self._policy = policy
        self._connection = SSL.Connection(_context(policy), None)
        self._is_believed = policy.believe is None
        self.is_done = False
        if policy.is_server:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()

    @property
    def is_tls13(self) -> bool:
        """Whether the handshake agreed on TLS 1.3."""
        return self._connection.get_protocol_version() == SSL.TLS1_3_VERSION

    def handshake(self, received: bytes) -> tuple[bytes, bool]:
        """Take records, and return those to send, and whether the handshake is over.

        None of ours leave before the other end's certificate is believed.

        Raises:
            AuthenticationError: no handshake is possible, or the other end is not believed.
        """
        self._put(received)
        try:
            self._connection.do_handshake()
            self.is_done = True
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            raise BrokenHandshakeError(_reason(error), self.pending()) from error
        self._check()
        return self.pending(), self.is_done

    def _check(self) -> None:
        believe = self._policy.believe
        if self._is_believed or believe is None:
            return
        seen = self.peer_chain()
        if seen:
            believe(seen)
            self._is_believed = True
        elif self.is_done:
            raise AuthenticationError("TLS: the other end has no certificate")

    def peer_chain(self) -> tuple[Certificate, ...]:
        """Return the certificates of the other end, its own first."""
        leaf = self._connection.get_peer_certificate(as_cryptography=True)
        if leaf is None:
            return ()
        rest = self._connection.get_peer_cert_chain(as_cryptography=True) or []
        chain = (leaf, *(each for each in rest if each != leaf))
        return tuple(Certificate.of(each.public_bytes(Encoding.DER)) for each in chain)

    def write(self, plain: bytes) -> bytes:
        """Return records with these octets inside."""
        self._connection.sendall(plain)
        return self.pending()

    def read(self, received: bytes) -> bytes:
        """Take records, and return what is inside.

        Raises:
            AuthenticationError: they are not of this connection.
        """
        self._put(received)
        plain = bytearray()
        try:
            while True:
                plain += self._connection.recv(_READ_MOST)
        except (SSL.WantReadError, SSL.ZeroReturnError):
            return bytes(plain)
        except SSL.Error as error:
            raise AuthenticationError(f"TLS: {_reason(error)}") from error

    def export(self, label: bytes, octets: int, context: bytes | None = None) -> Secret:
        """Return keying material of the connection (RFC 5705).

        Raises:
            UsageError: the handshake is not over.
        """
        if not self.is_done:
            raise UsageError("keys of a TLS handshake that is not over")
        return Secret(self._connection.export_keying_material(label, octets, context))

    def pending(self) -> bytes:
        """Return the records that wait to be sent."""
        octets = bytearray()
        try:
            while True:
                octets += self._connection.bio_read(_READ_MOST)
        except SSL.WantReadError:
            return bytes(octets)

    def _put(self, received: bytes) -> None:
        if received:
            self._connection.bio_write(received)


def _context(policy: TlsPolicy) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_max_proto_version(SSL.TLS1_3_VERSION if policy.allow_tls13 else SSL.TLS1_2_VERSION)
    context.set_cipher_list(_CIPHERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # INTEROP strongswan: its TLS 1.2 does not know RFC 5746. Nobody renegotiates here.
    context.set_options(
        SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | _NO_RENEGOTIATION | _LEGACY_SERVER_CONNECT
    )
    if policy.believe is not None:
        # OpenSSL asks for the certificate and checks the signature; `believe` checks all the rest.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    if policy.credential is not None:
        chain = policy.credential.chain
        context.use_certificate(chain[0].handle)
        for each in chain[1:]:
            context.add_extra_chain_cert(each.handle)
        context.use_privatekey(_usable(policy.credential.key))
    return context


def _usable(key: PrivateKey) -> _Usable:
    if not isinstance(key.handle, _Usable):
        raise AuthenticationError(f"TLS: not with an {key.algorithm.value} key")
    return key.handle


def _reason(error: SSL.Error) -> str:
    """Return OpenSSL's own words for the last error."""
    if error.args and error.args[0]:
        return str(error.args[0][-1][-1])
    return "the connection ended"

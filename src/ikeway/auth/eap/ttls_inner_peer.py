# SPDX-License-Identifier: Apache-2.0
"""What a peer says inside EAP-TTLS: PAP, MS-CHAPv2, or EAP once more (RFC 5281 §11)."""

from collections.abc import Mapping
from typing import Final, Protocol

from ikeway.auth.eap import avps
from ikeway.auth.eap.avps import Avp
from ikeway.auth.eap.identity import without_domain
from ikeway.auth.eap.means import Means
from ikeway.auth.eap.method import Method
from ikeway.auth.eap.packet import Code, EapType, Packet
from ikeway.auth.eap.passwords import Login
from ikeway.auth.eap.peer import EapPeer
from ikeway.auth.eap.progress import Failure
from ikeway.auth.eap.ttls_inner import INNER_EAP, RESPONSE, challenge
from ikeway.crypto import mschap
from ikeway.crypto.tls import TlsEnd
from ikeway.model.errors import AuthenticationError

_PAP_BLOCK: Final = 16


class InnerPeer(Protocol):
    """One way to prove a password. `is_done` is whether the server may declare success."""

    is_done: bool

    def begin(self) -> bytes:
        """Return what is said first."""
        ...

    def handle(self, plain: bytes) -> bytes:
        """Take what the server says in the tunnel; an empty answer acknowledges it.

        Raises:
            PeerError: the server does not prove what it has to.
        """
        ...


class Pap:
    """Says the password."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self.is_done = False

    def begin(self) -> bytes:
        """Return name and password, which is padded so that its length does not show."""
        password = self._login.password.octets
        padded = password + bytes(-len(password) % _PAP_BLOCK)
        self.is_done = True
        name = Avp(avps.USER_NAME, self._login.identity).encode()
        return name + Avp(avps.USER_PASSWORD, padded).encode()

    def handle(self, _plain: bytes) -> bytes:
        """There is nothing to answer."""
        raise AuthenticationError("EAP-TTLS: the server goes on after the password")


class MsChap:
    """Proves the password over a challenge of TLS, and has the server prove it too."""

    def __init__(self, means: Means, login: Login, tls: TlsEnd) -> None:
        self._random = means.random
        self._login = login
        self._tls = tls
        self._expected = b""
        self.is_done = False

    def begin(self) -> bytes:
        """Return name, challenge and proof (§11.2.4)."""
        theirs, number = challenge(self._tls)
        ours = self._random.octets(mschap.CHALLENGE_OCTETS)
        nt, name = mschap.nt_hash(self._login.password), without_domain(self._login.identity)
        proof = mschap.nt_response(theirs, ours, name, nt)
        told = mschap.authenticator_response(theirs, ours, name, nt)
        self._expected = bytes([number]) + told
        said = (
            Avp(avps.USER_NAME, self._login.identity),
            Avp(avps.MS_CHAP_CHALLENGE, theirs),
            Avp(avps.MS_CHAP2_RESPONSE, RESPONSE.pack(number, 0, ours, proof)),
        )
        return b"".join(each.encode() for each in said)

    def handle(self, plain: bytes) -> bytes:
        """Check the server's proof.

        Raises:
            AuthenticationError: it does not know the password, or ours is wrong.
        """
        told = avps.decode(plain).get(avps.MS_CHAP2_SUCCESS, b"")
        mschap.check(self._expected, told[: len(self._expected)], "server")
        self.is_done = True
        return b""


class Eap:
    """Has another EAP conversation inside, which begins with who we are."""

    def __init__(self, means: Means, identity: bytes, method: Method) -> None:
        self._identity = identity
        self._peer = EapPeer((method,), means, identity)
        self.is_done = False

    def begin(self) -> bytes:
        """Return our identity, unasked (§11.2.1)."""
        said = Packet(Code.RESPONSE, 0, EapType.IDENTITY, self._identity).encode()
        return Avp(avps.EAP_MESSAGE, said).encode()

    def handle(self, plain: bytes) -> bytes:
        """Answer an EAP packet.

        Raises:
            AuthenticationError: the conversation fails.
        """
        progress = self._peer.handle(avps.decode(plain).get(avps.EAP_MESSAGE, b""))
        if isinstance(progress.outcome, Failure):
            raise AuthenticationError(f"EAP-TTLS: {progress.outcome.reason}")
        self.is_done = self._peer.is_proven
        return b"" if progress.reply is None else Avp(avps.EAP_MESSAGE, progress.reply).encode()


_EAP_BY_NAME: Final[Mapping[str, Method]] = {f"eap-{one.name}": one for one in INNER_EAP}


def inner_peer(means: Means, identity: bytes, tls: TlsEnd) -> InnerPeer:
    """Return our way to prove the password, by its name in the configuration.

    Raises:
        AuthenticationError: there is no password.
    """
    login = means.login(identity)
    match means.inner:
        case "pap":
            return Pap(login)
        case "mschapv2":
            return MsChap(means, login, tls)
        case name:
            return Eap(means, identity, _EAP_BY_NAME[name])

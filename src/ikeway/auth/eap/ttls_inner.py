# SPDX-License-Identifier: Apache-2.0
"""What a server takes inside EAP-TTLS: PAP, MS-CHAPv2, or EAP once more (RFC 5281 §11)."""

from dataclasses import dataclass
from struct import Struct
from typing import Final, TypeAlias

from ikeway.auth.eap import avps
from ikeway.auth.eap.avps import Avp
from ikeway.auth.eap.identity import without_domain
from ikeway.auth.eap.means import Means
from ikeway.auth.eap.methods import gtc, md5, mschapv2
from ikeway.auth.eap.packet import Code, EapType, Packet
from ikeway.auth.eap.progress import Failure, Progress, Success
from ikeway.auth.eap.server import EapServer
from ikeway.crypto import mschap
from ikeway.crypto.tls import TlsEnd
from ikeway.model.errors import AuthenticationError, MalformedError
from ikeway.model.secret import Secret

INNER_EAP: Final = (mschapv2.METHOD, md5.METHOD, gtc.METHOD)
"""Methods that may run inside, the best first."""
RESPONSE: Final = Struct(f">BB{mschap.CHALLENGE_OCTETS}s8x{mschap.RESPONSE_OCTETS}s")
"""MS-CHAP2-Response: identifier, flags, the peer's challenge, its proof (RFC 2548 §2.3.2)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What to say in the tunnel."""

    plain: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """Who is proven."""

    identity: bytes


Inner: TypeAlias = Reply | Done


def challenge(tls: TlsEnd) -> tuple[bytes, int]:
    """Return the challenge and the identifier that both sides draw from TLS (§11.1)."""
    octets = tls.export(b"ttls challenge", mschap.CHALLENGE_OCTETS + 1).octets
    return octets[:-1], octets[-1]


class InnerServer:
    """Takes the proof of a password."""

    def __init__(self, means: Means, tls: TlsEnd) -> None:
        self._means = means
        self._tls = tls
        self._eap: EapServer | None = None
        self._acknowledges: Done | None = None

    def handle(self, plain: bytes) -> Inner:
        """Take what the peer says in the tunnel.

        Raises:
            PeerError: it is no proof, or a wrong one.
        """
        if self._acknowledges is not None:
            if plain:
                raise MalformedError("EAP-TTLS: more than an acknowledgement")
            return self._acknowledges
        said = avps.decode(plain)
        if avps.EAP_MESSAGE in said:
            return self._eap_message(said[avps.EAP_MESSAGE])
        user = self._means.passwords.name(said.get(avps.USER_NAME, b""))
        if avps.USER_PASSWORD in said:
            return self._pap(user, said[avps.USER_PASSWORD])
        if avps.MS_CHAP2_RESPONSE in said:
            return self._mschap(user, said)
        raise MalformedError("EAP-TTLS: nothing inside that we can check")

    def _pap(self, user: bytes, padded: bytes) -> Done:
        """Check a password, which comes with zeros behind it (§11.2.5)."""
        if not self._means.passwords.accepts(user, Secret(padded.rstrip(b"\0"))):
            raise AuthenticationError("EAP-TTLS: the password is wrong, or nobody has that name")
        return Done(user)

    def _mschap(self, user: bytes, said: dict[tuple[int, int], bytes]) -> Reply:
        """Check a proof over the challenge of TLS, and prove the password in return (§11.2.4)."""
        expected, number = challenge(self._tls)
        response = said[avps.MS_CHAP2_RESPONSE]
        if said.get(avps.MS_CHAP_CHALLENGE) != expected or len(response) != RESPONSE.size:
            raise AuthenticationError("EAP-TTLS: MS-CHAPv2 over another challenge than that of TLS")
        identifier, _, peer, proof = RESPONSE.unpack(response)
        if identifier != number:
            raise AuthenticationError(
                "EAP-TTLS: MS-CHAPv2 with another identifier than that of TLS"
            )
        nt = self._means.passwords.nt_hash(user)
        if nt is None:
            raise AuthenticationError("EAP-TTLS: nobody has that name and a password")
        name = without_domain(said.get(avps.USER_NAME, b""))
        try:
            mschap.check(mschap.nt_response(expected, peer, name, nt), proof, "peer")
        except AuthenticationError:
            self._means.passwords.failed(user)
            raise
        self._acknowledges = Done(user)
        told = mschap.authenticator_response(expected, peer, name, nt)
        return Reply(Avp(avps.MS_CHAP2_SUCCESS, bytes([number]) + told).encode())

    def _eap_message(self, octets: bytes) -> Inner:
        """Lead a conversation that the peer begins by saying who it is (§11.2.1)."""
        if self._eap is None:
            packet = Packet.decode(octets)
            if packet.code is not Code.RESPONSE or packet.type is not EapType.IDENTITY:
                raise MalformedError("EAP-TTLS: EAP inside does not begin with an identity")
            self._eap = EapServer(INNER_EAP, self._means, packet.data)
            return self._said(self._eap.start())
        return self._said(self._eap.handle(octets))

    @staticmethod
    def _said(progress: Progress) -> Inner:
        match progress.outcome:
            case Success(identity):
                return Done(identity)
            case Failure(reason):
                raise AuthenticationError(f"EAP-TTLS: {reason}")
            case None:
                return Reply(Avp(avps.EAP_MESSAGE, progress.reply or b"").encode())

# SPDX-License-Identifier: Apache-2.0
"""EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2, RFC 2759): both sides prove the password."""

import re
from dataclasses import dataclass
from struct import Struct
from typing import Final

from ikeway.auth.eap.identity import without_domain
from ikeway.auth.eap.means import Means
from ikeway.auth.eap.method import Method, Proven, Say
from ikeway.auth.eap.packet import EapType, Packet
from ikeway.crypto import mschap
from ikeway.model.errors import AuthenticationError, MalformedError

CHALLENGE, RESPONSE, SUCCESS, FAILURE = 1, 2, 3, 4
"""OpCodes."""
_HEADER: Final = Struct(">BBH")
_VALUE_OCTETS: Final = 49
_RESPONSE: Final = Struct(f">{mschap.CHALLENGE_OCTETS}s8x{mschap.RESPONSE_OCTETS}sB")
_DENIED: Final = b"E=691 R=0 C=%s V=3 M=authentication failed"
"""ERROR_AUTHENTICATION_FAILURE, no retry (RFC 2759 §6)."""
_REASON: Final = re.compile(rb"E=(\d{1,10})")


@dataclass(frozen=True, slots=True)
class _Exchange:
    """Everything that the proofs cover: both challenges, the name, and the peer's proof."""

    authenticator: bytes
    peer: bytes
    user: bytes
    proof: bytes


class Server:
    """Challenges a peer, and proves in return that it knows the password too."""

    def __init__(self, means: Means, identity: bytes) -> None:
        self._identity = identity
        self._passwords = means.passwords
        self._challenge = means.random.octets(mschap.CHALLENGE_OCTETS)
        self._number = means.random.octets(1)[0]
        self._name = means.server
        self._proven: Proven | None = None
        self._refused = ""

    def begin(self, _identifier: int) -> bytes:
        """Return the challenge."""
        value = bytes([mschap.CHALLENGE_OCTETS]) + self._challenge
        return _with_header(CHALLENGE, self._number, value + self._name)

    def handle(self, response: Packet, _identifier: int) -> Say | Proven:
        """Take the proof, then the acknowledgement of ours.

        Raises:
            AuthenticationError: the password is wrong, and the peer has been told so.
        """
        code = response.data[0] if response.data else 0
        if self._refused:
            raise AuthenticationError(self._refused)
        if self._proven is not None:
            if code != SUCCESS:
                raise AuthenticationError("EAP-MSCHAPv2: the peer does not believe us")
            return self._proven
        if code != RESPONSE:
            raise MalformedError(f"EAP-MSCHAPv2: OpCode {code} in answer to a challenge")
        try:
            return self._check(_parse_response(response.data, self._challenge))
        except AuthenticationError as error:
            self._refused = str(error)
            told = _DENIED % self._challenge.hex().upper().encode()
            return Say(_with_header(FAILURE, self._number, told))

    def _check(self, seen: _Exchange) -> Say:
        """Check the peer's proof under the name that it gave, which must be its identity."""
        if without_domain(seen.user).lower() != without_domain(self._identity).lower():
            raise AuthenticationError("EAP-MSCHAPv2: the name is not the identity")
        nt = self._passwords.nt_hash(self._identity)
        if nt is None:
            raise AuthenticationError("EAP-MSCHAPv2: nobody has that name and a password")
        name = without_domain(seen.user)
        challenges = seen.authenticator, seen.peer, name
        try:
            mschap.check(mschap.nt_response(*challenges, nt), seen.proof, "peer")
        except AuthenticationError:
            self._passwords.failed(self._identity)
            raise
        self._proven = Proven(self._identity, mschap.master_session_key(nt, seen.proof))
        told = mschap.authenticator_response(*challenges, nt) + b" M=OK"
        return Say(_with_header(SUCCESS, self._number, told))


class Peer:
    """Proves the password, and goes on only with a server that knows it too."""

    def __init__(self, means: Means, identity: bytes) -> None:
        self._login = means.login(identity)
        self._nt = mschap.nt_hash(self._login.password)
        self._random = means.random
        self._said: _Exchange | None = None

    def handle(self, request: Packet) -> Say | Proven:
        """Take the challenge, then the server's proof, or acknowledge that it says no.

        Raises:
            AuthenticationError: the server does not know the password.
        """
        code = request.data[0] if request.data else 0
        if code == CHALLENGE and self._said is None:
            return self._respond(request.data)
        if code == SUCCESS and self._said is not None:
            return self._believe(self._said, request.data)
        if code == FAILURE:
            found = _REASON.search(request.data)
            number = found[1].decode() if found else "none"
            return Say(bytes([FAILURE]), f"error {number} of MSCHAPv2")
        raise MalformedError(f"EAP-MSCHAPv2: OpCode {code} out of order")

    def _respond(self, data: bytes) -> Say:
        number, body = _without_header(data)
        if len(body) <= mschap.CHALLENGE_OCTETS or body[0] != mschap.CHALLENGE_OCTETS:
            raise MalformedError("EAP-MSCHAPv2: a challenge that is not of 16 octets")
        challenge = body[1 : 1 + mschap.CHALLENGE_OCTETS]
        ours = self._random.octets(mschap.CHALLENGE_OCTETS)
        user = without_domain(self._login.identity)
        proof = mschap.nt_response(challenge, ours, user, self._nt)
        self._said = _Exchange(challenge, ours, user, proof)
        value = bytes([_VALUE_OCTETS]) + _RESPONSE.pack(ours, proof, 0)
        return Say(_with_header(RESPONSE, number, value + self._login.identity))

    def _believe(self, said: _Exchange, data: bytes) -> Proven:
        expected = mschap.authenticator_response(said.authenticator, said.peer, said.user, self._nt)
        seen = _without_header(data)[1][: len(expected)].upper()
        mschap.check(expected, seen, "server")
        msk = mschap.master_session_key(self._nt, said.proof)
        return Proven(self._login.identity, msk, bytes([SUCCESS]))


def _with_header(code: int, number: int, body: bytes) -> bytes:
    return _HEADER.pack(code, number, _HEADER.size + len(body)) + body


def _without_header(data: bytes) -> tuple[int, bytes]:
    """Return the MS-CHAPv2-ID and what follows the header."""
    if len(data) < _HEADER.size:
        raise MalformedError(f"EAP-MSCHAPv2: {len(data)} octets")
    _, number, length = _HEADER.unpack_from(data)
    if length != len(data):
        raise MalformedError(f"EAP-MSCHAPv2: {len(data)} octets say that they are {length}")
    return number, data[_HEADER.size :]


def _parse_response(data: bytes, challenge: bytes) -> _Exchange:
    _, body = _without_header(data)
    if len(body) < 1 + _VALUE_OCTETS or body[0] != _VALUE_OCTETS:
        raise MalformedError("EAP-MSCHAPv2: a response that is not of 49 octets")
    peer, proof, _ = _RESPONSE.unpack_from(body, 1)
    return _Exchange(challenge, peer, body[1 + _VALUE_OCTETS :], proof)


METHOD: Final = Method(
    EapType.MSCHAPV2,
    "mschapv2",
    makes_key=True,
    may_stand_alone=False,
    serve=Server,
    join=Peer,
)

# SPDX-License-Identifier: Apache-2.0
"""The peer of one EAP conversation (RFC 3748 §2, §5).

Success is believed only once the method itself is done with it: anybody could say it (§7.16).
"""

from typing import Final

from ikeway.auth.eap.means import Means
from ikeway.auth.eap.method import Method, PeerMethod, Proven
from ikeway.auth.eap.packet import Code, EapType, Packet
from ikeway.auth.eap.progress import Failure, Progress, Success
from ikeway.model.errors import AuthenticationError, MalformedError, PeerError

ROUNDS_MOST: Final = 50


class EapPeer:
    """Answers a server, with what it is able to prove."""

    def __init__(
        self,
        methods: tuple[Method, ...],
        means: Means,
        identity: bytes,
        rounds_most: int = ROUNDS_MOST,
    ) -> None:
        self._means = means
        self._identity = identity
        self._rounds_most = rounds_most
        self._methods = {method.type: method for method in methods}
        self._chosen = EapType.NONE
        self._name = ""
        self._running: PeerMethod | None = None
        self._note = ""
        self._proven: Proven | None = None
        self._rounds = 0

    def handle(self, octets: bytes) -> Progress:
        """Take a packet of the server's. Whatever it is, nothing escapes but progress."""
        try:
            packet = Packet.decode(octets)
            match packet.code:
                case Code.REQUEST:
                    return self._request(packet)
                case Code.SUCCESS:
                    return self._success()
                case Code.FAILURE:
                    reason = f"the server says EAP Failure{self._note}"
                    return Progress(None, Failure(reason, is_said=True))
                case Code.RESPONSE:
                    raise MalformedError("EAP: a response from the server")
        except PeerError as error:
            return Progress(None, Failure(str(error)))

    @property
    def is_proven(self) -> bool:
        """Whether the method is done, so that a success would be believed."""
        return self._proven is not None

    def _success(self) -> Progress:
        if self._proven is None:
            raise AuthenticationError("the server says EAP Success before any proof")
        proven = self._proven
        return Progress(None, Success(self._identity, proven.msk, self._name, proven.chain))

    def _request(self, packet: Packet) -> Progress:
        self._rounds += 1
        if self._rounds > self._rounds_most:
            raise MalformedError(f"more than {self._rounds_most} EAP requests")
        match packet.type:
            case EapType.IDENTITY:
                return _respond(packet, EapType.IDENTITY, self._identity)
            case EapType.NOTIFICATION:
                return _respond(packet, EapType.NOTIFICATION, b"")
            case _:
                return self._method(packet)

    def _method(self, packet: Packet) -> Progress:
        method = self._methods.get(packet.type)
        if self._running is None and method is None:
            wanted = bytes(self._methods) or bytes([EapType.NONE])
            return _respond(packet, EapType.NAK, wanted)
        if self._running is None and method is not None:
            self._running, self._chosen = method.join(self._means, self._identity), packet.type
            self._name = method.name
        if self._running is None or packet.type is not self._chosen:
            raise MalformedError(f"EAP: {packet.type.name} while {self._chosen.name} runs")
        if self._proven is not None:
            raise MalformedError(f"EAP: {packet.type.name} goes on after its end")
        move = self._running.handle(packet)
        if isinstance(move, Proven):
            self._proven = move
        elif move.note:
            self._note = f": {move.note}"
        return _respond(packet, packet.type, move.data)


def _respond(asked: Packet, kind: EapType, data: bytes) -> Progress:
    return Progress(Packet(Code.RESPONSE, asked.identifier, kind, data).encode())

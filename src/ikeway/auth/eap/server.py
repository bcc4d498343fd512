# SPDX-License-Identifier: Apache-2.0
"""The server of one EAP conversation (RFC 3748 §2, §5; RFC 7296 §2.16, §3.16)."""

from typing import Final

from ikeway.auth.eap.means import Means
from ikeway.auth.eap.method import Method, Proven, ServerMethod
from ikeway.auth.eap.packet import Code, EapType, Packet
from ikeway.auth.eap.progress import Failure, Progress, Success
from ikeway.model.errors import MalformedError, PeerError

ROUNDS_MOST: Final = 50
"""Requests of one conversation: enough for a long certificate chain in small fragments."""
IDENTITY_MOST: Final = 253
"""Octets of an identity: what a RADIUS attribute holds (RFC 2865 §5)."""


class EapServer:
    """Asks for an identity if it has none, agrees on a method, and says how it ended."""

    def __init__(
        self,
        methods: tuple[Method, ...],
        means: Means,
        identity: bytes = b"",
        rounds_most: int = ROUNDS_MOST,
    ) -> None:
        self._methods = methods
        self._means = means
        self._identity = means.passwords.name(identity)
        self._rounds_most = rounds_most
        self._identifier = means.random.octets(1)[0]
        self._asked = EapType.NONE
        self._name = ""
        self._running: ServerMethod | None = None
        self._may_refuse = False
        self._rounds = 0

    def start(self) -> Progress:
        """Return the first request. Who is known need not say who it is (RFC 7296 §3.16)."""
        if not self._identity:
            return self._ask(EapType.IDENTITY, b"")
        try:
            return self._begin(self._methods[0])
        except PeerError as error:
            return self._fail(str(error))

    def handle(self, octets: bytes) -> Progress:
        """Take a response. Whatever it is, the answer is a request or the end."""
        try:
            packet = Packet.decode(octets)
            if packet.code is not Code.RESPONSE or packet.identifier != self._identifier:
                raise MalformedError("EAP: not a response to the last request")
            return self._response(packet)
        except PeerError as error:
            return self._fail(str(error))

    def _response(self, packet: Packet) -> Progress:
        if packet.type is EapType.NAK and self._may_refuse:
            return self._another(packet.data)
        if packet.type is not self._asked:
            raise MalformedError(f"EAP: {packet.type.name} in answer to {self._asked.name}")
        if packet.type is EapType.IDENTITY:
            return self._named(packet.data)
        if self._running is None:
            raise MalformedError(f"EAP: {packet.type.name} while no method runs")
        self._may_refuse = False
        move = self._running.handle(packet, self._next)
        if isinstance(move, Proven):
            end = Packet(Code.SUCCESS, self._identifier).encode()
            groups = self._means.passwords.groups(move.identity)
            return Progress(end, Success(move.identity, move.msk, self._name, move.chain, groups))
        return self._ask(self._asked, move.data)

    def _named(self, identity: bytes) -> Progress:
        if not 0 < len(identity) <= IDENTITY_MOST:
            raise MalformedError(f"an EAP identity of {len(identity)} octets")
        self._identity = self._means.passwords.name(identity)
        return self._begin(self._methods[0])

    def _another(self, wanted: bytes) -> Progress:
        """Take a Nak: the peer lists what it would do instead (RFC 3748 §5.3.1)."""
        left = tuple(method for method in self._methods if method.type is not self._asked)
        self._methods = left
        for method in left:
            if method.type in wanted:
                return self._begin(method)
        names = ", ".join(EapType(code).name for code in wanted) or "nothing"
        return self._fail(f"no EAP method in common: the peer wants {names}")

    def _begin(self, method: Method) -> Progress:
        self._running = method.serve(self._means, self._identity)
        self._may_refuse, self._name = True, method.name
        return self._ask(method.type, self._running.begin(self._next))

    @property
    def _next(self) -> int:
        return (self._identifier + 1) % 256

    def _ask(self, kind: EapType, data: bytes) -> Progress:
        self._rounds += 1
        if self._rounds > self._rounds_most:
            return self._fail(f"more than {self._rounds_most} EAP requests")
        self._asked = kind
        self._identifier = self._next
        return Progress(Packet(Code.REQUEST, self._identifier, kind, data).encode())

    def _fail(self, reason: str) -> Progress:
        return Progress(Packet(Code.FAILURE, self._identifier).encode(), Failure(reason))

# SPDX-License-Identifier: Apache-2.0
"""Asks RADIUS servers: over UDP (RFC 2865 §2.5) or TLS (RadSec, RFC 6614), with fail-over.

A server that says nothing is left aside for a while, and the next one is asked. What is not proven
to come from the server is dropped and counted: it ends no question.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

from ikeway.auth.radius.authenticity import open_reply, seal_access, seal_request
from ikeway.auth.radius.packet import AUTHENTICATOR_OCTETS, Attribute, Packet
from ikeway.auth.radius.registry import Code
from ikeway.crypto.random import Random
from ikeway.model.errors import HostError, PeerError
from ikeway.model.secret import Secret
from ikeway.model.time import Seconds
from ikeway.runtime.radius_link import Link, TlsLink, UdpLink

WAITS: Final[tuple[Seconds, ...]] = (1.0, 2.0, 3.0)
"""How long each sending of a request is waited for (RFC 5080 §2.2.1, sooner for fail-over)."""
ASIDE: Final[Seconds] = 30.0
"""How long a server that said nothing is asked only after all others."""
_IDENTIFIERS: Final = 256


@dataclass(frozen=True, slots=True)
class RadiusServer:
    """A server. With `tls` it is asked over RadSec, where the secret is "radsec" unless told."""

    host: str
    port: int
    secret: Secret
    tls: ssl.SSLContext | None = None
    server_name: str | None = None

    @override
    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class RadiusAnswer:
    """A genuine reply, the authenticator of its request, and who gave it."""

    reply: Packet
    asked: bytes
    server: RadiusServer


class RadiusSilenceError(HostError):
    """No server answered."""


@dataclass(slots=True)
class _Waiting:
    request: bytes
    reply: asyncio.Future[Packet]


@dataclass(slots=True)
class _Station:
    """One server as it is asked: its link, and the requests under way by their identifiers."""

    server: RadiusServer
    forged: Callable[[str], None]
    link: Link | None = None
    waiting: dict[int, _Waiting] = field(default_factory=dict)
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_IDENTIFIERS))
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    last_identifier: int = 0
    aside_until: float = 0.0

    async def ask(self, make: Callable[[int], bytes]) -> tuple[Packet, bytes]:
        """Send one request until it is answered; return the reply and the request."""
        async with self.room:
            link = await self._link()
            identifier = self._free()
            loop = asyncio.get_running_loop()
            waiting = _Waiting(make(identifier), loop.create_future())
            self.waiting[identifier] = waiting
            try:
                return await self._patiently(link, waiting), waiting.request
            finally:
                del self.waiting[identifier]

    def receive(self, octets: bytes) -> None:
        """Take what came over the link: the reply to a request, or nothing worth a thought."""
        waiting = self.waiting.get(octets[1]) if len(octets) > 1 else None
        if waiting is None or waiting.reply.done():
            return
        try:
            waiting.reply.set_result(open_reply(octets, waiting.request, self.server.secret))
        except PeerError as error:
            self.forged(f"{self.server}: {error.reason}")

    def close(self) -> None:
        """Let go of the link."""
        if self.link is not None:
            self.link.close()
            self.link = None

    async def _patiently(self, link: Link, waiting: _Waiting) -> Packet:
        for wait in WAITS:
            if not link.is_reliable or wait == WAITS[0]:
                link.send(waiting.request)
            done, _ = await asyncio.wait({waiting.reply}, timeout=wait)
            if done:
                return waiting.reply.result()
        raise TimeoutError

    async def _link(self) -> Link:
        async with self.opening:
            if self.link is None or self.link.is_closed:
                self.link = await self._open()
            return self.link

    async def _open(self) -> Link:
        server = self.server
        if server.tls is None:
            return await UdpLink.open(server.host, server.port, self.receive)
        name = server.server_name or server.host
        opening = TlsLink.open(server.host, server.port, self.receive, (server.tls, name))
        return await asyncio.wait_for(opening, sum(WAITS))

    def _free(self) -> int:
        """Return an identifier that no request under way has, the one unused longest first."""
        for step in range(1, _IDENTIFIERS + 1):
            identifier = (self.last_identifier + step) % _IDENTIFIERS
            if identifier not in self.waiting:
                self.last_identifier = identifier
                return identifier
        raise AssertionError("the semaphore lets in as many as there are identifiers")


class RadiusClient:
    """Asks the first server that answers. One client is for access, another for accounting."""

    def __init__(
        self,
        servers: Sequence[RadiusServer],
        random: Random,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`tell` gets a line for every server that is silent and every reply that is forged."""
        self._random = random
        self._tell = tell
        self._stations = {one: _Station(one, tell) for one in servers}

    async def ask(
        self, code: Code, attributes: tuple[Attribute, ...], only: RadiusServer | None = None
    ) -> RadiusAnswer:
        """Return the reply of the first server that gives one, or of `only` that server.

        An EAP conversation goes on with the server that it began with: its State is known to no
        other.

        Raises:
            RadiusSilenceError: none of them did.
        """
        reasons = []
        for station in self._in_turn(only):
            try:
                reply, request = await station.ask(self._sealing(code, attributes, station.server))
            except (OSError, TimeoutError) as error:
                station.aside_until = asyncio.get_running_loop().time() + ASIDE
                reasons.append(f"{station.server} {_why(error)}")
                self._tell(reasons[-1])
                continue
            station.aside_until = 0.0
            return RadiusAnswer(reply, Packet.decode(request).authenticator, station.server)
        raise RadiusSilenceError("no RADIUS server answers: " + "; ".join(reasons))

    def close(self) -> None:
        """Close every link. What is under way runs into its time limit."""
        for station in self._stations.values():
            station.close()

    def _in_turn(self, only: RadiusServer | None) -> list[_Station]:
        if only is not None:
            return [self._stations[only]]
        now = asyncio.get_running_loop().time()
        return sorted(self._stations.values(), key=lambda one: one.aside_until > now)

    def _sealing(
        self, code: Code, attributes: tuple[Attribute, ...], server: RadiusServer
    ) -> Callable[[int], bytes]:
        """Return what makes the request, once its identifier is known."""
        authenticator = self._random.octets(AUTHENTICATOR_OCTETS)
        seal = seal_request if code is Code.ACCOUNTING_REQUEST else seal_access
        return lambda identifier: seal(
            Packet(code, identifier, authenticator, attributes), server.secret
        )


def _why(error: OSError | TimeoutError) -> str:
    if isinstance(error, TimeoutError):
        return f"said nothing for {sum(WAITS):g} s"
    return f"cannot be reached: {error.strerror or error}"

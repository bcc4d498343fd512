# SPDX-License-Identifier: Apache-2.0
"""The line to the peer: requests over UDP with retransmission, a few at a time."""

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Final, cast

from typing_extensions import override

from ikeway.model.address import NAT_PORT
from ikeway.model.errors import HostError, MalformedError
from ikeway.model.time import Seconds
from ikeway.wire.message import NON_ESP_MARKER, Header

WAITS: Final[tuple[Seconds, ...]] = (1.0, 2.0, 4.0)
"""How long each sending of a request is waited for; a peer may answer late under load."""
AT_ONCE: Final = 4
"""How many questions wait for answers at a time: no flood, and no limit of a peer's is met."""


class SilentPeerError(HostError):
    """The peer does not answer."""


@dataclass(slots=True)
class Line(asyncio.DatagramProtocol):
    """Sends requests to one port of the peer and finds the answers by our SPI."""

    host: str
    port: int
    _transport: asyncio.DatagramTransport | None = None
    _waiting: dict[tuple[bytes, int], asyncio.Future[bytes]] = field(default_factory=dict)
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    @classmethod
    async def open(cls, host: str, port: int) -> "Line":
        """Return a line to the peer.

        Raises:
            HostError: its name does not resolve, or there is no way to it.
        """
        line = cls(host, port)
        loop = asyncio.get_running_loop()
        try:
            await loop.create_datagram_endpoint(lambda: line, remote_addr=(host, port))
        except OSError as error:
            raise HostError(f"{host}: {error.strerror or error}") from error
        return line

    @property
    def ends(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """Address and port of our side, then of the peer's."""
        sock: socket.socket = self._open_transport.get_extra_info("socket")
        local, peer = sock.getsockname(), sock.getpeername()
        return (local[0], local[1]), (peer[0], peer[1])

    async def exchange(
        self, spi: bytes, request: bytes, waits: tuple[Seconds, ...], message_id: int = 0
    ) -> bytes:
        """Return the answer to a request, whose SPI of ours is `spi`.

        Raises:
            SilentPeerError: there is none.
        """
        async with self._room:
            loop = asyncio.get_running_loop()
            answered: asyncio.Future[bytes] = loop.create_future()
            self._waiting[spi, message_id] = answered
            try:
                for wait in waits:
                    self._send(request)
                    done, _ = await asyncio.wait({answered}, timeout=wait)
                    if done:
                        return answered.result()
            finally:
                del self._waiting[spi, message_id]
        raise SilentPeerError(f"no answer from {self.host} port {self.port}")

    def close(self) -> None:
        """Hang up."""
        self._open_transport.abort()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    @override
    def datagram_received(self, data: bytes, addr: object) -> None:
        octets = data.removeprefix(NON_ESP_MARKER) if self.port == NAT_PORT else data
        try:
            head = Header.decode(octets)
        except MalformedError:
            return
        answered = self._waiting.get((head.spi_i, head.message_id))
        if answered is not None and not answered.done():
            answered.set_result(octets)

    @override
    def error_received(self, exc: Exception) -> None:
        """A port that is closed now may open, and an ICMP error may be forged: time decides."""

    @property
    def _open_transport(self) -> asyncio.DatagramTransport:
        if self._transport is None:
            raise HostError("the line is not open")
        return self._transport

    def _send(self, request: bytes) -> None:
        marker = NON_ESP_MARKER if self.port == NAT_PORT else b""
        self._open_transport.sendto(marker + request)

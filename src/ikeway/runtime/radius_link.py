# SPDX-License-Identifier: Apache-2.0
"""How octets get to a RADIUS server and back: datagrams, or packets in a TLS stream (RFC 6614)."""

import asyncio
import ssl
from collections.abc import Callable
from typing import ClassVar, Generic, Protocol, TypeVar, cast

from typing_extensions import override

from ikeway.auth.radius.packet import HEADER, PACKET_OCTETS_MOST

Receive = Callable[[bytes], None]
Held = TypeVar("Held", bound=asyncio.WriteTransport | asyncio.DatagramTransport)


class Link(Protocol):
    """A way to one server. What arrives goes to the `Receive` that it was opened with."""

    is_reliable: ClassVar[bool]
    """Whether it sends again by itself (RFC 6614 §2.1: then RADIUS does not)."""

    @property
    def is_closed(self) -> bool:
        """Whether nothing goes through any more."""
        ...

    def send(self, octets: bytes) -> None:
        """Send a packet."""
        ...

    def close(self) -> None:
        """Give the way up."""
        ...


class _Held(asyncio.BaseProtocol, Generic[Held]):
    """What both kinds of link have: a transport, until it is closed."""

    def __init__(self) -> None:
        self._transport: Held | None = None

    @property
    def is_closed(self) -> bool:
        """Whether nothing goes through any more."""
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        """Give the way up, without a farewell: nothing is under way any more."""
        if self._transport is not None:
            self._transport.abort()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("Held", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None


class UdpLink(_Held[asyncio.DatagramTransport], asyncio.DatagramProtocol):
    """A connected socket: datagrams of anybody else do not come in."""

    is_reliable: ClassVar[bool] = False

    def __init__(self, receive: Receive) -> None:
        super().__init__()
        self._receive = receive

    @classmethod
    async def open(cls, host: str, port: int, receive: Receive) -> "UdpLink":
        """Return a link to a server.

        Raises:
            OSError: its name does not resolve, or there is no way to it.
        """
        loop = asyncio.get_running_loop()
        _, link = await loop.create_datagram_endpoint(
            lambda: cls(receive), remote_addr=(host, port)
        )
        return link

    def send(self, octets: bytes) -> None:
        """Send a packet."""
        if self._transport is not None:
            self._transport.sendto(octets)

    @override
    def datagram_received(self, data: bytes, addr: object) -> None:
        self._receive(data)

    @override
    def error_received(self, exc: Exception) -> None:
        """An ICMP error may be forged, so that the time limit decides, not this."""


class TlsLink(_Held[asyncio.Transport], asyncio.Protocol):
    """A TLS connection with packets behind each other; each says its own length."""

    is_reliable: ClassVar[bool] = True

    def __init__(self, receive: Receive) -> None:
        super().__init__()
        self._receive = receive
        self._stored = b""

    @classmethod
    async def open(
        cls, host: str, port: int, receive: Receive, tls: tuple[ssl.SSLContext, str]
    ) -> "TlsLink":
        """Return a link to a server whose certificate has the name that `tls` gives.

        Raises:
            OSError: there is no way to it, or its certificate is not what the context trusts.
        """
        context, name = tls
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(
            lambda: cls(receive), host, port, ssl=context, server_hostname=name
        )
        return link

    def send(self, octets: bytes) -> None:
        """Send a packet."""
        if self._transport is not None:
            self._transport.write(octets)

    @override
    def data_received(self, data: bytes) -> None:
        self._stored += data
        while len(self._stored) >= HEADER.size:
            length = int.from_bytes(self._stored[2:4])
            if not HEADER.size <= length <= PACKET_OCTETS_MOST:
                self._stored = b""
                self.close()
                return
            if len(self._stored) < length:
                return
            packet, self._stored = self._stored[:length], self._stored[length:]
            self._receive(packet)

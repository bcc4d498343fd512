# SPDX-License-Identifier: Apache-2.0
"""Takes orders of RADIUS servers on a UDP port of ours (RFC 5176 §2.1)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

from typing_extensions import override

from ikeway.auth.radius.authenticity import open_request, seal_reply
from ikeway.auth.radius.orders import Order, OrderRefusedError, done, read, refused
from ikeway.auth.radius.packet import Packet
from ikeway.auth.radius.registry import ErrorCause
from ikeway.model.errors import HostError, PeerError
from ikeway.model.secret import Secret

PORT: Final = 3799
"""IANA's port for dynamic authorization."""
_REMEMBERED_MOST: Final = 256

Obey = Callable[[Order], Awaitable[int]]
"""Carries an order out; returns for how many sessions it did. May raise `HostError`."""
Source = tuple[str, int]
Key = tuple[Source, bytes]


class OrderDesk(asyncio.DatagramProtocol):
    """Answers the orders of known servers. Whoever lacks the secret hears nothing (RFC 5176 §6.1).

    An order that is sent again gets the answer of the first time and has no second effect (§2.3).
    """

    def __init__(
        self, name: str, secrets: Mapping[str, Secret], obey: Obey, tell: Callable[[str], None]
    ) -> None:
        """`name` is our NAS-Identifier; `secrets` go by the address of the server."""
        self._name = name
        self._secrets = secrets
        self._obey = obey
        self._tell = tell
        self._transport: asyncio.DatagramTransport | None = None
        self._answers: dict[Key, bytes] = {}
        self._working: dict[Key, asyncio.Task[None]] = {}

    @classmethod
    async def open(cls, desk: "OrderDesk", host: str, port: int) -> "OrderDesk":
        """Return the desk, once it listens there.

        Raises:
            OSError: the port is taken, or not ours to take.
        """
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: desk, local_addr=(host, port))
        return desk

    @property
    def port(self) -> int:
        """The port that it listens on; 0 if on none."""
        if self._transport is None:
            return 0
        return int(self._transport.get_extra_info("sockname")[1])

    def close(self) -> None:
        """Listen no more, and leave undone what is being done."""
        for task in tuple(self._working.values()):
            task.cancel()
        if self._transport is not None:
            self._transport.close()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    @override
    def datagram_received(self, data: bytes, addr: Source) -> None:
        secret = self._secrets.get(addr[0])
        if secret is None:
            self._tell(f"a RADIUS order from {addr[0]}, which is no server of ours")
            return
        try:
            packet = open_request(data, secret)
        except PeerError as error:
            self._tell(f"{addr[0]}: {error.reason}")
            return
        key = (addr[:2], data[:20])
        if key in self._answers:
            self._send(self._answers[key], addr)
        elif key not in self._working and len(self._working) < _REMEMBERED_MOST:
            work = self._carry_out(key, packet, secret)
            self._working[key] = asyncio.get_running_loop().create_task(work)

    async def _carry_out(self, key: Key, packet: Packet, secret: Secret) -> None:
        try:
            answer = seal_reply(await self._answer(packet), packet, secret)
        finally:
            del self._working[key]
        while len(self._answers) >= _REMEMBERED_MOST:
            del self._answers[next(iter(self._answers))]
        self._answers[key] = answer
        self._send(answer, key[0])

    def _send(self, octets: bytes, place: Source) -> None:
        if self._transport is not None:
            self._transport.sendto(octets, place)

    async def _answer(self, packet: Packet) -> Packet:
        try:
            order = read(packet, self._name, int(time.time()))
        except OrderRefusedError as refusal:
            self._tell(refusal.reason)
            return refused(packet, refusal.cause)
        except PeerError as error:
            self._tell(error.reason)
            return refused(packet, ErrorCause.INVALID_REQUEST)
        try:
            found = await self._obey(order)
        except HostError as error:
            self._tell(f"a RADIUS order was not carried out: {error}")
            return refused(packet, ErrorCause.RESOURCES_UNAVAILABLE)
        if not found:
            return refused(packet, ErrorCause.SESSION_NOT_FOUND)
        return done(packet)

# SPDX-License-Identifier: Apache-2.0
"""The port on which RADIUS servers give orders (RFC 5176)."""

import asyncio
from dataclasses import dataclass, field

import pytest

from ikeway.auth.radius.authenticity import open_reply, seal_request
from ikeway.auth.radius.orders import Order
from ikeway.auth.radius.packet import Attribute, Packet
from ikeway.auth.radius.registry import AttributeType, Code, ErrorCause
from ikeway.model.errors import HostError
from ikeway.model.secret import Secret
from ikeway.runtime.radius_orders import OrderDesk
from support.radius import SECRET

SERVER = ("10.0.0.5", 40000)
USER = Attribute(AttributeType.USER_NAME, b"alice")


@dataclass
class Heard:
    """Stands for a transport: keeps what is sent."""

    sent: list[tuple[bytes, tuple[str, int]]] = field(default_factory=list)

    def sendto(self, octets: bytes, place: tuple[str, int]) -> None:
        self.sent.append((octets, place))


@dataclass
class Desk:
    """A desk with what it was told, did and sent."""

    found: int = 1
    orders: list[Order] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.heard = Heard()
        self.desk = OrderDesk("vpn", {SERVER[0]: SECRET}, self._obey, self.lines.append)
        self.desk.connection_made(self.heard)  # type: ignore[arg-type]

    async def _obey(self, order: Order) -> int:
        self.orders.append(order)
        await asyncio.sleep(0)
        if self.found < 0:
            raise HostError("the workers are gone")
        return self.found

    def take(self, *octets: bytes, place: tuple[str, int] = SERVER) -> None:
        """Have datagrams come, one behind the other, and wait until all is done."""

        async def story() -> None:
            for one in octets:
                self.desk.datagram_received(one, place)
            for _ in range(9):
                await asyncio.sleep(0)

        asyncio.run(story())


def order(*attributes: Attribute, secret: Secret = SECRET, identifier: int = 1) -> bytes:
    packet = Packet(Code.DISCONNECT_REQUEST, identifier, bytes(16), attributes)
    return seal_request(packet, secret)


def test_an_order_that_is_sent_again_has_no_second_effect() -> None:
    """RFC 5176 §2.3: the same answer."""
    desk = Desk()
    octets = order(USER)
    desk.take(octets)
    desk.take(octets)
    assert len(desk.orders) == 1
    (first, place), (second, _) = desk.heard.sent
    assert first == second
    assert place == SERVER
    assert open_reply(first, octets, SECRET).code is Code.DISCONNECT_ACK


def test_an_order_that_comes_again_while_it_is_carried_out_is_carried_out_once() -> None:
    desk = Desk()
    desk.take(order(USER), order(USER), order(USER))
    assert len(desk.orders) == len(desk.heard.sent) == 1


def test_the_same_sessions_can_be_ordered_about_anew() -> None:
    desk = Desk()
    for identifier in range(300):
        desk.take(order(USER, identifier=identifier % 256))
    assert len(desk.orders) == 256


@pytest.mark.parametrize(
    ("octets", "place"),
    [
        (order(USER), ("10.0.0.6", 40000)),
        (order(USER, secret=Secret(b"another")), SERVER),
        (order(USER)[:-1], SERVER),
        (b"", SERVER),
    ],
    ids=["stranger", "wrong secret", "cut", "empty"],
)
def test_who_lacks_the_secret_hears_nothing(octets: bytes, place: tuple[str, int]) -> None:
    desk = Desk()
    desk.take(octets, place=place)
    assert not desk.orders
    assert not desk.heard.sent
    assert len(desk.lines) == 1


@pytest.mark.parametrize(
    ("attributes", "found", "cause"),
    [
        ((USER,), 0, ErrorCause.SESSION_NOT_FOUND),
        ((USER,), -1, ErrorCause.RESOURCES_UNAVAILABLE),
        ((), 1, ErrorCause.MISSING_ATTRIBUTE),
        ((Attribute(AttributeType.FRAMED_IP_ADDRESS, b"odd"),), 1, ErrorCause.INVALID_REQUEST),
    ],
)
def test_what_cannot_be_done_is_refused(
    attributes: tuple[Attribute, ...], found: int, cause: ErrorCause
) -> None:
    desk = Desk(found)
    octets = order(*attributes)
    desk.take(octets)
    reply = open_reply(desk.heard.sent[0][0], octets, SECRET)
    assert reply.code is Code.DISCONNECT_NAK
    assert reply.number(AttributeType.ERROR_CAUSE) == cause

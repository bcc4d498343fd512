# SPDX-License-Identifier: Apache-2.0
"""How RADIUS servers are asked (RFC 2865 §2.5, RFC 5080 §2.2.1), with sockets on loopback."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any, TypeVar

import pytest
from typing_extensions import override

from ikeway.auth.radius.packet import Attribute, Packet
from ikeway.auth.radius.registry import AttributeType, Code
from ikeway.runtime.entropy import SystemRandom
from ikeway.runtime.radius import RadiusClient, RadiusServer, RadiusSilenceError
from ikeway.runtime.radius_link import TlsLink
from support.radius import SECRET, replied

USER = (Attribute(AttributeType.USER_NAME, b"alice"),)
Result = TypeVar("Result")
Replies = Callable[[int, bytes], list[bytes]]
"""What a server sends when it hears a request for the n-th time."""


class Server(asyncio.DatagramProtocol):
    """A RADIUS server that says what a test wants."""

    def __init__(self, replies: Replies) -> None:
        self.heard: list[bytes] = []
        self._replies = replies

    @override
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    @override
    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard.append(data)
        for reply in self._replies(len(self.heard), data):
            self.transport.sendto(reply, addr)

    @property
    def server(self) -> RadiusServer:
        return RadiusServer("127.0.0.1", self.transport.get_extra_info("sockname")[1], SECRET)

    def close(self) -> None:
        self.transport.abort()


class Aborted(asyncio.Transport):
    """Stands for a transport: knows whether it was aborted."""

    is_aborted = False

    @override
    def abort(self) -> None:
        self.is_aborted = True


async def serve(replies: Replies) -> Server:
    server = Server(replies)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", 0))
    return server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ikeway.runtime.radius.WAITS", (0.1, 0.1, 0.1))


def run(asked: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(asyncio.wait_for(asked, 20))


def accept(_: int, request: bytes) -> list[bytes]:
    return [replied(request, Code.ACCESS_ACCEPT)]


def silence(_: int, __: bytes) -> list[bytes]:
    return []


def test_a_lost_request_is_sent_again_unchanged() -> None:
    """RFC 5080 §2.2.1: the same identifier and authenticator, so that it is known as the same."""

    async def ask() -> list[bytes]:
        with closing(await serve(lambda n, octets: accept(n, octets) if n == 2 else [])) as server:
            with closing(RadiusClient([server.server], SystemRandom())) as client:
                answer = await client.ask(Code.ACCESS_REQUEST, USER)
            assert answer.reply.code is Code.ACCESS_ACCEPT
            assert answer.asked == Packet.decode(server.heard[0]).authenticator
            return server.heard

    first, second = run(ask())
    assert first == second


def test_a_forged_reply_does_not_keep_the_genuine_one_out() -> None:
    """CVE-2024-3596 and plain guesses: what is not proven ends no question."""
    told: list[str] = []

    def forge_first(_: int, request: bytes) -> list[bytes]:
        forged = replied(request, Code.ACCESS_ACCEPT, is_authentic=False)
        return [b"", b"\x02", forged, replied(request, Code.ACCESS_REJECT)]

    async def ask() -> Code:
        with (
            closing(await serve(forge_first)) as server,
            closing(RadiusClient([server.server], SystemRandom(), told.append)) as client,
        ):
            return (await client.ask(Code.ACCESS_REQUEST, USER)).reply.code

    assert run(ask()) is Code.ACCESS_REJECT
    assert len(told) == 1
    assert "Message-Authenticator" in told[0]


def test_a_silent_server_is_asked_after_the_others_for_a_while() -> None:
    async def ask() -> tuple[int, int]:
        with closing(await serve(silence)) as one, closing(await serve(accept)) as other:
            with closing(RadiusClient([one.server, other.server], SystemRandom())) as client:
                for _ in range(3):
                    assert (await client.ask(Code.ACCESS_REQUEST, USER)).server == other.server
            return len(one.heard), len(other.heard)

    assert run(ask()) == (3, 3)


def test_a_conversation_stays_with_its_server_though_another_would_answer() -> None:
    async def ask() -> None:
        with (
            closing(await serve(silence)) as one,
            closing(await serve(accept)) as other,
            closing(RadiusClient([one.server, other.server], SystemRandom())) as client,
        ):
            await client.ask(Code.ACCESS_REQUEST, USER, one.server)

    with pytest.raises(RadiusSilenceError, match=r"said nothing for 0\.3 s"):
        run(ask())


def test_more_questions_than_identifiers_wait_their_turn() -> None:
    """RFC 2865 §2.5: an identifier of one octet tells the requests of a port apart."""

    async def ask() -> set[Code]:
        with (
            closing(await serve(accept)) as server,
            closing(RadiusClient([server.server], SystemRandom())) as client,
        ):
            questions = (client.ask(Code.ACCESS_REQUEST, USER) for _ in range(600))
            answers = await asyncio.gather(*questions)
        return {one.reply.code for one in answers}

    assert run(ask()) == {Code.ACCESS_ACCEPT}


def test_accounting_is_sealed_by_its_digest() -> None:
    async def ask() -> Packet:
        def respond(_: int, request: bytes) -> list[bytes]:
            return [replied(request, Code.ACCOUNTING_RESPONSE, is_authentic=False)]

        with closing(await serve(respond)) as server:
            with closing(RadiusClient([server.server], SystemRandom())) as client:
                await client.ask(Code.ACCOUNTING_REQUEST, USER)
            return Packet.decode(server.heard[0])

    assert run(ask()).attributes == USER


def test_a_name_that_does_not_resolve_is_said() -> None:
    async def ask() -> None:
        server = RadiusServer("radius.invalid", 1812, SECRET)
        with closing(RadiusClient([server], SystemRandom())) as client:
            await client.ask(Code.ACCESS_REQUEST, USER)

    with pytest.raises(RadiusSilenceError, match=r"radius\.invalid:1812 cannot be reached"):
        run(ask())


def test_a_stream_is_cut_into_packets_wherever_its_octets_break() -> None:
    one = Packet(Code.ACCESS_ACCEPT, 1, bytes(16), USER).encode()
    other = Packet(Code.ACCESS_REJECT, 2, bytes(16)).encode()
    heard: list[bytes] = []
    link = TlsLink(heard.append)
    for octet in one + other:
        link.data_received(bytes((octet,)))
    assert heard == [one, other]


@pytest.mark.parametrize("length", [0, 19, 4097, 65535])
def test_a_stream_that_says_an_impossible_length_is_given_up(length: int) -> None:
    heard: list[bytes] = []
    link = TlsLink(heard.append)
    transport = Aborted()
    link.connection_made(transport)
    link.data_received(b"\x02\x01" + length.to_bytes(2) + bytes(16) + b"more")
    assert transport.is_aborted
    assert not heard

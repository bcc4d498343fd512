# SPDX-License-Identifier: Apache-2.0
"""EAP relayed between a peer and a RADIUS server (RFC 3579 §2)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from ikeway.auth.eap.progress import Failure, Progress, Success
from ikeway.auth.radius.access import Grant
from ikeway.auth.radius.packet import Attribute, Packet, split
from ikeway.auth.radius.registry import AttributeType, Code
from ikeway.auth.radius.visit import Visit as RadiusVisit
from ikeway.crypto.random import SeededRandom
from ikeway.ike.questions import Answer, Converse, Refused, Ticket, Visit
from ikeway.model.address import Endpoint
from ikeway.model.secret import Secret
from ikeway.runtime.radius import RadiusAnswer, RadiusServer, RadiusSilenceError
from ikeway.runtime.radius_relay import METHOD, RadiusRelay

SERVER = RadiusServer("127.0.0.1", 1812, Secret(b"a RADIUS secret"))
TICKET = Ticket(b"12345678", b"branch", "eap")
VISIT = Visit(
    "staff",
    Endpoint(ip_address("192.0.2.1"), 4500),
    Endpoint(ip_address("198.51.100.7"), 4500),
)
IDENTITY = b"\x02\x00\x00\x0a\x01alice"
RESPONSE = b"\x02\x07\x00\x06\x04\x00"
REQUEST, SUCCESS, FAILURE = b"\x01\x07\x00\x06\x04\x00", b"\x03\x07\x00\x04", b"\x04\x07\x00\x04"


@dataclass
class Client:
    """A RADIUS client whose servers answer what a test has written down."""

    replies: list[Packet | Exception]
    asked: list[tuple[Attribute, ...]] = field(default_factory=list)
    servers: list[RadiusServer | None] = field(default_factory=list)

    async def ask(
        self, _: Code, attributes: tuple[Attribute, ...], only: RadiusServer | None = None
    ) -> RadiusAnswer:
        self.asked.append(attributes)
        self.servers.append(only)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return RadiusAnswer(reply, bytes(16), SERVER)

    def close(self) -> None:
        pass


def reply(code: Code, eap: bytes, *attributes: Attribute) -> Packet:
    return Packet(code, 1, bytes(16), (*split(AttributeType.EAP_MESSAGE, eap), *attributes))


def challenge(state: bytes = b"state") -> Packet:
    return reply(Code.ACCESS_CHALLENGE, REQUEST, Attribute(AttributeType.STATE, state))


@dataclass
class Gateway:
    """A relay, with what it granted."""

    client: Client
    rounds: int = 50
    granted: list[tuple[bytes, RadiusVisit, bytes, Grant]] = field(default_factory=list)

    def talk(self, *packets: bytes, identity: bytes = b"") -> list[Answer]:
        """Return the relay's answer to each packet of the peer; the empty one begins."""
        return asyncio.run(self._talk(packets, identity))

    async def _talk(self, packets: tuple[bytes, ...], identity: bytes) -> list[Answer]:
        def grant(sa: bytes, visit: RadiusVisit, user: bytes, what: Grant) -> None:
            self.granted.append((sa, visit, user, what))

        random = SeededRandom(Secret(bytes(32)))
        relay = RadiusRelay(self.client, "vpn", random, self.rounds, grant)  # type: ignore[arg-type]
        answers: list[Answer] = []
        for packet in packets:
            heard: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            told: Callable[[Answer], None] = heard.set_result
            relay.turn(TICKET, Converse(True, (METHOD,), identity, packet, visit=VISIT), told)
            answers.append(await heard)
        self.left = len(relay)
        return answers


def text(attributes: tuple[Attribute, ...], kind: AttributeType) -> str | None:
    return Packet(Code.ACCESS_REQUEST, 0, bytes(16), attributes).text(kind)


def test_a_conversation_goes_from_identity_to_success() -> None:
    groups = Attribute(AttributeType.CLASS, b"staff")
    framed = Attribute(AttributeType.FRAMED_IP_ADDRESS, bytes((10, 66, 0, 9)))
    client = Client([challenge(), reply(Code.ACCESS_ACCEPT, SUCCESS, groups, framed)])
    gateway = Gateway(client)
    first, second, third = gateway.talk(b"", IDENTITY, RESPONSE)
    assert first == Progress(b"\x01\x00\x00\x05\x01")
    assert second == Progress(REQUEST)
    address = (ip_address("10.66.0.9"),)
    proven = Success(b"alice", None, METHOD, groups=("staff",), addresses=address)
    assert third == Progress(SUCCESS, proven)
    assert text(client.asked[0], AttributeType.STATE) is None
    assert text(client.asked[1], AttributeType.STATE) == "state"
    assert client.servers == [None, SERVER]
    assert {text(one, AttributeType.USER_NAME) for one in client.asked} == {"alice"}
    assert len({text(one, AttributeType.ACCT_SESSION_ID) for one in client.asked}) == 1
    assert [(sa, user) for sa, _, user, _ in gateway.granted] == [(TICKET.sa, b"alice")]
    assert gateway.left == 0


def test_who_idi_names_is_not_asked() -> None:
    client = Client([challenge()])
    (first,) = Gateway(client).talk(b"", identity=b"alice")
    assert first == Progress(REQUEST)
    sent = Packet(Code.ACCESS_REQUEST, 0, bytes(16), client.asked[0])
    assert sent.joined(AttributeType.EAP_MESSAGE) == IDENTITY


def test_the_name_that_the_server_gives_is_who_is_proven() -> None:
    """RFC 2865 §5.1: User-Name in Access-Accept; a name given outside the tunnel proves nothing."""
    named = Attribute(AttributeType.USER_NAME, b"alice@corp")
    client = Client([reply(Code.ACCESS_ACCEPT, SUCCESS, named)])
    answer = Gateway(client).talk(b"", IDENTITY)[-1]
    assert isinstance(answer, Progress)
    assert isinstance(answer.outcome, Success)
    assert answer.outcome.identity == b"alice@corp"


@pytest.mark.parametrize("eap", [FAILURE, b""])
def test_a_reject_is_a_failure_with_what_the_server_says(eap: bytes) -> None:
    said = Attribute(AttributeType.REPLY_MESSAGE, b"locked out")
    gateway = Gateway(Client([challenge(), reply(Code.ACCESS_REJECT, eap, said)]))
    answer = gateway.talk(b"", IDENTITY, RESPONSE)[-1]
    assert answer == Progress(FAILURE, Failure("RADIUS refuses 'alice': locked out"))
    assert not gateway.granted
    assert gateway.left == 0


@pytest.mark.parametrize(
    "said",
    [
        RadiusSilenceError("no RADIUS server answers"),
        reply(Code.ACCESS_ACCEPT, FAILURE),
        reply(Code.ACCESS_ACCEPT, b""),
        reply(Code.ACCOUNTING_RESPONSE, SUCCESS),
    ],
    ids=["silence", "accept with failure", "accept without EAP", "another code"],
)
def test_what_makes_no_sense_lets_nobody_in(said: Packet | Exception) -> None:
    gateway = Gateway(Client([said]))
    assert isinstance(gateway.talk(b"", IDENTITY)[-1], Refused)
    assert not gateway.granted
    assert gateway.left == 0


@pytest.mark.parametrize(
    "packet", [RESPONSE, SUCCESS, b"\x02\x00\x00\x05\x01", b"\x01\x00\x00\x0a\x01alice", b"\x02"]
)
def test_a_peer_that_does_not_begin_with_its_name_goes_no_further(packet: bytes) -> None:
    client = Client([])
    assert isinstance(Gateway(client).talk(b"", packet)[-1], Refused)
    assert not client.asked


def test_a_conversation_without_end_is_ended() -> None:
    gateway = Gateway(Client([challenge() for _ in range(9)]), rounds=3)
    answers = gateway.talk(b"", IDENTITY, RESPONSE, RESPONSE, RESPONSE)
    assert [type(one) for one in answers] == [Progress, Progress, Progress, Progress, Refused]

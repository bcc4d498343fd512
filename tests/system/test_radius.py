# SPDX-License-Identifier: Apache-2.0
"""RADIUS with FreeRADIUS on loopback: access with EAP, RadSec, accounting, orders, fail-over."""

import asyncio
import hashlib
import ipaddress
import ssl
from collections.abc import Coroutine, Iterator
from contextlib import closing
from typing import Any, Final, TypeVar

import pytest

from ikeway.auth.radius.access import Challenge, Grant, Refusal, Verdict, request, verdict
from ikeway.auth.radius.accounting import Session, Usage, interim, start, stop
from ikeway.auth.radius.orders import Disconnect, Order
from ikeway.auth.radius.registry import Code, TerminateCause
from ikeway.auth.radius.visit import Visit
from ikeway.model.secret import Secret
from ikeway.runtime.entropy import SystemRandom
from ikeway.runtime.radius import RadiusClient, RadiusServer
from ikeway.runtime.radius_orders import OrderDesk
from support.freeradius import CLIENT, PASSWORD, PROGRAM, SECRET, FreeRadius, freeradius

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        PROGRAM is None, reason="no freeradius (Debian, Ubuntu: apt install freeradius)"
    ),
]

VISIT: Final = Visit(
    nas="vpn.example.com",
    session="5e551011",
    connection="staff",
    local=ipaddress.ip_address("192.0.2.1"),
    peer=ipaddress.ip_address("198.51.100.7"),
    peer_port=4500,
)
Result = TypeVar("Result")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreeRadius]:
    with freeradius(tmp_path_factory.mktemp("freeradius"), method="md5") as running:
        yield running


def run(asked: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(asyncio.wait_for(asked, 30))


def of(server: FreeRadius, port: int | None = None) -> RadiusServer:
    return RadiusServer(server.host, port or server.port, SECRET)


async def log_in(password: str, *servers: RadiusServer, told: list[str] | None = None) -> Verdict:
    """Be the EAP peer of an EAP-MD5 conversation, as the gateway relays it."""
    lines = [] if told is None else told
    with closing(RadiusClient(servers, SystemRandom(), lines.append)) as client:
        return await _log_in(client, password)


async def _log_in(client: RadiusClient, password: str) -> Verdict:
    identity = b"\x02\x00\x00\x0a\x01alice"
    answer = await client.ask(Code.ACCESS_REQUEST, request(VISIT, b"alice", identity))
    heard = verdict(answer.reply, answer.asked, answer.server.secret)
    assert isinstance(heard, Challenge)
    number, challenge = heard.eap[1], heard.eap[6 : 6 + heard.eap[5]]
    digest = hashlib.md5(bytes((number,)) + password.encode() + challenge).digest()
    response = bytes((2, number, 0, 22, 4, 16)) + digest
    asked = request(VISIT, b"alice", response, heard.state)
    answer = await client.ask(Code.ACCESS_REQUEST, asked, answer.server)
    return verdict(answer.reply, answer.asked, answer.server.secret)


def test_a_user_with_the_password_is_let_in_with_what_the_server_says(server: FreeRadius) -> None:
    granted = run(log_in(PASSWORD, of(server)))
    assert isinstance(granted, Grant)
    assert [str(one) for one in granted.addresses] == ["10.66.0.77"]
    assert granted.groups == ("staff",)
    assert granted.session_timeout == 3600
    assert granted.interim_interval == 60
    assert granted.msk is None


def test_a_user_with_another_password_is_not_let_in(server: FreeRadius) -> None:
    assert isinstance(run(log_in("wrong", of(server))), Refusal)


def test_the_same_over_tls(server: FreeRadius) -> None:
    """RFC 6614: the secret is "radsec", the certificate says who the server is."""
    context = ssl.create_default_context(cafile=str(server.folder / "authority.pem"))
    context.check_hostname = False
    radsec = RadiusServer(server.host, server.tls_port, Secret(b"radsec"), context)
    assert isinstance(run(log_in(PASSWORD, radsec)), Grant)


def test_a_certificate_of_somebody_else_gets_no_password(server: FreeRadius) -> None:
    told: list[str] = []
    radsec = RadiusServer(
        server.host, server.tls_port, Secret(b"radsec"), ssl.create_default_context()
    )
    assert isinstance(run(log_in(PASSWORD, radsec, of(server), told=told)), Grant)
    assert "certificate" in told[0]


def test_the_next_server_is_asked_when_one_says_nothing(
    server: FreeRadius, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ikeway.runtime.radius.WAITS", (0.1, 0.1))
    told: list[str] = []
    assert isinstance(run(log_in(PASSWORD, of(server, 9), of(server), told=told)), Grant)
    assert told == ["127.0.0.1:9 said nothing for 0.2 s"]


def test_a_session_is_accounted_from_start_to_stop(server: FreeRadius) -> None:
    session = Session(VISIT, b"alice", (ipaddress.ip_address("10.66.0.77"),), (b"staff",))
    usage = Usage(90, octets_in=5_000_000_000, octets_out=7, packets_in=4, packets_out=1)

    async def tell() -> None:
        servers = [of(server, server.accounting_port)]
        with closing(RadiusClient(servers, SystemRandom())) as client:
            for told in (
                start(session),
                interim(session, usage),
                stop(session, usage, TerminateCause.USER_REQUEST),
            ):
                answer = await client.ask(Code.ACCOUNTING_REQUEST, told)
                assert answer.reply.code is Code.ACCOUNTING_RESPONSE

    run(tell())
    account = server.account()
    for line in (
        "Acct-Status-Type = Start",
        "Acct-Status-Type = Interim-Update",
        "Acct-Status-Type = Stop",
        "Acct-Terminate-Cause = User-Request",
        "Acct-Input-Gigawords = 1",
        'Acct-Session-Id = "5e551011"',
        "Framed-IP-Address = 10.66.0.77",
    ):
        assert line in account


@pytest.mark.skipif(CLIENT is None, reason="no radclient (apt install freeradius-utils)")
@pytest.mark.parametrize(
    ("secret", "found", "heard"),
    [
        (SECRET, 1, "Disconnect-ACK"),
        (SECRET, 0, "Session-Context-Not-Found"),
        (Secret(b"another"), 1, "No reply"),
    ],
    ids=["known", "no such session", "wrong secret"],
)
def test_an_order_to_disconnect(secret: Secret, found: int, heard: str) -> None:
    orders: list[Order] = []

    async def obey(order: Order) -> int:
        orders.append(order)
        return found

    async def order() -> str:
        desk = OrderDesk("vpn.example.com", {"127.0.0.1": SECRET}, obey, lambda _: None)
        await OrderDesk.open(desk, "127.0.0.1", 0)
        assert CLIENT is not None
        client = await asyncio.create_subprocess_exec(
            *(CLIENT, "-x", "-r", "2", "-t", "0.5", f"127.0.0.1:{desk.port}", "disconnect"),
            secret.octets.decode(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await client.communicate(b'User-Name = "alice"\nAcct-Session-Id = "5e551011"\n')
        desk.close()
        return said.decode()

    assert heard in run(order())
    assert all(isinstance(one, Disconnect) and one.which.user == b"alice" for one in orders)
    assert len(orders) == (secret == SECRET)

# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.6, RFC 8019, RFC 6290 with real daemons: floods, puzzles, crashes."""

import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ikeway.runtime.sockets import _bind_all
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Nonce, Notify
from ikeway.wire.registry import NotifyType
from support.daemon import Daemon, Table
from support.forge import first_message
from support.hosts import GCM
from support.link import Link, cable
from support.strongswan import wait_until
from support.traffic import PINGS, ping

pytestmark = pytest.mark.system

REQUEST = first_message(GCM.psk())


@pytest.fixture
def link() -> Iterator[Link]:
    with cable() as made:
        yield made


def config(name: str, peer: str, here: str, there: str, **more: object) -> Table:
    connection = {
        "peer": peer,
        "local_auth": "psk",
        "peer_auth": ["psk"],
        "local_ts": [here],
        "peer_ts": [there],
        "liveness": "1s",
    }
    connection |= more.pop("connection", {})  # type: ignore[operator]
    return {
        "host": {"identity": name},
        "credentials": {"secrets": [{"id": "*", "psk": "a secret of the tests"}]},
        "connections": {"lab": connection},
        **more,
    }


@pytest.fixture
def ends(link: Link, tmp_path: Path, limits: dict[str, int]) -> Iterator[tuple[Daemon, Daemon]]:
    """A client that keeps its connection up, and a gateway with these limits."""
    client = config(
        "client",
        link.peer.outer[4],
        "10.1.0.0/16",
        "10.2.0.0/16",
        connection={"start": "now", "retransmission": {"give_up": "60s"}},
    )
    gateway = config("gateway", "any", "10.2.0.0/16", "10.1.0.0/16", limits=limits)
    made = (
        Daemon(tmp_path / "client", link.ours.namespace, client),
        Daemon(tmp_path / "gateway", link.peer.namespace, gateway),
    )
    try:
        for daemon in reversed(made):
            daemon.begin()
            daemon.ready()
        yield made
    finally:
        for daemon in made:
            daemon.stop()


def carries(link: Link) -> bool:
    return ping(link.ours.namespace, link.ours.inner[4], link.peer.inner[4]) == PINGS


@pytest.mark.conformance("CF-D07")
@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"cookies_from": 0}, "the peer asks for a COOKIE"),
        ({"cookies_from": 0, "puzzles_from": 0, "puzzle_bits": 12}, "solve a puzzle of 12 bits"),
    ],
)
def test_a_client_gets_in_by_cookie_and_puzzle(
    link: Link, ends: tuple[Daemon, Daemon], said: str
) -> None:
    client, gateway = ends
    wait_until(lambda: bool(client.children()), 20.0, "the tunnel")
    assert client.said(said)
    assert gateway.said("under pressure, asked")
    assert carries(link)


@pytest.mark.parametrize("limits", [{}])
def test_a_flood_shuts_nobody_out(link: Link, ends: tuple[Daemon, Daemon]) -> None:
    """I3, I5: forged requests from one address, as fast as a thread sends them.

    Every other one has a forged cookie, and comes where requests with good ones come.
    """
    client, gateway = ends
    wait_until(lambda: bool(client.children()), 10.0, "the tunnel")
    stop = threading.Event()
    flooding = link.ours.namespace.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def flood() -> None:
        while not stop.is_set():
            nonce = Nonce(secrets.token_bytes(32))
            cookie = Notify(NotifyType.COOKIE, secrets.token_bytes(22))
            for octets in forged(nonce), forged(cookie, nonce):
                flooding.sendto(octets, (link.peer.outer[4], 500))

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        gateway.wait_for_log("under pressure, asked", 10.0)
        client.disconnect()
        wait_until(lambda: not client.children(), 5.0, "the end of the tunnel")
        client.initiate()
        wait_until(lambda: bool(client.children()), 10.0, "the tunnel, in a flood")
        assert carries(link)
        lines = len(gateway.log().splitlines())
        time.sleep(2)
        assert len(gateway.log().splitlines()) - lines < 200
    finally:
        stop.set()
        thread.join()
        flooding.close()


def forged(*first: Body) -> bytes:
    """Return a request with these payloads and the others that it needs."""
    others = tuple(one for one in REQUEST.payloads if not isinstance(one, Nonce))
    return replace(REQUEST, payloads=(*first, *others)).encode()


@pytest.mark.conformance("CF-W09")
@pytest.mark.parametrize("limits", [{}])
def test_a_gateway_that_crashed_is_known_at_once(link: Link, ends: tuple[Daemon, Daemon]) -> None:
    """RFC 6290: within seconds, where retransmissions alone would take a minute."""
    client, gateway = ends
    wait_until(lambda: bool(client.children()), 10.0, "the tunnel")
    gateway.kill()
    gateway.begin()
    gateway.ready()
    back = time.monotonic()
    client.wait_for_log("proves that it lost the IKE SA", 10.0)
    wait_until(lambda: bool(gateway.children()), 10.0, "the tunnel to come back")
    assert time.monotonic() - back < 10
    assert carries(link)


def test_first_requests_have_a_queue_of_their_own(link: Link) -> None:
    """§2.6: when it runs over, those who returned a cookie and all IKE SAs lose nothing."""
    from ipaddress import ip_address

    address = ip_address(link.peer.outer[4])
    ours, strangers = link.peer.namespace.inside(lambda: _bind_all(address, 500))
    sender = link.ours.namespace.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    cookie = Notify(NotifyType.COOKIE, b"cookie")
    returned = Message.build(
        *(bytes([1]) * 8, bytes(8)),
        *(REQUEST.header.exchange, REQUEST.header.flags, 0),
        (cookie, *REQUEST.payloads),
    ).encode()
    with ours, strangers, sender:
        for octets in (b"", b"short", REQUEST.encode(), returned):
            sender.sendto(octets, (link.peer.outer[4], 500))
        for sock in (ours, strangers):
            sock.settimeout(2)
        assert [ours.recv(4096) for _ in range(3)] == [b"", b"short", returned]
        assert strangers.recv(4096) == REQUEST.encode()

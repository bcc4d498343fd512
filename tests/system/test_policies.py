# SPDX-License-Identifier: Apache-2.0
"""What leaves a host by policies, in clear, in the tunnel or not at all, seen on its cable."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support import leaks
from support.leaks import clear_ports, ends, keep_sending, send, two, up
from support.netns import Namespace
from support.strongswan import wait_until
from support.traffic import ping, transfer
from support.two import Table, Two

pytestmark = pytest.mark.system

CLEAR, NOWHERE, SECRET = 8001, 8002, 8003
PEER_NET = "10.2.0.0/16"
OURS: Table = {
    "policies": {
        "clear": {"action": "bypass", "peer_ts": [f"{PEER_NET}[tcp/{CLEAR}]"]},
        "nowhere": {"action": "discard", "peer_ts": [f"{PEER_NET}[tcp/{NOWHERE}-65535]"]},
    }
}
PEERS: Table = {
    "policies": {"clear": {"action": "bypass", "local_ts": [f"{PEER_NET}[tcp/{CLEAR}]"]}}
}
SECRETIVE: Table = {
    "policies": {
        "clear": OURS["policies"]["clear"],
        "secret": {"action": "protect", "peer_ts": [f"{PEER_NET}[tcp/{SECRET}]"]},
        "nowhere": OURS["policies"]["nowhere"],
    }
}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def back(made: Two) -> None:
    """Wait until the peer has let go of what it had with the daemon that is gone."""
    here = made.link.ours.namespace
    wait_until(lambda: ping(here, *ends(made), 1, 0.5) == 1, 15, "traffic")


def tries(made: Two) -> None:
    """Send towards the peer all that should be protected, in some ways of applications."""
    here, (ours, there) = made.link.ours.namespace, ends(made)
    assert ping(here, ours, there, 1, 0.2) == 0
    for source in ("0.0.0.0", ours):
        assert not connects(here, source, there, SECRET)
        here.inside(lambda source=source: send(source, there))


def connects(namespace: Namespace, source: str, there: str, port: int) -> bool:
    def attempt() -> bool:
        try:
            socket.create_connection((there, port), 0.3, (source, 0)).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return True

    return namespace.inside(attempt)


def kill_engine(made: Two) -> None:
    leaks.kill_engine(made)
    gone = "ikeway0"
    show = made.link.ours.namespace
    wait_until(lambda: gone not in show.ip("-br", "link"), 5, "the end of the engine")


@pytest.mark.conformance("CF-U17")
def test_each_port_goes_where_its_policy_says(stack: ExitStack, tmp_path: Path) -> None:
    """RFC 4301 §4.4.1: bypass, discard and protect, with and without a Child SA."""
    made = two(stack, tmp_path, {"start": "now"}, OURS, PEERS)
    ours, peer = made.link.ours.namespace, made.link.peer.namespace
    here, there = ends(made)
    up(made)
    for is_up in (True, False):
        if not is_up:
            made.ours.disconnect()
            wait_until(lambda: not made.children(), 5, "the end of the Child SA")
            tries(made)
        transfer((ours, here), (peer, there), port=CLEAR)
        for port in (NOWHERE, 9000, 65535):
            assert not connects(ours, here, there, port)
            assert not connects(ours, "0.0.0.0", there, port)
        assert (ping(ours, here, there, 2, 0.5) == 2) is is_up
        assert connects(ours, here, there, 22) is is_up
    assert clear_ports(made) == {CLEAR}
    (told,) = (one for one in made.ours.client.status().policies if one.name == "nowhere")
    assert told.action == "discard"
    assert told.dropped >= 12


@pytest.mark.conformance("CF-U17")
def test_a_policy_protects_a_port_of_which_nothing_else_is(
    stack: ExitStack, tmp_path: Path
) -> None:
    """The first policy that fits decides; the connection itself is asked for nothing."""
    connection = {"start": "wait", "protect": False}
    made = two(stack, tmp_path, connection, SECRETIVE, PEERS)
    ours, (here, there) = made.link.ours.namespace, ends(made)
    assert ping(ours, here, there, 2) == 2, "in clear: nobody protects it"
    for source in (here, "0.0.0.0"):
        assert not connects(ours, source, there, SECRET)
        assert not connects(ours, source, there, NOWHERE)
        assert connects(ours, source, there, CLEAR)
    assert clear_ports(made) == {0, CLEAR}
    made.ours.initiate()
    up(made)
    assert connects(ours, here, there, SECRET)
    assert not connects(ours, here, there, NOWHERE)
    assert clear_ports(made) == {0, CLEAR}


@pytest.mark.conformance("CF-U17")
def test_nothing_leaks_while_daemon_and_engine_die_and_come_back(
    stack: ExitStack, tmp_path: Path
) -> None:
    """I6: nothing that is to be protected leaves in clear: start, crash, restart, end of the SA."""
    made = two(stack, tmp_path, {"start": "now"}, {"dataplane": {"hold": True}}, {})
    up(made)
    made.carries()
    made.ours.kill()
    kill_engine(made)
    tries(made)
    made.ours.begin()
    sender = threading.Thread(target=lambda: keep_sending(made, 3.0))
    sender.start()
    made.ours.ready()
    back(made)
    sender.join()
    made.carries()
    made.ours.stop()
    tries(made)
    made.ours.begin()
    made.ours.ready()
    back(made)
    made.carries()
    assert not clear_ports(made)


def test_what_comes_in_clear_and_should_be_protected_is_dropped(
    stack: ExitStack, tmp_path: Path
) -> None:
    """RFC 4301 §5.2: "if the packet arrives unprotected and must be protected, it is discarded"."""
    made = two(stack, tmp_path, {"start": "now"}, {}, {})
    up(made)
    here, there = ends(made)
    ours, peer = made.link.ours.namespace, made.link.peer.namespace
    made.peer.stop()  # Its host sends in clear from now on.
    with ours.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as receiver:
        receiver.bind((here, 7007))
        receiver.settimeout(0.5)
        peer.inside(lambda: speak(there, here))
        with pytest.raises(TimeoutError):
            receiver.recv(100)
        peer.inside(lambda: speak(made.link.peer.outer[4], here))
        assert receiver.recvfrom(100)[1][0] == made.link.peer.outer[4]


def speak(source: str, there: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        sender.sendto(b"in clear", (there, 7007))


def test_an_orderly_end_opens_what_it_closed(stack: ExitStack, tmp_path: Path) -> None:
    made = two(stack, tmp_path, {"start": "now"}, OURS, {})
    up(made)
    ours, (here, there) = made.link.ours.namespace, ends(made)
    assert "ikeway-ikeway0" in ours.run("nft", "list", "tables")
    made.ours.stop()
    assert not ours.run("nft", "list", "tables")
    assert "4510" not in ours.ip("rule")
    made.peer.stop()
    assert ping(ours, here, there, 2) == 2

# SPDX-License-Identifier: Apache-2.0
"""A changed configuration is heeded while packets pass (`ikeway reload`, SIGHUP)."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ikeway.model.errors import UsageError
from support.leaks import clear_ports, ends, two, up
from support.netns import Namespace
from support.strongswan import wait_until
from support.traffic import ping

pytestmark = pytest.mark.system

SHUT, OPEN = 8002, 8001
PEER_NET = "10.2.0.0/16"
POLICIES = {
    "open": {"action": "bypass", "peer_ts": [f"{PEER_NET}[tcp/{OPEN}]"]},
    "shut": {"action": "discard", "peer_ts": [f"{PEER_NET}[tcp/{SHUT}]"]},
}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def answers(namespace: Namespace, there: str, port: int) -> bool:
    """Whether a connection is refused by the peer itself, and not on its way."""
    script = (
        "import socket,sys\n"
        "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.5)\n"
        "except ConnectionRefusedError: print('refused')\n"
        "except OSError: print('lost')\n"
    )
    return "refused" in namespace.run("python3", "-c", script, there, str(port))


@pytest.mark.conformance("CF-U17")
@pytest.mark.parametrize("workers", [1, 2])
def test_policies_and_connections_change_and_no_packet_is_lost(
    stack: ExitStack, tmp_path: Path, workers: int
) -> None:
    """I6 and the promise of design §8: what did not change loses nothing, and nothing leaks."""
    host = {"host": {"identity": "ours.lab", "listen": ["0.0.0.0"], "workers": workers}}
    made = two(stack, tmp_path, {"start": "now"}, host, {})
    up(made)
    here, there = made.link.ours.namespace, ends(made)[1]
    before = {child.spi_in for child in made.ours.children()}
    base = dict(made.ours.config)
    lab: Any = base["connections"]["lab"]  # type: ignore[index]
    more = {"lab": lab, "more": {**lab, "peer": "10.77.0.99", "start": "wait"}}
    assert answers(here, there, SHUT)

    how = ("-n", "-q", "-i", "0.01", "-c", "200", "-I", ends(made)[0])
    with here.start("ping", *how, there, stdout=subprocess.PIPE) as pinging:
        found = made.ours.reload(base | {"connections": more, "policies": POLICIES})
        assert (found.added, found.changed, found.removed) == (["more"], [], [])
        said, _ = pinging.communicate(timeout=20)
    assert "200 received" in said
    assert not answers(here, there, SHUT)
    assert answers(here, there, OPEN)
    assert [one.name for one in made.ours.client.status().policies][:2] == ["open", "shut"]
    assert clear_ports(made) == {OPEN}

    gone = made.ours.reload(base)
    assert gone.removed == ["more"]
    assert answers(here, there, SHUT)
    assert {child.spi_in for child in made.ours.children()} == before
    assert ping(here, *ends(made), 3) == 3

    with pytest.raises(UsageError, match=r"\[dataplane\]"):
        made.ours.reload(base | {"dataplane": {"mtu": 1300}})
    assert not made.ours.faults()


def test_a_connection_that_changed_begins_anew_at_a_signal(
    stack: ExitStack, tmp_path: Path
) -> None:
    made = two(stack, tmp_path, {"start": "now"}, {}, {})
    up(made)
    (old,) = made.ours.established()
    lab: Any = made.ours.config["connections"]["lab"]  # type: ignore[index]
    other = {"lab": {**lab, "esp": ["chacha20poly1305"]}}
    made.ours.write(dict(made.ours.config) | {"connections": other})
    os.kill(made.ours.client.ping().pid, signal.SIGHUP)
    made.ours.wait_for_log('"changed": "lab"')
    wait_until(
        lambda: [child.suite for child in made.ours.children()] == ["chacha20poly1305-esn"],
        10,
        "the other algorithm",
    )
    wait_until(lambda: ping(made.link.ours.namespace, *ends(made), 1) == 1, 5, "traffic")
    assert made.ours.established()[0].id != old.id
    made.ours.write({"host": {}})
    os.kill(made.ours.client.ping().pid, signal.SIGHUP)
    made.ours.wait_for_log("the configuration is not reloaded")
    assert made.ours.established()
    assert not clear_ports(made)

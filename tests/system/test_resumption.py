# SPDX-License-Identifier: Apache-2.0
"""A client that lost its gateway comes back with a ticket, to whichever worker it reaches."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ikeway.model.errors import UsageError
from support.daemon import Daemon
from support.netns import Namespace, connect, namespaces
from support.strongswan import wait_until
from support.workers import worker_process

pytestmark = [pytest.mark.system, pytest.mark.conformance("CF-S05")]

GATEWAY = "10.9.0.1"
FIRST, SECOND = "10.9.0.11", "10.9.0.12"
"""Addresses of the client whose strangers go to different workers."""
SECRET = {"psk": "0123456789abcdef0123"}
PATIENCE = 30.0
TIRED = 3.0
"""After so long a client begins anew whose ticket has no answer."""

CUT = """
table ip cut {
  chain out { type filter hook output priority 0; udp dport { 500, 4500 } drop; }
}
"""


@dataclass
class Field:
    """A gateway and a client, with a cable that can be cut."""

    gateway: Daemon
    client: Daemon
    there: Namespace
    here: Namespace

    def is_up(self) -> bool:
        return bool(self.client.children()) and bool(self.gateway.children())

    def cut(self) -> None:
        """Let nothing through until the client has given up; the gateway notices later."""
        self.here.run("nft", "-f", "-", input=CUT)
        wait_until(lambda: not self.client.established(), PATIENCE, "the client to give up")
        self.here.run("nft", "delete", "table", "ip", "cut")

    def ping(self) -> None:
        self.here.run("ping", "-c", "3", "-i", "0.2", "-W", "2", "10.1.0.1")


def gateway(folder: Path, namespace: Namespace, workers: int) -> Daemon:
    config = {
        "host": {"identity": "vpn.test", "listen": [GATEWAY], "workers": workers},
        "credentials": {"secrets": [{"id": "*", **SECRET}]},
        "pools": {"staff": {"ranges": ["10.66.0.0/24"]}},
        "connections": {
            "staff": {
                "role": "responder",
                "local_auth": "psk",
                "peer_auth": ["psk"],
                "local_ts": ["10.1.0.0/16"],
                "pool": "staff",
                "resumption": True,
            }
        },
    }
    return Daemon(folder / "gateway", namespace, config)


def client(folder: Path, namespace: Namespace) -> Daemon:
    config = {
        "host": {"identity": "laptop.test", "listen": [FIRST, SECOND]},
        "credentials": {"secrets": [{"id": "vpn.test", **SECRET}]},
        "connections": {
            "office": {
                "role": "initiator",
                "peer": GATEWAY,
                "local_auth": "psk",
                "peer_auth": ["psk"],
                "peer_id": "vpn.test",
                "peer_ts": ["10.1.0.0/16"],
                "virtual_ips": ["0.0.0.0"],
                "liveness": "2s",
                "retransmission": {"give_up": "2s"},
                "mobike": False,
                "resumption": True,
            }
        },
    }
    return Daemon(folder / "client", namespace, config)


@pytest.fixture
def workers() -> int:
    return 1


@pytest.fixture
def field(tmp_path: Path, workers: int) -> Iterator[Field]:
    with namespaces(2) as (there, here):
        connect(there, here)
        there.add_address("outer0", f"{GATEWAY}/24")
        there.add_address("lo", "10.1.0.1/32")
        for address in (FIRST, SECOND):
            here.add_address("outer0", f"{address}/24")
        made = Field(gateway(tmp_path, there, workers), client(tmp_path, here), there, here)
        try:
            for daemon in (made.gateway, made.client):
                daemon.begin()
                daemon.ready()
            made.client.initiate("office")
            wait_until(made.is_up, PATIENCE, "the tunnel")
            yield made
        finally:
            for daemon in (made.client, made.gateway):
                daemon.stop()
        assert not made.gateway.faults()
        assert not made.client.faults()


def back(field: Field) -> None:
    field.client.initiate("office")
    wait_until(field.is_up, PATIENCE, "the tunnel to be back")
    field.ping()


@pytest.mark.conformance("CF-S04", "CF-S10")
def test_what_was_cut_is_resumed_with_the_same_address(field: Field) -> None:
    before = field.client.established()[0].virtual_ips
    for _ in range(2):
        field.cut()
        back(field)
    assert field.client.log().count("IKE SA resumed") == 2, "each time with a new ticket"
    assert field.gateway.log().count("IKE SA resumed") == 2
    assert field.client.log().count("IKE_SA_INIT request") == 1
    assert field.client.established()[0].virtual_ips == before
    assert len(field.gateway.sas()) == 1, "the old one went without a word (RFC 5723 §4.3.4)"


@pytest.mark.conformance("CF-S06")
def test_a_gateway_that_was_restarted_lets_its_client_begin_anew_at_once(field: Field) -> None:
    """Its secrets were in memory: the ticket is refused in one round trip."""
    field.gateway.kill()
    wait_until(lambda: not field.client.established(), PATIENCE, "the client to give up")
    field.gateway.begin()
    field.gateway.ready()
    began = time.monotonic()
    field.client.initiate("office")
    wait_until(field.is_up, PATIENCE, "the tunnel to be back")
    assert time.monotonic() - began < TIRED, "nobody waited for an answer that does not come"
    field.ping()
    assert field.client.said("the ticket is not taken")
    assert not field.client.said("IKE SA resumed")


@pytest.mark.conformance("CF-S12")
def test_who_disconnects_while_it_is_down_does_not_come_back_with_a_ticket(field: Field) -> None:
    field.cut()
    with pytest.raises(UsageError):
        field.client.disconnect("office")
    back(field)
    assert not field.client.said("IKE_SESSION_RESUME")


@pytest.mark.conformance("CF-S04")
@pytest.mark.parametrize("workers", [2])
def test_any_worker_takes_the_ticket_of_another_once(field: Field) -> None:
    (old,) = (sa.id for sa in field.gateway.sas())
    field.cut()
    field.here.ip("route", "replace", "10.9.0.0/24", "dev", "outer0", "src", SECOND)
    back(field)
    assert field.client.said("IKE SA resumed")
    (new,) = (sa.id for sa in field.gateway.sas())
    assert old[:2] != new[:2], "it is with the other worker now, and the first one dropped its own"
    os.kill(worker_process(field.gateway, int(new[:2], 16)), signal.SIGKILL)
    field.gateway.wait_for_log("ended unexpectedly")
    field.cut()
    back(field)
    assert field.client.log().count("IKE SA resumed") == 2, "also one that was just started"

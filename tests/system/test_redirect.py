# SPDX-License-Identifier: Apache-2.0
"""A gateway that sends its clients to another one, and a client that stays connected by that."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.daemon import Daemon
from support.netns import Namespace, connect, namespaces
from support.strongswan import wait_until

pytestmark = [pytest.mark.system, pytest.mark.conformance("CF-W08")]

CLIENT, FULL, FREE = "10.9.0.11", "10.9.0.1", "10.9.0.2"
SECRET = {"psk": "0123456789abcdef0123"}
PATIENCE = 30.0


@dataclass
class Field:
    full: Daemon
    free: Daemon
    client: Daemon
    here: Namespace


def gateway(folder: Path, namespace: Namespace, address: str, **connection: object) -> Daemon:
    config = {
        "host": {"identity": "vpn.test", "listen": [address]},
        "credentials": {"secrets": [{"id": "*", **SECRET}]},
        "dataplane": {"backend": "null" if connection else "engine"},
        "connections": {
            "staff": {
                "role": "responder",
                "local_auth": "psk",
                "peer_auth": ["psk"],
                "local_ts": ["10.1.0.0/16"],
                **connection,
            }
        },
    }
    return Daemon(folder / address, namespace, config)


def client(folder: Path, namespace: Namespace) -> Daemon:
    config = {
        "host": {"identity": "laptop.test", "listen": [CLIENT]},
        "credentials": {"secrets": [{"id": "vpn.test", **SECRET}]},
        "connections": {
            "office": {
                "role": "initiator",
                "peer": FULL,
                "local_auth": "psk",
                "peer_auth": ["psk"],
                "peer_id": "vpn.test",
                "peer_ts": ["10.1.0.0/16"],
                "redirect": "allow",
                "start": "now",
            }
        },
    }
    return Daemon(folder / "client", namespace, config)


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    with namespaces(2) as (there, here):
        connect(there, here)
        for address in (FULL, FREE):
            there.add_address("outer0", f"{address}/24")
        there.add_address("lo", "10.1.0.1/32")
        here.add_address("outer0", f"{CLIENT}/24")
        full = gateway(tmp_path, there, FULL, redirect_to=FREE)
        made = Field(full, gateway(tmp_path, there, FREE), client(tmp_path, here), here)
        daemons = (made.full, made.free, made.client)
        try:
            for daemon in daemons:
                daemon.begin()
                daemon.ready()
            yield made
        finally:
            for daemon in reversed(daemons):
                daemon.stop()
        assert not [line for daemon in daemons for line in daemon.faults()]


def test_the_client_goes_where_it_is_sent_and_comes_back_the_same_way(field: Field) -> None:
    wait_until(lambda: bool(field.client.children()), PATIENCE, "the tunnel")
    field.here.run("ping", "-c", "3", "-i", "0.2", "-W", "2", "10.1.0.1")
    (sa,) = field.client.established()
    assert sa.peer.address == FREE
    assert not field.full.sas()
    field.free.disconnect("staff")
    wait_until(lambda: not field.client.children(), PATIENCE, "the end of it")
    wait_until(lambda: bool(field.client.children()), PATIENCE, "the tunnel to be back")
    assert field.client.log().count("the gateway sends us to") == 2, "its own gateway was asked"
    assert len(field.client.sas()) == 1

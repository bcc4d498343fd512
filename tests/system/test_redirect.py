# SPDX-License-Identifier: Apache-2.0
"""A gateway that sends its clients to another one, and a client that stays connected by that."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.daemon import Daemon
from support.netns import Namespace, connect, namespaces
from support.steady import Pinger
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


# Draining -----------------------------------------------------------------------------------------

SITES = {"10.9.0.1": "10.9.0.11", "10.9.1.1": "10.9.1.11"}
"""Each gateway, and the client's address on the cable to it."""
NEAR, FAR = SITES
INNER, PLAIN = "10.2.0.1", "10.2.0.2"


def serving(folder: Path, namespace: Namespace, address: str, workers: int) -> Daemon:
    config = {
        "host": {"identity": "vpn.test", "listen": [address], "workers": workers},
        "credentials": {"secrets": [{"id": "*", **SECRET}]},
        "connections": {
            "staff": {
                "role": "responder",
                "local_auth": "psk",
                "peer_auth": ["psk"],
                "local_ts": ["10.1.0.0/16"],
                "peer_ts": ["10.2.0.0/16"],
            }
        },
    }
    return Daemon(folder / address, namespace, config)


def going(folder: Path, namespace: Namespace) -> Daemon:
    """A client with two connections to the first gateway, of which one follows."""
    plain = {
        "role": "initiator",
        "peer": NEAR,
        "local_auth": "psk",
        "peer_auth": ["psk"],
        "peer_id": "vpn.test",
        "peer_ts": ["10.1.0.0/16"],
    }
    config = {
        "host": {"identity": "laptop.test", "listen": ["0.0.0.0"]},
        "credentials": {"secrets": [{"id": "vpn.test", **SECRET}]},
        "connections": {
            "office": plain | {"local_ts": [INNER], "redirect": "allow"},
            "plain": plain | {"local_ts": [PLAIN], "peer_ts": ["10.1.0.2"]},
        },
    }
    return Daemon(folder / "client", namespace, config)


@dataclass
class Sites:
    near: Daemon
    far: Daemon
    client: Daemon
    here: Namespace

    def where(self, connection: str) -> list[str]:
        """The gateways with which a connection of the client is up."""
        sas = self.client.established()
        return [sa.peer.address for sa in sas if sa.connection == connection and sa.child_sas]

    def drain(self, *words: str) -> list[str]:
        """Drain the first gateway, and return what became of those that were up there."""
        ran = self.near.command("drain", "--json", *words)
        assert ran.returncode == 0, ran.stderr
        return sorted(sa["outcome"] for sa in json.loads(ran.stdout)["ike_sas"])

    def again(self) -> list[str]:
        """Disconnect what follows and connect it once more; return where it is then."""
        self.client.disconnect("office")
        wait_until(lambda: not self.where("office"), PATIENCE, "its end")
        self.client.initiate("office")
        wait_until(lambda: bool(self.where("office")), PATIENCE, "its return")
        return self.where("office")


@pytest.fixture(params=[1, 2], ids=["alone", "workers"])
def sites(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Sites]:
    with namespaces(3) as (near, far, here):
        for there, cable, (address, ours) in zip(
            (near, far), ("outer0", "outer1"), SITES.items(), strict=True
        ):
            connect(there, here, cable)
            there.add_address(cable, f"{address}/24")
            here.add_address(cable, f"{ours}/24")
            for inner in ("10.1.0.1/32", "10.1.0.2/32"):
                there.add_address("lo", inner)
        for inner in (INNER, PLAIN):
            here.add_address("lo", f"{inner}/32")
        workers = request.param
        daemons = (
            serving(tmp_path, near, NEAR, workers),
            serving(tmp_path, far, FAR, 1),
            going(tmp_path, here),
        )
        try:
            for daemon in daemons:
                daemon.begin()
                daemon.ready()
            yield Sites(*daemons, here)
        finally:
            for daemon in reversed(daemons):
                daemon.stop()
        assert not [line for daemon in daemons for line in daemon.faults()]


def test_a_gateway_that_is_drained_sends_its_clients_to_another_one(sites: Sites) -> None:
    """RFC 5685 §5: who follows has its tunnel there before it leaves, and loses no packet."""
    for name in ("office", "plain"):
        sites.client.initiate(name)
        wait_until(lambda name=name: sites.where(name) == [NEAR], PATIENCE, name)
    pings = Pinger(sites.here, INNER, "10.1.0.1", 4.0)
    time.sleep(0.5)
    assert sites.drain("--to", FAR, "staff") == ["sent", "stays"]
    wait_until(lambda: sites.where("office") == [FAR], PATIENCE, "the move")
    wait_until(lambda: len(sites.near.sas()) == 1, PATIENCE, "the end of what was")
    sent, lost = pings.lost()
    assert lost == 0, f"{lost} of {sent}"
    assert sites.where("plain") == [NEAR], "who does not follow stays"
    assert sites.again() == [FAR], "who comes is sent there as well"
    assert "staff: drained to" in sites.near.command("status").stdout
    assert sites.drain("--to", FAR, "--disconnect") == ["disconnected"]
    wait_until(lambda: not sites.where("plain"), PATIENCE, "its end")
    assert sites.drain("--stop") == []
    assert sites.again() == [NEAR]

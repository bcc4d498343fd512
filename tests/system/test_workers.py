# SPDX-License-Identifier: Apache-2.0
"""A gateway with two workers: whose datagrams reach whom, and what the end of one takes along."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ikeway.control.status import IkeStatus
from support.daemon import Daemon
from support.netns import Namespace, connect, namespaces
from support.strongswan import wait_until
from support.workers import is_alive, worker_process

pytestmark = pytest.mark.system

CLIENTS = [f"10.9.0.{number}" for number in range(11, 19)]
GATEWAY = "10.9.0.1"
SECRET = {"psk": "0123456789abcdef0123"}
PATIENCE = 30.0


@dataclass
class Field:
    """The gateway, many clients in one daemon that carry nothing, and one that carries packets."""

    gateway: Daemon
    clients: Daemon
    laptop: Daemon
    there: Namespace
    here: Namespace

    def sas(self) -> list[IkeStatus]:
        return self.gateway.established()

    def all_are_up(self) -> bool:
        return len({sa.peer.address for sa in self.sas() if sa.child_sas}) == len(CLIENTS)

    def owner(self, address: str) -> int:
        """The worker that a client's IKE SA is with, by its SPI."""
        (sa,) = (sa for sa in self.sas() if sa.peer.address == address)
        return bytes.fromhex(sa.id)[0]

    def routes(self) -> list[str]:
        lines = self.there.ip("route", "show", "table", "all").splitlines()
        return [line.split()[0] for line in lines if "ikeway0" in line and "10.66." in line]


def gateway(folder: Path, namespace: Namespace) -> Daemon:
    config = {
        "host": {"identity": "vpn.test", "listen": [GATEWAY], "workers": 2},
        "credentials": {"secrets": [{"id": "*", **SECRET}]},
        "pools": {"staff": {"ranges": ["10.66.0.0/24"]}},
        "connections": {
            "staff": {
                "role": "responder",
                "local_auth": "psk",
                "peer_auth": ["psk"],
                "local_ts": ["10.1.0.0/16"],
                "pool": "staff",
            }
        },
    }
    return Daemon(folder / "gateway", namespace, config)


def client(folder: Path, namespace: Namespace, addresses: list[str], start: str) -> Daemon:
    backend = "null" if len(addresses) > 1 else "engine"
    config = {
        "host": {"listen": addresses},
        "credentials": {"secrets": [{"id": "vpn.test", **SECRET}]},
        "dataplane": {"backend": backend},
        "connections": {
            f"c{address.split('.')[-1]}": {
                "role": "initiator",
                "peer": GATEWAY,
                "local_address": address,
                "local_id": f"{address}@c.test".replace(".", "-", 3),
                "local_auth": "psk",
                "peer_auth": ["psk"],
                "peer_id": "vpn.test",
                "peer_ts": ["10.1.0.0/16"],
                "virtual_ips": ["0.0.0.0"],
                "start": start,
                "liveness": "2s",
                "retransmission": {"give_up": "2s"},
            }
            for address in addresses
        },
    }
    return Daemon(folder / f"clients-{len(addresses)}", namespace, config)


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    with namespaces(3) as (there, here, away):
        connect(there, here)
        connect(there, away, "outer1")
        for interface, address in (("outer0", f"{GATEWAY}/24"), ("lo", "10.1.0.1/32")):
            there.add_address(interface, address)
        for address in CLIENTS:
            here.add_address("outer0", f"{address}/24")
        there.add_address("outer1", "10.10.0.1/24")
        away.add_address("outer1", "10.10.0.2/24")
        away.ip("route", "add", "default", "via", "10.10.0.1")
        made = Field(
            gateway(tmp_path, there),
            client(tmp_path, here, CLIENTS, "now"),
            client(tmp_path, away, ["10.10.0.2"], "wait"),
            there,
            away,
        )
        daemons = (made.gateway, made.clients, made.laptop)
        try:
            made.gateway.begin()
            made.gateway.ready()
            made.clients.begin()
            made.clients.ready()
            wait_until(made.all_are_up, PATIENCE, "all clients to be connected")
            yield made
        finally:
            for daemon in daemons:
                daemon.stop()
        assert not made.gateway.faults()


def test_each_datagram_reaches_the_owner_of_its_ike_sa(field: Field) -> None:
    """IKE_AUTH came on port 4500 already, and liveness checks go on there (RFC 7296 §2.23)."""
    before = {sa.id for sa in field.sas()}
    assert {bytes.fromhex(one)[0] for one in before} == {0, 1}, "both workers have IKE SAs"
    assert {sa.peer.port for sa in field.sas()} == {4500}
    lent = [address for sa in field.sas() for address in sa.virtual_ips]
    assert len(set(lent)) == len(CLIENTS), "an address of a pool is lent once by all of them"
    assert sorted(field.routes()) == sorted(lent)
    # IKE_INTERMEDIATE took message 1, and IKE_AUTH message 2.
    field.clients.wait_for_log("INFORMATIONAL response 3", 10.0)
    field.clients.wait_for_log("INFORMATIONAL response 4", 10.0)
    assert {sa.id for sa in field.sas()} == before, "nobody had to connect again"
    assert not field.gateway.said("moves of this host are not noticed")


def test_a_client_keeps_its_owner_behind_a_new_address_of_a_nat(field: Field) -> None:
    """The SPI names the worker, not the address that a NAT shows (adr 4)."""
    sa = field.sas()[0]
    owner = field.owner(sa.peer.address)
    ruleset = f"""
table ip rebound {{
  chain out {{
    type nat hook postrouting priority 100;
    ip saddr {sa.peer.address} udp dport 4500 masquerade random
  }}
}}
"""
    other = next(a for a in CLIENTS if field.owner(a) != owner)
    # All of it now comes from an address whose strangers go to the other worker.
    ruleset = ruleset.replace("masquerade random", f"snat to {other}:61000")
    nat = field.clients._namespace
    nat.run("nft", "-f", "-", input=ruleset)
    seen = field.clients.log().count("INFORMATIONAL response")
    wait_until(
        lambda: field.clients.log().count("INFORMATIONAL response") > seen + 2 * len(CLIENTS),
        PATIENCE,
        "two more liveness checks of everybody",
    )
    assert sa.id in {one.id for one in field.sas()}


def test_packets_and_the_control_api_work_over_all_workers(field: Field) -> None:
    field.laptop.begin()
    field.laptop.ready()
    field.laptop.initiate("c2")
    wait_until(lambda: bool(field.laptop.children()), PATIENCE, "the laptop's Child SA")
    field.here.run("ping", "-c", "3", "-i", "0.2", "-W", "2", "10.1.0.1")
    (mine,) = (sa for sa in field.sas() if sa.peer.address == "10.10.0.2")
    assert mine.child_sas[0].packets_in >= 3
    field.gateway.disconnect(mine.id)
    wait_until(lambda: not field.laptop.children(), 5.0, "the laptop to be told")
    assert len(field.sas()) == len(CLIENTS)
    field.gateway.disconnect("staff")
    wait_until(lambda: not field.routes(), 5.0, "every worker to let go")


def test_a_worker_that_is_killed_takes_only_its_own_along(field: Field) -> None:
    victims = [a for a in CLIENTS if field.owner(a) == 1]
    kept = {sa.id for sa in field.sas() if sa.peer.address not in victims}
    os.kill(worker_process(field.gateway, 1), signal.SIGKILL)
    field.gateway.wait_for_log("worker 1 ended unexpectedly")
    assert {sa.id for sa in field.sas()} >= kept
    wait_until(field.all_are_up, PATIENCE, "those that were lost to come back")
    assert {sa.id for sa in field.sas()} >= kept, "nobody else had to"
    assert {field.owner(address) for address in victims} == {1}
    lent = [address for sa in field.sas() for address in sa.virtual_ips]
    assert sorted(field.routes()) == sorted(lent), "nothing is left of what was lost"


def test_nothing_outlives_the_supervisor(field: Field) -> None:
    processes = [worker_process(field.gateway, number) for number in (0, 1)]
    field.gateway.kill()
    wait_until(lambda: not any(map(is_alive, processes)), 5.0, "the workers to end")

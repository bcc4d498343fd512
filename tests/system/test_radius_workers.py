# SPDX-License-Identifier: Apache-2.0
"""A gateway with two workers whose users FreeRADIUS lets in by PEAP, and sends away (RFC 5176)."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ikeway.crypto.authority import create_authority, generate_key, issue, pem
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.model.identity import Identity
from support.daemon import Daemon
from support.freeradius import CLIENT, PASSWORD, PROGRAM, SECRET, freeradius
from support.netns import Namespace, connect, namespaces
from support.strongswan import wait_until

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        PROGRAM is None or CLIENT is None,
        reason="no freeradius (Debian, Ubuntu: apt install freeradius freeradius-utils)",
    ),
]

GATEWAY = "10.9.0.1"
CLIENTS = [f"10.9.0.{number}" for number in range(11, 17)]
PATIENCE = 40.0


def papers(folder: Path) -> tuple[Path, Path, Path]:
    """One certificate for the gateway and for the server of EAP, its key and the authority."""
    now, kind = datetime.now(UTC), KeyAlgorithm.ECDSA_256
    root, key = create_authority("Radius root", kind, now, 30), generate_key(kind)
    leaf = issue(root, key.public, (Identity.parse("vpn.test"),), "server", now, 30)
    files = folder / "server.crt", folder / "server.key", folder / "ca.crt"
    for file, octets in zip(files, (pem(leaf), key.pem(), pem(root.certificate)), strict=True):
        file.write_bytes(octets)
        file.chmod(0o600)
    return files


def gateway(folder: Path, namespace: Namespace, own: tuple[Path, Path, Path]) -> Daemon:
    server = {"host": "127.0.0.1", "secret": SECRET.octets.decode()}
    config = {
        "host": {"identity": "vpn.test", "listen": [GATEWAY], "workers": 2},
        "credentials": {"certificate": str(own[0]), "key": str(own[1])},
        "dataplane": {"backend": "null"},
        "radius": {"servers": [server], "orders": "127.0.0.1"},
        "connections": {
            "staff": {
                "role": "responder",
                "local_auth": "certificate",
                "peer_auth": ["eap-radius"],
                "ask_eap_identity": True,
                "local_ts": ["10.1.0.0/16"],
            }
        },
    }
    return Daemon(folder / "gateway", namespace, config)


def clients(folder: Path, namespace: Namespace, authority: Path) -> Daemon:
    config = {
        "host": {"listen": CLIENTS},
        "credentials": {
            "authorities": [str(authority)],
            "secrets": [{"id": "alice", "password": PASSWORD}],
        },
        "dataplane": {"backend": "null"},
        "connections": {
            f"c{address.split('.')[-1]}": {
                "role": "initiator",
                "peer": GATEWAY,
                "local_address": address,
                "local_id": f"{address}@c.test".replace(".", "-", 3),
                "local_auth": "eap-peap",
                "eap_identity": "alice",
                "peer_auth": ["certificate"],
                "peer_id": "vpn.test",
                "peer_ts": ["10.1.0.0/16"],
            }
            for address in CLIENTS
        },
    }
    return Daemon(folder / "clients", namespace, config)


@pytest.fixture
def field(tmp_path: Path) -> Iterator[tuple[Daemon, Namespace]]:
    """A gateway on which all clients are up, and its namespace."""
    with namespaces(2) as (there, here), ExitStack() as stack:
        connect(there, here)
        there.add_address("outer0", f"{GATEWAY}/24")
        for address in CLIENTS:
            here.add_address("outer0", f"{address}/24")
        own = papers(tmp_path)
        stack.enter_context(
            freeradius(tmp_path / "radius", method="peap", namespace=there, papers=own)
        )
        answering, asking = gateway(tmp_path, there, own), clients(tmp_path, here, own[2])
        for daemon in (answering, asking):
            stack.callback(daemon.stop)
            daemon.begin()
            daemon.ready()
        for name in CLIENTS:
            asking.initiate(f"c{name.split('.')[-1]}")
        wait_until(lambda: len(answering.established()) == len(CLIENTS), PATIENCE, "all to be in")
        yield answering, there
        assert not answering.faults()


def order(there: Namespace, what: str, *lines: str) -> str:
    command = ["-x", "-r", "2", "-t", "3", "127.0.0.1:3799", what, SECRET.octets.decode()]
    return there.run("radclient", *command, input="\n".join(lines) + "\n")


def test_orders_are_carried_out_by_the_workers_that_have_the_sessions(
    field: tuple[Daemon, Namespace],
) -> None:
    answering, there = field
    sas = answering.established()
    assert {bytes.fromhex(sa.id)[0] for sa in sas} == {0, 1}, "both workers have IKE SAs"
    assert {sa.peer.id for sa in sas} == {"alice"}, "EAP has proven all of them"
    for worker in (0, 1):
        sa = next(one for one in sas if bytes.fromhex(one.id)[0] == worker)
        station = f"{sa.peer.address}[{sa.peer.port}]"
        said = order(
            there, "disconnect", 'User-Name = "alice"', f'Calling-Station-Id = "{station}"'
        )
        assert "Disconnect-ACK" in said
        wait_until(lambda sa=sa: not is_there(answering, sa.id), 10.0, "its session to be over")
    assert len(answering.established()) == len(CLIENTS) - 2, "and no other"
    with pytest.raises(AssertionError, match="Session-Context-Not-Found"):
        order(there, "disconnect", 'User-Name = "bob"')
    assert "CoA-ACK" in order(there, "coa", 'User-Name = "alice"', "Session-Timeout = 1")
    wait_until(lambda: not answering.established(), 10.0, "the sessions of all workers to be over")


def is_there(daemon: Daemon, spi: str) -> bool:
    return any(sa.id == spi for sa in daemon.established())

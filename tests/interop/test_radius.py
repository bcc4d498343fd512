# SPDX-License-Identifier: Apache-2.0
"""strongSwan as a client, ikeway as the gateway, and FreeRADIUS that knows the users (RFC 3579)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from support.freeradius import CLIENT, PASSWORD, PROGRAM, SECRET, FreeRadius, freeradius
from support.pair import PKI, RESPONDER, Case, Pair, Tunnel
from support.strongswan import wait_until

pytestmark = [
    pytest.mark.interop,
    pytest.mark.system,
    pytest.mark.parametrize("role", [RESPONDER]),
    pytest.mark.skipif(
        PROGRAM is None or CLIENT is None,
        reason="no freeradius (Debian, Ubuntu: apt install freeradius freeradius-utils)",
    ),
]

USER: Final = "alice"
METHODS: Final = ["eap-mschapv2", "eap-tls", "eap-ttls", "eap-md5"]


def case(method: str, password: str = PASSWORD, strongswan: Any = None, **ikeway: object) -> Case:
    """Return a case in which a RADIUS server knows the initiator."""
    own = {
        "certificate": str(PKI / "ecdsa-server.crt"),
        "key": str(PKI / "ecdsa-server.key"),
    }
    connection: dict[str, object] = {
        "local_auth": "certificate",
        "peer_auth": ["eap-radius"],
        "peer_id": "*",
    }
    connection["ask_eap_identity"] = True
    options = {"auth": method, "cas": "ecdsa", "user": USER, "password": password}
    server = {"host": "127.0.0.1", "secret": SECRET.octets.decode()}
    return Case(
        ikeway={**connection, **ikeway},
        ikeway_top={
            "credentials": own,
            "radius": {"servers": [server], "orders": "127.0.0.1", "nas_identifier": "gateway"},
        },
        strongswan={**options, **(strongswan or {})},
    )


@contextmanager
def serving(pair: Pair, folder: Path, method: str = "eap-mschapv2") -> Iterator[FreeRadius]:
    """Run the RADIUS server beside ikeway."""
    papers = (PKI / "ecdsa-server.crt", PKI / "ecdsa-server.key", PKI / "ecdsa-ca.crt")
    name = method.removeprefix("eap-")
    namespace = pair.link.ours.namespace
    with freeradius(folder / "radius", method=name, namespace=namespace, papers=papers) as server:
        yield server


def order(pair: Pair, what: str, text: str) -> str:
    """Give an order as the server would."""
    command = ["-x", "-r", "1", "-t", "3", "127.0.0.1:3799", what, SECRET.octets.decode()]
    return pair.link.ours.namespace.run("radclient", *command, input=text)


def wait_for_account(server: FreeRadius, words: str) -> None:
    wait_until(lambda: words in server.account(), 6.0, f"{words} in the account")


@pytest.mark.parametrize("method", METHODS)
def test_whatever_method_the_server_wants_opens_a_tunnel(
    tunnel: Tunnel, tmp_path: Path, method: str
) -> None:
    """The gateway knows none of these; AUTH is made with the MSK out of the MS-MPPE keys."""
    pair = tunnel(case(method))
    with serving(pair, tmp_path, method):
        pair.connect()
        pair.carry()
        key = "no MSK established" if method == "eap-md5" else "MSK established"
        assert f"succeeded, {key}" in pair.peer.log()


def test_a_wrong_password_opens_nothing(tunnel: Tunnel, tmp_path: Path) -> None:
    pair = tunnel(case("eap-mschapv2", password="wrong"))
    with serving(pair, tmp_path) as server:
        pair.fails()
        pair.nothing_is_left()
        assert "Acct-Status-Type = Start" not in server.account()


def test_a_server_that_is_silent_opens_nothing_and_is_named(tunnel: Tunnel) -> None:
    pair = tunnel(case("eap-mschapv2"))
    pair.fails()
    why = "no RADIUS server answers: 127.0.0.1:1812 said nothing for 6 s"
    wait_until(lambda: why in pair.ikeway.log(), 12.0, "us to say why")
    pair.nothing_is_left()


def test_a_session_is_accounted_with_what_went_through(tunnel: Tunnel, tmp_path: Path) -> None:
    given = {"vip": "0.0.0.0", "local_ts": "dynamic"}
    pair = tunnel(case("eap-mschapv2", strongswan=given, peer_ts=["dynamic"]))
    with serving(pair, tmp_path) as server:
        pair.connect()
        (sa,) = pair.peer.sas()
        assert sa.virtual_ips == ("10.66.0.77",)
        pair.carry(peer={4: "10.66.0.77"})
        wait_for_account(server, "Acct-Status-Type = Start")
        pair.strongswan.terminate()
        wait_for_account(server, "Acct-Status-Type = Stop")
        account = server.account()
    stop = account[account.index("Acct-Status-Type = Stop") :]
    for line in (
        'User-Name = "alice"',
        "Framed-IP-Address = 10.66.0.77",
        "Acct-Terminate-Cause = User-Request",
        'NAS-Identifier = "gateway"',
    ):
        assert line in stop
    for counter in ("Acct-Input-Octets", "Acct-Output-Octets", "Acct-Input-Packets"):
        found = re.search(rf"{counter} = (\d+)", stop)
        assert found is not None
        assert int(found[1]) > 0


def test_an_order_of_the_server_ends_the_tunnel(tunnel: Tunnel, tmp_path: Path) -> None:
    pair = tunnel(case("eap-mschapv2"))
    with serving(pair, tmp_path) as server:
        pair.connect()
        said = order(pair, "disconnect", 'User-Name = "alice"\n')
        assert "Disconnect-ACK" in said
        wait_until(pair.is_down, 6.0, "the tunnel to be gone")
        wait_for_account(server, "Acct-Terminate-Cause = Admin-Reset")


def test_an_order_changes_how_long_a_session_may_last(tunnel: Tunnel, tmp_path: Path) -> None:
    pair = tunnel(case("eap-mschapv2"))
    with serving(pair, tmp_path) as server:
        pair.connect()
        said = order(pair, "coa", 'User-Name = "alice"\nSession-Timeout = 2\n')
        assert "CoA-ACK" in said
        wait_until(pair.is_down, 8.0, "the session to be over")
        wait_for_account(server, "Acct-Terminate-Cause = Session-Timeout")


@pytest.mark.parametrize(("groups", "is_in"), [(["staff"], True), (["admins"], False)])
def test_a_connection_may_be_for_a_group(
    tunnel: Tunnel, tmp_path: Path, groups: list[str], is_in: bool
) -> None:
    pair = tunnel(case("eap-mschapv2", groups=groups))
    with serving(pair, tmp_path):
        if is_in:
            pair.connect()
            pair.carry()
        else:
            pair.fails()
            why = "no connection is for alice in staff by eap-radius"
            wait_until(lambda: why in pair.ikeway.log(), 4.0, "us to say why")
            pair.nothing_is_left()

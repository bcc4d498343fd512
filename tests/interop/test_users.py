# SPDX-License-Identifier: Apache-2.0
"""strongSwan logs in as users of the store, until they are taken away."""

from pathlib import Path

import pytest

from support.pair import PKI, RESPONDER, Case, Pair, Tunnel
from support.strongswan import wait_until

pytestmark = [
    pytest.mark.interop,
    pytest.mark.system,
    pytest.mark.parametrize("role", [RESPONDER]),
]

USER, PASSWORD = "carol", "correct horse"
WAYS = {
    "mschapv2": ("eap-mschapv2", ""),
    "gtc-in-ttls": ("eap-ttls", "gtc"),
    "mschapv2-in-ttls": ("eap-ttls", "mschapv2"),
}


def case(method: str, plugins: Path | None = None, **ikeway: object) -> Case:
    """Return a case in which the password is in the store; strongSwan says carol's right one."""
    options = {"auth": method, "cas": "ecdsa", "user": USER, "password": PASSWORD}
    own = {"certificate": str(PKI / "ecdsa-server.crt"), "key": str(PKI / "ecdsa-server.key")}
    connection = {
        "local_auth": "certificate",
        "peer_auth": [method],
        "peer_id": "*",
        "ask_eap_identity": True,
    }
    return Case(
        ikeway={**connection, **ikeway},
        ikeway_top={"credentials": own, "store": {"url": "sqlite:users.db"}},
        strongswan={**options, **({"plugins_conf": str(plugins)} if plugins else {})},
    )


@pytest.mark.conformance("CF-I10", "CF-I15")
@pytest.mark.parametrize("way", WAYS)
def test_a_user_of_the_store_comes_in_and_goes_when_it_is_taken_away(
    tunnel: Tunnel, way: str, tmp_path: Path
) -> None:
    method, inner = WAYS[way]
    plugins = tmp_path / "ttls.conf"
    plugins.write_text(f"eap-ttls {{\n  phase2_method = {inner}\n}}\n")
    pair = tunnel(case(method, plugins if inner else None, groups=["staff"]))
    gateway = pair.ikeway
    assert gateway.user("add", USER, "--group", "staff", password=PASSWORD) == "carol: added\n"
    pair.connect()
    pair.carry()
    said = gateway.user("disable", "CAROL")
    assert said.startswith("carol: disabled\ndisconnecting ")
    pair.nothing_is_left()
    refused(pair)
    gateway.user("enable", USER)
    pair.connect()
    gateway.user("remove", USER)
    pair.nothing_is_left()
    refused(pair)


@pytest.mark.conformance("CF-I12")
def test_another_password_lets_nobody_in_and_none_who_is_in_stays_if_that_is_wanted(
    tunnel: Tunnel,
) -> None:
    pair = tunnel(case("eap-mschapv2"))
    pair.ikeway.user("add", USER, password=PASSWORD)
    pair.connect()
    pair.ikeway.user("password", USER, password="another horse")
    assert pair.is_up()
    pair.ikeway.user("password", USER, "--end-sessions", password="another horse 2")
    pair.nothing_is_left()
    refused(pair)


def test_a_user_in_another_group_belongs_to_no_connection(tunnel: Tunnel) -> None:
    pair = tunnel(case("eap-mschapv2", groups=["staff"]))
    pair.ikeway.user("add", USER, "--group", "guests", password=PASSWORD)
    refused(pair)
    assert pair.ikeway.said("no connection is for carol in guests by eap-mschapv2")
    pair.ikeway.user("change", USER, "--group", "staff")
    pair.connect()


def test_md5_is_refused_to_who_has_no_clear_password_kept(tunnel: Tunnel) -> None:
    pair = tunnel(case("eap-md5"))
    pair.ikeway.user("add", USER, password=PASSWORD)
    refused(pair)
    assert pair.ikeway.said("only hashes of the password of 'carol' are kept")
    pair.ikeway.user("password", USER, "--keep-clear", password=PASSWORD)
    pair.connect()


def test_a_user_whose_time_is_over_goes_by_itself(tunnel: Tunnel) -> None:
    pair = tunnel(case("eap-mschapv2"))
    pair.ikeway.user("add", USER, password=PASSWORD)
    pair.connect()
    pair.ikeway.user("change", USER, "--expires", "2026-01-01")
    wait_until(pair.is_down, 10.0, "the expired user to be gone")
    refused(pair)


def refused(pair: Pair) -> None:
    pair.fails()
    pair.nothing_is_left()

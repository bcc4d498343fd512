# SPDX-License-Identifier: Apache-2.0
"""A certificate, then EAP, with strongSwan in both roles (RFC 4739)."""

from typing import Any

import pytest

from support.pair import INITIATOR, PKI, RESPONDER, Case, Pair, Tunnel

pytestmark = [pytest.mark.interop, pytest.mark.system]

USER, PASSWORD = "carol", "correct horse"
METHODS = ["eap-mschapv2", "eap-md5"]
SECRET = {"eap-lab": {"id": USER, "secret": f'"{PASSWORD}"'}}


def case(
    role: str,
    method: str = "eap-mschapv2",
    password: str = PASSWORD,
    swanctl: dict[str, Any] | None = None,
    **ikeway: object,
) -> Case:
    """Return a case in which the initiator has a certificate and a password."""
    us, them = ("client", "server") if role == INITIATOR else ("server", "client")
    credentials = {
        "certificate": str(PKI / f"ecdsa-{us}.crt"),
        "key": str(PKI / f"ecdsa-{us}.key"),
        "authorities": [str(PKI / "ecdsa-ca.crt")],
        "secrets": [{"id": USER, "password": password}],
    }
    both = f"certificate+{method}"
    if role == INITIATOR:
        ours = {"local_auth": both, "peer_auth": ["certificate"], "eap_identity": USER}
    else:
        ours = {"local_auth": "certificate", "peer_auth": [both], "peer_id": USER}
    proven = {"auth": "pubkey", "id": f"{them}.lab", "certs": f"ecdsa-{them}.crt"}
    asked = {"auth": "pubkey", "id": f"{us}.lab"}
    lab: dict[str, Any] = {"local": proven, "remote": asked}
    if role == INITIATOR:
        lab["remote-eap"] = {"auth": method, "eap_id": "%any"}
    else:
        lab["local-eap"] = {"auth": method, "eap_id": USER}
    sections = {"connections": {"lab": swanctl or lab}, "secrets": SECRET}
    return Case(
        ikeway={**ours, **ikeway},
        ikeway_top={"credentials": credentials},
        strongswan={"cas": "ecdsa"},
        swanctl=sections,
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_certificate_and_a_password_open_a_tunnel(tunnel: Tunnel, role: str, method: str) -> None:
    """§2.3: both AUTHs of both sides are what strongSwan believes them to be."""
    pair = tunnel(case(role, method))
    pair.connect()
    pair.carry()
    log = pair.peer.log()
    key = "MSK established" if method == "eap-mschapv2" else "no MSK established"
    assert f"succeeded, {key}" in log
    assert "N(MULT_AUTH)" in log
    assert "N(AUTH_FOLLOWS)" in log
    if role == RESPONDER:
        assert pair.ikeway.said("client.lab has proven itself, its user is to follow")


def test_a_wrong_password_opens_nothing(tunnel: Tunnel, role: str) -> None:
    refused(tunnel(case(role, password="wrong")))


@pytest.mark.parametrize("role", [RESPONDER])
def test_who_has_a_certificate_only_is_refused(tunnel: Tunnel) -> None:
    """strongSwan without its second round: what the first one proves is not enough."""
    lab = {
        "local": {"auth": "pubkey", "id": "client.lab", "certs": "ecdsa-client.crt"},
        "remote": {"auth": "pubkey", "id": "server.lab"},
    }
    pair = tunnel(case(RESPONDER, swanctl=lab))
    refused(pair)
    assert pair.ikeway.said("no connection is for client.lab by certificate")


@pytest.mark.parametrize("role", [RESPONDER])
def test_who_has_a_password_only_is_refused(tunnel: Tunnel) -> None:
    lab = {
        "local": {"auth": "eap-mschapv2", "id": "client.lab", "eap_id": USER},
        "remote": {"auth": "pubkey", "id": "server.lab"},
    }
    refused(tunnel(case(RESPONDER, swanctl=lab)))


@pytest.mark.parametrize("role", [RESPONDER])
def test_a_device_that_may_not_is_refused(tunnel: Tunnel) -> None:
    refused(tunnel(case(RESPONDER, device_id="*.other.lab")))


@pytest.mark.parametrize("role", [INITIATOR])
def test_a_gateway_that_takes_one_proof_hears_no_password(tunnel: Tunnel) -> None:
    """strongSwan announces that it takes several, and is content with the first."""
    lab = {
        "local": {"auth": "pubkey", "id": "server.lab", "certs": "ecdsa-server.crt"},
        "remote": {"auth": "pubkey", "id": "client.lab"},
    }
    pair = tunnel(case(INITIATOR, swanctl=lab))
    pair.fails()
    pair.nothing_is_left()
    assert "EAP/RES" not in pair.peer.log()


def refused(pair: Pair) -> None:
    pair.fails()
    pair.nothing_is_left()

# SPDX-License-Identifier: Apache-2.0
"""EAP with strongSwan, as its server and as its client (RFC 7296 §2.16)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.pair import INITIATOR, PKI, RESPONDER, Case, Pair, Tunnel

pytestmark = [pytest.mark.interop, pytest.mark.system]

USER, PASSWORD = "carol", "correct horse"
PASSWORDS = ["eap-mschapv2", "eap-md5"]


def case(
    role: str,
    method: str,
    password: str = PASSWORD,
    user: str = USER,
    credentials: Mapping[str, Any] | None = None,
    strongswan: Mapping[str, str] | None = None,
    **ikeway: object,
) -> Case:
    """Return a case in which the initiator has a password, and the responder a certificate."""
    own: dict[str, Any] = {"secrets": [{"id": user, "password": password}]}
    connection: dict[str, Any]
    if role == INITIATOR or method == "eap-tls":
        own["authorities"] = [str(PKI / "ecdsa-ca.crt")]
    if role == RESPONDER or method == "eap-tls":
        us = "client" if role == INITIATOR else "server"
        own["certificate"] = str(PKI / f"ecdsa-{us}.crt")
        own["key"] = str(PKI / f"ecdsa-{us}.key")
    if role == INITIATOR:
        connection = {"local_auth": method, "peer_auth": ["certificate"], "eap_identity": user}
    else:
        connection = {"local_auth": "certificate", "peer_auth": [method], "peer_id": "*"}
        connection["ask_eap_identity"] = True
    options = {"auth": method, "cas": "ecdsa", "user": USER, "password": PASSWORD}
    return Case(
        ikeway={**connection, **ikeway},
        ikeway_top={"credentials": {**own, **(credentials or {})}},
        strongswan={**options, **(strongswan or {})},
    )


@pytest.mark.conformance("CF-I06", "CF-I07", "CF-I10", "CF-I11", "CF-I15")
@pytest.mark.parametrize("method", PASSWORDS)
def test_a_password_opens_a_tunnel(tunnel: Tunnel, role: str, method: str) -> None:
    """AUTH is made with the MSK or SK_p: in another order of its halves both ends would refuse."""
    pair = tunnel(case(role, method))
    pair.connect()
    pair.carry()
    key = "MSK established" if method == "eap-mschapv2" else "no MSK established"
    assert f"succeeded, {key}" in pair.peer.log()


def test_certificates_in_eap_open_a_tunnel(tunnel: Tunnel, role: str) -> None:
    """RFC 5216: the keys come out of TLS alike at both ends.

    With TLS 1.3 this strongSwan does not commit itself, as RFC 9190 §2.5 wants, so 1.2 it is.
    """
    pair = tunnel(case(role, "eap-tls", user="client.lab"))
    pair.connect()
    pair.carry()
    assert "negotiated TLS 1.2" in pair.peer.log()
    assert "succeeded, MSK established" in pair.peer.log()


@pytest.mark.parametrize("inner", ["eap-md5", "eap-mschapv2"])
def test_a_password_inside_tls_opens_a_tunnel(
    tunnel: Tunnel, role: str, inner: str, tmp_path: Path
) -> None:
    """RFC 5281: strongSwan has EAP only in there."""
    snippet = tmp_path / "ttls.conf"
    method = inner.removeprefix("eap-")
    snippet.write_text(f"eap-ttls {{\n  phase2_method = {method}\n}}\n")
    options = {"plugins_conf": str(snippet)}
    ours = {"eap_inner": inner} if role == INITIATOR else {}
    pair = tunnel(case(role, "eap-ttls", strongswan=options, **ours))
    pair.connect()
    pair.carry()


def test_a_certificate_of_another_authority_opens_nothing(tunnel: Tunnel, role: str) -> None:
    other = "client" if role == INITIATOR else "server"
    rsa = {"certificate": str(PKI / f"rsa-{other}.crt"), "key": str(PKI / f"rsa-{other}.key")}
    credentials = rsa if role == INITIATOR else {"authorities": [str(PKI / "rsa-ca.crt")]}
    refused(tunnel(case(role, "eap-tls", user="client.lab", credentials=credentials)))


@pytest.mark.conformance("CF-I15")
@pytest.mark.parametrize("role", [RESPONDER])
def test_who_idi_names_is_not_asked(tunnel: Tunnel) -> None:
    named = {"local_id": USER}
    pair = tunnel(case(RESPONDER, "eap-mschapv2", ask_eap_identity=False, strongswan=named))
    pair.connect()
    pair.carry()
    assert "EAP/REQ/ID" not in pair.peer.log()


@pytest.mark.conformance("CF-I12")
@pytest.mark.parametrize("method", PASSWORDS)
def test_a_wrong_password_opens_nothing(tunnel: Tunnel, role: str, method: str) -> None:
    refused(tunnel(case(role, method, password="wrong")))


@pytest.mark.conformance("CF-I09")
@pytest.mark.parametrize("role", [INITIATOR])
def test_a_server_with_another_name_hears_no_eap_from_us(tunnel: Tunnel) -> None:
    """strongSwan sends its identity although we ask for another one, or refuses to."""
    pair = tunnel(case(INITIATOR, "eap-mschapv2", peer_id="*.other.lab"))
    stops(pair, "expected was *.other.lab")


@pytest.mark.conformance("CF-I09")
@pytest.mark.parametrize("role", [INITIATOR])
def test_a_server_of_another_authority_hears_no_eap_from_us(tunnel: Tunnel) -> None:
    other = {"authorities": [str(PKI / "rsa-ca.crt")]}
    pair = tunnel(case(INITIATOR, "eap-mschapv2", credentials=other))
    stops(pair, "certificate is refused")


@pytest.mark.parametrize("role", [RESPONDER])
def test_a_client_that_wants_another_method_gets_it_if_it_may(tunnel: Tunnel) -> None:
    """RFC 3748 §5.3.1: it answers Nak to the first method."""
    accepted = ["eap-mschapv2", "eap-md5"]
    pair = tunnel(
        case(
            RESPONDER,
            "eap-md5",
            peer_auth=accepted,
            strongswan={"no_plugins": "eap-mschapv2", "auth": "eap-md5"},
        )
    )
    pair.connect()
    pair.carry()


@pytest.mark.conformance("CF-I14")
@pytest.mark.parametrize("role", [RESPONDER])
def test_policy_goes_by_the_identity_of_eap(tunnel: Tunnel) -> None:
    """IDi says client.lab, for which there is a connection; carol has proven herself."""
    pair = tunnel(case(RESPONDER, "eap-mschapv2", peer_id="client.lab"))
    refused(pair)
    assert pair.ikeway.said("no connection is for carol")


def refused(pair: Pair) -> None:
    pair.fails()
    pair.nothing_is_left()


def stops(pair: Pair, reason: str) -> None:
    """We end it before we say anything of EAP; strongSwan waits for a while longer."""
    pair.fails()
    pair.ikeway.wait_for_log(reason)
    pair.strongswan.wait_for_log("parsed INFORMATIONAL request 2 [ N(AUTH_FAILED) ]")
    assert "EAP/RES" not in pair.peer.log()
    assert not pair.ikeway.established()
    assert not pair.peer_children()

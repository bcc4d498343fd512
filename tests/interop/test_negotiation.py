# SPDX-License-Identifier: Apache-2.0
"""Choosing algorithms with strongSwan, also on a detour (RFC 7296 §1.2, §2.6, §2.7)."""

import pytest

from support.pair import INITIATOR, Case, Tunnel

pytestmark = [pytest.mark.interop, pytest.mark.system]

TWO_GROUPS = "aes256gcm16-prfsha384-x25519-ecp384"
SECOND_GROUP = "aes256gcm16-prfsha384-ecp384"
HALF_OPEN = "aes256gcm16-prfsha256-x25519"
"""What `peer-strongswan half-open` offers."""


@pytest.mark.conformance("CF-A01", "CF-A03", "CF-I03")
def test_a_key_of_the_wrong_method_is_made_good(tunnel: Tunnel, role: str) -> None:
    """RFC 7296 §1.2: INVALID_KE_PAYLOAD names the method, and the initiator tries again."""
    ours, peer = (TWO_GROUPS, SECOND_GROUP) if role == INITIATOR else (SECOND_GROUP, TWO_GROUPS)
    pair = tunnel(Case(ikeway={"ike": [ours]}, strongswan={"ike": peer}))
    pair.connect()
    if role == INITIATOR:
        pair.ikeway.wait_for_log("asks for ECP_384")
    else:
        pair.strongswan.wait_for_log("it requested ECP_384")
    (sa,) = pair.ikeway.established()
    assert sa.suite == SECOND_GROUP
    pair.carry()


@pytest.mark.conformance("CF-I03")
@pytest.mark.parametrize("role", [INITIATOR])
@pytest.mark.parametrize("outside", [4, 6], ids=["IPv4", "IPv6"])
def test_a_cookie_is_brought_back(tunnel: Tunnel, outside: int) -> None:
    """RFC 7296 §2.6: the same request again, with the COOKIE first."""
    case = Case(outside=outside, ike=HALF_OPEN, strongswan={"cookie_threshold": "1"})
    pair = tunnel(case)
    pair.strongswan.half_open(pair.link.peer.outer[outside], pair.link.ours.namespace)
    pair.connect()
    assert pair.ikeway.said("COOKIE")
    pair.carry()


@pytest.mark.conformance("CF-I03", "CF-D12")
@pytest.mark.parametrize("role", [INITIATOR])
def test_a_cookie_and_another_method_in_one_attempt(tunnel: Tunnel) -> None:
    """RFC 7296 §2.6.1: the cookie is kept when the key is replaced."""
    pair = tunnel(
        Case(
            ikeway={"ike": [TWO_GROUPS]},
            strongswan={"ike": f"{HALF_OPEN},{SECOND_GROUP}", "cookie_threshold": "1"},
        )
    )
    pair.strongswan.half_open(pair.link.peer.outer[4], pair.link.ours.namespace)
    pair.connect()
    assert pair.ikeway.said("COOKIE")
    assert pair.ikeway.said("asks for ECP_384")
    pair.carry()


@pytest.mark.conformance("CF-E01")
def test_the_second_proposal_serves_where_the_first_does_not(tunnel: Tunnel, role: str) -> None:
    """RFC 7296 §3.3.1: proposals are tried in order, each as a whole."""
    offers = ["aes128-sha256-x25519", "chacha20poly1305-prfsha512-ecp256"]
    esp = ["aes128-sha256", "chacha20poly1305"]
    if role == INITIATOR:
        case = Case(
            ikeway={"ike": offers, "esp": esp}, strongswan={"ike": offers[1], "esp": esp[1]}
        )
    else:
        case = Case(
            ikeway={"ike": offers[1:], "esp": esp[1:]},
            strongswan={"ike": ",".join(offers), "esp": ",".join(esp)},
        )
    pair = tunnel(case)
    pair.connect()
    (sa,) = pair.ikeway.established()
    assert sa.suite == offers[1]
    assert [child.suite for child in sa.child_sas] == [esp[1]]
    pair.carry()


def test_the_responder_chooses_by_its_own_order(tunnel: Tunnel, role: str) -> None:
    """Several transforms of a type in one proposal: the answer has one of each."""
    many = "aes128gcm16-aes256gcm16-chacha20poly1305-prfsha256-prfsha512-x25519-ecp256-modp3072"
    pair = tunnel(Case(ike=many, esp="aes128gcm16-aes256gcm16-chacha20poly1305"))
    pair.connect()
    (sa,) = pair.ikeway.established()
    assert sa.suite is not None
    assert len(sa.suite.split("-")) == 3, role
    pair.carry()


@pytest.mark.conformance("CF-E02")
def test_no_common_ike_proposal_leaves_nothing(tunnel: Tunnel, role: str) -> None:
    """RFC 7296 §2.7: NO_PROPOSAL_CHOSEN, and no IKE SA at either end."""
    pair = tunnel(
        Case(
            ikeway={"ike": ["aes256gcm16-prfsha384-x25519"]},
            strongswan={"ike": "aes128-sha256-modp2048"},
        )
    )
    pair.fails()
    pair.ikeway.wait_for_log("NO_PROPOSAL_CHOSEN")
    pair.strongswan.wait_for_log("NO_PROP")
    if role == INITIATOR:
        pair.ikeway.wait_for_log("IKE SA closed")
    pair.nothing_is_left()


@pytest.mark.conformance("CF-A08", "CF-A13", "CF-E02")
def test_no_common_esp_proposal_costs_the_child_sa_only(tunnel: Tunnel) -> None:
    """RFC 7296 §2.21.2: the IKE SA is up; NO_PROPOSAL_CHOSEN is about the Child SA."""
    pair = tunnel(
        Case(ikeway={"esp": ["aes256gcm16"]}, strongswan={"esp": "aes128-sha256,chacha20poly1305"})
    )
    pair.fails()
    pair.ikeway.wait_for_log("no Child SA")
    pair.strongswan.wait_for_log("NO_PROP")
    pair.no_child_is_left()

# SPDX-License-Identifier: Apache-2.0
"""`ikeway probe` against strongSwan, and against a gateway of our own."""

import json
import sys
from typing import Any

import pytest

from support.pair import INITIATOR, Case, Pair, Tunnel

pytestmark = [
    pytest.mark.interop,
    pytest.mark.system,
    pytest.mark.parametrize("role", [INITIATOR]),
]

WEAK = "aes256gcm16-prfsha256-x25519,aes128-sha256-sha1-modp2048-ecp256,3des-md5-modp1024"


def probe(pair: Pair, *options: str, ours: bool = False) -> dict[str, Any]:
    """Look at the peer, or at ikeway from the peer's side."""
    near, far = (pair.link.peer, pair.link.ours) if ours else (pair.link.ours, pair.link.peer)
    command = [sys.executable, "-m", "ikeway.cli.main", "probe", far.outer[4], "--json", *options]
    said: dict[str, Any] = json.loads(near.namespace.run(*command))
    return said


def names(found: dict[str, Any], kind: str) -> set[str]:
    return {one["name"] for one in found["algorithms"] if one["type"] == kind}


def test_every_algorithm_of_a_weak_peer_is_found_and_it_asks_for_eap(tunnel: Tunnel) -> None:
    pair = tunnel(Case(strongswan={"auth": "eap-mschapv2", "cert": "rsa", "ike": WEAK}))
    found = probe(pair, "--server-id", "server.lab")
    assert names(found, "encryption") == {"AES_GCM_16_256", "AES_CBC_128", "DES3"}
    assert names(found, "key exchange") == {"CURVE25519", "MODP_2048", "ECP_256", "MODP_1024"}
    assert names(found, "integrity") == {"HMAC_SHA2_256_128", "HMAC_SHA1_96", "HMAC_MD5_96"}
    assert found["grade"] == "F"
    assert found["reasons"][0].startswith("MODP_1024 (broken)")
    authentication = found["authentication"]
    assert authentication["eap"]
    assert authentication["identity"] == "server.lab"
    assert authentication["certificate"]["names"] == ["server.lab"]
    assert authentication["method"] == "DIGITAL_SIGNATURE"


def test_a_peer_that_demands_cookies_is_seen_whole(tunnel: Tunnel) -> None:
    pair = tunnel(Case(ike="aes256gcm16-prfsha384-ecp384", strongswan={"cookie_threshold": "1"}))
    found = probe(pair)
    assert names(found, "key exchange") == {"ECP_384"}
    assert names(found, "PRF") == {"HMAC_SHA2_384"}
    assert found["grade"] == "A"
    assert found["authentication"]["refused"] == "AUTHENTICATION_FAILED"
    assert "CHILDLESS_IKEV2_SUPPORTED" in found["extensions"]


def test_a_gateway_of_ours_is_seen_whole_and_keeps_nothing(tunnel: Tunnel) -> None:
    pair = tunnel(Case(ike="aes256gcm16-prfsha384-x25519", ikeway={"role": "both"}))
    found = probe(pair, ours=True)
    assert names(found, "encryption") == {"AES_GCM_16_256"}
    assert names(found, "key exchange") == {"CURVE25519"}
    assert found["authentication"]["refused"] == "AUTHENTICATION_FAILED"
    assert not pair.ikeway.sas()

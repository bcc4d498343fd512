# SPDX-License-Identifier: Apache-2.0
"""Null authentication in the configuration: opt-in, alone, and with little to win (RFC 7619)."""

from pathlib import Path

import pytest

from ikeway.config.show import show
from ikeway.model.identity import ANONYMOUS
from ikeway.policy.connection import Proof
from support.configured import CERTIFICATE, errors, loaded

POOLS = '[pools.guests]\nranges = ["10.9.0.0/24"]\n'
GATEWAY = POOLS + CERTIFICATE.replace("staff", "guests") + 'peer_auth = ["null"]\npool = "guests"\n'
CLIENT = (
    CERTIFICATE.replace('"responder"', '"initiator"\npeer = "vpn.example.com"')
    + 'local_auth = "null"\n'
)
STAFF = '\n[connections.staff]\nrole = "responder"\npool = "guests"\n'


def test_a_gateway_for_anybody_says_so_loudly(tmp_path: Path) -> None:
    found = loaded(tmp_path, GATEWAY)
    assert found.connections[0].peer_auth == (Proof.NULL,)
    assert any("anybody may use this connection" in warning for warning in found.warnings)
    assert 'peer_auth = ["null"]' in show(found)


def test_a_client_without_a_proof_has_no_name(tmp_path: Path) -> None:
    """RFC 7619 §2.2: "if anonymity is a concern, then ID_NULL SHOULD be used"."""
    host = '[host]\nidentity = "laptop.example.com"\n'
    (connection,) = loaded(tmp_path, host + CLIENT).connections
    assert connection.local_id == ANONYMOUS
    (named,) = loaded(tmp_path, CLIENT + 'local_id = "laptop.example.com"\n').connections
    assert str(named.local_id) == "laptop.example.com"
    assert "local_id" not in show(loaded(tmp_path, CLIENT))


def test_a_client_that_believes_anybody_is_warned(tmp_path: Path) -> None:
    found = loaded(tmp_path, CLIENT + 'peer_auth = ["null"]\n')
    assert any("who is on the way can read and change all" in each for each in found.warnings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GATEWAY.replace('["null"]', '["null", "certificate"]'), "null goes alone"),
        (GATEWAY.replace('["null"]', '["certificate+null"]'), "the second by EAP"),
        (GATEWAY.replace('["null"]', '["null+eap-md5"]'), "the first is by"),
        (GATEWAY + 'peer_id = "*.example.com"\n', "with null nothing proves it"),
        (GATEWAY + 'peer_ts = ["10.0.0.0/8"]\n', 'with null only "dynamic"'),
        (GATEWAY + STAFF, "a pool of its own: staff has known peers in this one"),
        (CLIENT + "initial_contact = true\n", "nobody can know that we are who was there before"),
        (
            CERTIFICATE + 'local_auth = "null"\npeer_auth = ["eap-mschapv2"]\n',
            "before EAP we have to prove ourselves by certificate",
        ),
    ],
)
def test_what_must_not_be_is_refused(tmp_path: Path, text: str, words: str) -> None:
    assert any(words in found for found in errors(tmp_path, text))

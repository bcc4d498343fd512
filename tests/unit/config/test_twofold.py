# SPDX-License-Identifier: Apache-2.0
"""Two proofs of one peer in the configuration (RFC 4739), and who has to prove what."""

from pathlib import Path

import pytest

from ikeway.config.show import show
from ikeway.policy.connection import Proof, Twofold
from support.configured import CERTIFICATE, errors, loaded

USER = '[[credentials.secrets]]\nid = "carol"\npassword = "correct horse"\n'
BOTH = 'peer_auth = ["certificate+eap-mschapv2"]\n'
GATEWAY = USER + CERTIFICATE + BOTH
CLIENT = (
    USER
    + CERTIFICATE.replace('"responder"', '"initiator"\npeer = "vpn.example.com"')
    + 'peer_id = "vpn.example.com"\neap_identity = "carol"\n'
    + 'local_auth = "certificate+eap-mschapv2"\n'
)


def test_two_proofs_of_a_peer_are_no_two_alternatives(tmp_path: Path) -> None:
    (connection,) = loaded(tmp_path, GATEWAY + 'device_id = "*.devices.example"\n').connections
    assert connection.peer_auth == ()
    assert connection.peer_twofold == (Twofold(Proof.CERTIFICATE, Proof.EAP_MSCHAPV2),)
    assert connection.device_id.text == "*.devices.example"


def test_two_proofs_of_ours_are_of_the_certificate_and_of_the_user(tmp_path: Path) -> None:
    (connection,) = loaded(tmp_path, CLIENT).connections
    assert (connection.local_auth, connection.local_then) == (
        Proof.CERTIFICATE,
        Proof.EAP_MSCHAPV2,
    )
    assert str(connection.local_id) == "vpn.example.com"


def test_what_is_in_force_is_shown_as_it_is_written(tmp_path: Path) -> None:
    assert 'peer_auth = ["certificate+eap-mschapv2"]' in show(loaded(tmp_path, GATEWAY))
    assert 'local_auth = "certificate+eap-mschapv2"' in show(loaded(tmp_path, CLIENT))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            GATEWAY.replace("certificate+eap", "eap-md5+eap"),
            "the first is by certificate, pubkey or psk",
        ),
        (GATEWAY.replace("+eap-mschapv2", "+psk"), "the second by EAP"),
        (GATEWAY.replace("+eap-mschapv2", "+eap-md5+eap-gtc"), "waits for the part on EAP"),
        (GATEWAY.replace("+eap-mschapv2", "+x"), "'x' is not known; allowed: psk"),
        (CERTIFICATE + 'device_id = "a.example"\n', "only with two proofs in peer_auth"),
        (CLIENT + BOTH, "a responder has one proof, not certificate+eap-mschapv2"),
        (CLIENT.replace('"initiator"', '"both"'), "two proofs are of an initiator"),
        (CLIENT.replace('identity = "carol"', 'identity = "dora"'), "no password for 'dora'"),
        (GATEWAY + 'ppk = "prefer"\n', "a PPK goes with one proof, not with two"),
        (GATEWAY + 'local_auth = "eap-tls"\n', "we prove ourselves by certificate or psk"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, text: str, words: str) -> None:
    assert any(words in found for found in errors(tmp_path, text))


def test_a_proof_that_is_enough_alone_makes_two_needless(tmp_path: Path) -> None:
    text = GATEWAY.replace('["certificate+', '["certificate", "certificate+')
    assert any(
        "certificate alone is enough: nobody needs certificate+eap-mschapv2" in warning
        for warning in loaded(tmp_path, text).warnings
    )


def test_who_may_start_needs_a_proof_of_a_responder(tmp_path: Path) -> None:
    """EAP proves who starts: with `role = "both"`, the other way round nothing would."""
    text = USER + CERTIFICATE.replace("responder", "both") + 'peer_auth = ["eap-mschapv2"]\n'
    loaded(tmp_path, text)
    (found,) = errors(tmp_path, text + 'peer = "203.0.113.7"\n')
    assert 'add certificate, or set role = "responder"' in found
    (found,) = errors(tmp_path, text.replace('"eap', '"certificate+eap') + 'peer = "203.0.113.7"\n')
    assert 'add certificate, or set role = "responder"' in found

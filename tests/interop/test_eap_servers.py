# SPDX-License-Identifier: Apache-2.0
"""EAP methods as peers of FreeRADIUS: what strongSwan lacks, and TLS 1.3 (RFC 9190, RFC 9427)."""

import os
from pathlib import Path

import pytest

from ikeway.auth.eap.accounts import Accounts
from ikeway.auth.eap.means import Means
from ikeway.auth.eap.methods import method
from ikeway.auth.eap.peer import EapPeer
from ikeway.auth.eap.progress import Success
from ikeway.crypto.certificate import load_certificates
from ikeway.crypto.keypair import PrivateKey
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.credentials import Account, LocalCertificate
from ikeway.runtime.pki import Pki
from support.eap import random
from support.eap_server import ACCEPT, PROGRAM, freeradius, talk
from support.pair import PKI

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not Path(PROGRAM).exists(), reason="FreeRADIUS is not installed"),
]

CASES = [
    ("mschapv2", "", "1.2"),
    ("tls", "", "1.2"),
    ("tls", "", "1.3"),
    ("ttls", "pap", "1.2"),
    ("ttls", "mschapv2", "1.2"),
    ("ttls", "pap", "1.3"),
    ("ttls", "mschapv2", "1.3"),
    ("peap", "", "1.2"),
    ("peap", "", "1.3"),
]


def peer(name: str, inner: str, password: bytes) -> tuple[EapPeer, bytes]:
    """Return a peer with a password and a certificate, and who it is."""
    user = "client.lab" if name == "tls" else "carol"
    key = PrivateKey.load((PKI / "ecdsa-client.key").read_bytes())
    chain = load_certificates((PKI / "ecdsa-client.crt").read_bytes())
    pki = Pki({"ours": key}, load_certificates((PKI / "ecdsa-ca.crt").read_bytes()))
    tls = pki.tls((LocalCertificate(chain, "ours"),))
    accounts = Accounts((Account(user, Secret(password)),))
    seeded = random(os.getpid() % 255)
    means = Means(accounts, seeded, tls=tls, expected=Identity.parse("server.lab"), inner=inner)
    return EapPeer((method(name),), means, user.encode()), user.encode()


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(("name", "inner", "tls"), CASES)
def test_both_come_to_the_same_key(name: str, inner: str, tls: str, tmp_path: Path) -> None:
    """RFC 2548 §2.4: what the server gives its access server are the halves of the MSK."""
    with freeradius(tmp_path, PKI, name, tls) as port:
        ended = talk(*peer(name, inner, b"correct horse"), port)
        if name != "tls":
            refused = talk(*peer(name, inner, b"wrong"), port)
            assert refused.code != ACCEPT
            assert not isinstance(refused.outcome, Success)
    assert ended.code == ACCEPT
    assert isinstance(ended.outcome, Success)
    assert ended.outcome.msk is not None
    assert len(ended.key) >= 32
    assert ended.outcome.msk.octets.startswith(ended.key)

# SPDX-License-Identifier: Apache-2.0
"""Public keys without certificates with strongSwan, which never sends its own (RFC 7670)."""

from pathlib import Path
from typing import Any

import pytest

from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import PublicKey, generate_key
from support.configured import secret
from support.pair import INITIATOR, NAMES, RESPONDER, Case, Tunnel
from support.strongswan import FLAG

pytestmark = [pytest.mark.interop, pytest.mark.system]


def case(
    folder: Path,
    role: str,
    known: PublicKey | None = None,
    kind: KeyAlgorithm = KeyAlgorithm.ECDSA_256,
    **strongswan: str,
) -> Case:
    """Both have the other's key; `known` is what we take for strongSwan's."""
    us, them = NAMES[role], NAMES[RESPONDER if role == INITIATOR else INITIATOR]
    ours, theirs = generate_key(kind), generate_key(kind)
    secret(folder / "own.key", ours.pem())
    (folder / "peer.pub").write_bytes((known or theirs.public).pem())
    swanctl = folder / "swanctl"
    for place, octets in {
        "private/own.key": theirs.pem(),
        "pubkey/own.pub": theirs.public.pem(),
        "pubkey/peer.pub": ours.public.pem(),
    }.items():
        (swanctl / place).parent.mkdir(parents=True, exist_ok=True)
        (swanctl / place).write_bytes(octets)
    credentials = {
        "key": str(folder / "own.key"),
        "public_keys": [{"id": f"{them}.lab", "key": str(folder / "peer.pub")}],
    }
    sections: dict[str, Any] = {
        "connections": {
            "lab": {
                "local": {"auth": "pubkey", "pubkeys": "own.pub", "id": f"{them}.lab"},
                "remote": {"auth": "pubkey", "pubkeys": "peer.pub", "id": f"{us}.lab"},
            }
        }
    }
    return Case(
        auth="psk",
        ikeway={"local_auth": "pubkey", "peer_auth": ["pubkey"]},
        ikeway_top={"credentials": credentials},
        strongswan={"swanctl_dir": str(swanctl), "cas": "none", **strongswan},
        swanctl=sections,
    )


@pytest.mark.parametrize(
    ("kind", "newer"), [(KeyAlgorithm.ECDSA_256, {}), (KeyAlgorithm.ED25519, {"v6": FLAG})]
)
def test_both_ends_know_the_keys(
    tunnel: Tunnel, role: str, tmp_path: Path, kind: KeyAlgorithm, newer: dict[str, str]
) -> None:
    pair = tunnel(case(tmp_path, role, kind=kind, **newer))
    pair.connect()
    pair.carry()


def test_a_peer_with_another_key_is_refused(tunnel: Tunnel, role: str, tmp_path: Path) -> None:
    another = generate_key(KeyAlgorithm.ECDSA_256).public
    pair = tunnel(case(tmp_path, role, another))
    pair.fails()
    pair.nothing_is_left()

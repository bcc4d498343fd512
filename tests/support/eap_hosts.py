# SPDX-License-Identifier: Apache-2.0
"""Hosts to put on a ladder: a client with a password, a gateway with a certificate and users."""

from dataclasses import replace

from ikeway.crypto.milenage import Usim
from ikeway.model.identity import Identity, IdType
from ikeway.model.secret import Secret
from ikeway.policy.connection import Proof, Twofold
from ikeway.policy.credentials import Account, IdPattern
from support.hosts import (
    CLIENT,
    GATEWAY,
    GCM,
    LEFT,
    POOL,
    RIGHT,
    Changes,
    Row,
    credentials,
    host,
    pki_of,
)
from support.ladder import Ladder

USIM = Usim(Secret(bytes(range(16))), Secret(bytes(range(16, 32))))
USERS = (
    Account(LEFT, Secret(b"from left"), None),
    Account("usim@example.com", Secret(b""), USIM),
    Account("carol", Secret(b"correct horse")),
    Account("dora@example.com", Secret(b"battery staple")),
)


def eap(
    row: Row = GCM,
    proof: Proof = Proof.EAP_MSCHAPV2,
    user: str = "carol",
    password: str = "correct horse",
    left: Changes | None = None,
    right: Changes | None = None,
) -> Ladder:
    """Return a client that has a password, and a gateway with a certificate and users."""
    client: Changes = {
        "local_id": Identity(IdType.KEY_ID, user.encode()),
        "eap_identity": user,
        "local_auth": proof,
        "peer_auth": (Proof.CERTIFICATE,),
        **CLIENT,
    }
    gateway: Changes = {
        "local_auth": Proof.CERTIFICATE,
        "peer_auth": (proof,),
        "peer_id": IdPattern("*"),
        **GATEWAY,
    }
    one = row.connection(LEFT, RIGHT, **client | (left or {}))
    two = row.connection(RIGHT, LEFT, **gateway | (right or {}))
    usim = USIM if proof in {Proof.EAP_AKA, Proof.EAP_AKA_PRIME} else None
    own = (Account(user, Secret(password.encode()), usim),)
    ours = replace(credentials(LEFT), accounts=own)
    return Ladder(
        host("left", (one,), ours if proof is Proof.EAP_TLS else replace(ours, certificates=())),
        host("right", (two,), replace(credentials(RIGHT), accounts=USERS), {"staff": POOL}),
        row.addresses,
        row.nat,
    )


def twofold(
    row: Row = GCM,
    then: Proof = Proof.EAP_MSCHAPV2,
    user: str = "carol",
    password: str = "correct horse",
    left: Changes | None = None,
    right: Changes | None = None,
) -> Ladder:
    """Return a client that has a certificate and a user, and a gateway that wants both proven."""
    first = Proof.CERTIFICATE
    ours: Changes = {"local_id": Identity.parse(LEFT), "local_auth": first, "local_then": then}
    theirs: Changes = {"peer_auth": (), "peer_twofold": (Twofold(first, then),)}
    ladder = eap(row, then, user, password, ours | (left or {}), theirs | (right or {}))
    env = ladder.left.endpoint.env
    own = replace(env.credentials, certificates=credentials(LEFT).certificates)
    ladder.left.endpoint.env = replace(env, credentials=own)
    ladder.left.pki = pki_of(own)
    return ladder


def alone(
    row: Row = GCM,
    left: Changes | None = None,
    right: Changes | None = None,
    proof: Proof = Proof.EAP_TLS,
) -> Ladder:
    """Return two that do with EAP alone (RFC 5998)."""
    ours: Changes = {"peer_auth": (proof,)}
    theirs: Changes = {"local_auth": proof}
    changes = ours | (left or {}), theirs | (right or {})
    user = "usim@example.com" if "aka" in proof.value else LEFT
    return eap(row, proof, user, "from left", *changes)

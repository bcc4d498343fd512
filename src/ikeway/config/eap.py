# SPDX-License-Identifier: Apache-2.0
"""Whether EAP can work in a connection at all (RFC 7296 §2.16, RFC 5998)."""

from typing import Final

from ikeway.auth.eap.methods import may_stand_alone
from ikeway.config.findings import Findings
from ikeway.config.positions import KeyPath
from ikeway.ike.exchanges.eap_initiator import user
from ikeway.policy.connection import Connection, Proof, Role
from ikeway.policy.credentials import Credentials

BY_PASSWORD: Final = frozenset(
    {
        Proof.EAP_MSCHAPV2,
        Proof.EAP_TTLS,
        Proof.EAP_PEAP,
        Proof.EAP_AKA_PRIME,
        Proof.EAP_AKA,
        Proof.EAP_MD5,
        Proof.EAP_GTC,
    }
)
"""Methods that need a password, or the USIM, of each user."""
BY_KEY: Final = frozenset({Proof.CERTIFICATE, Proof.PUBKEY, Proof.PSK})
"""What a responder may prove itself by."""
SIGNED: Final = frozenset({Proof.CERTIFICATE, Proof.PUBKEY})
"""What it proves itself by before EAP."""
TUNNELS: Final = frozenset({Proof.EAP_TTLS, Proof.EAP_PEAP})
"""Methods in which only the server shows a certificate."""


def check_eap(
    path: KeyPath,
    connection: Connection,
    credentials: Credentials,
    findings: Findings,
    *,
    has_store: bool,
) -> None:
    """Note what EAP lacks in a connection; `has_store` is whether there is a database of users."""
    _check_certificates(path, connection, credentials, findings)
    if connection.eap_proof.eap_method:
        _check_ours(path, connection, credentials, findings)
    elif connection.eap_identity:
        findings.error((*path, "eap_identity"), "only with local_auth by EAP")
    if any(proof.eap_method for proof in connection.accepted):
        _check_theirs(path, connection, findings)
        has_users = has_store or bool(credentials.accounts)
        if BY_PASSWORD.intersection(connection.accepted) and not has_users:
            findings.warn(
                (*path, "peer_auth"), "no user has a password yet; make one with `ikeway user add`"
            )


def check_radius(path: KeyPath, connection: Connection, findings: Findings) -> None:
    """Note what does not go together in a connection whose users RADIUS proves."""
    accepted = connection.accepted
    methods = [proof for proof in accepted if proof.eap_method]
    if Proof.EAP_RADIUS in accepted and len(methods) > 1:
        findings.error(
            (*path, "peer_auth"),
            "eap-radius stands for every method of EAP; leave the others to the server",
        )
    if Proof.EAP_RADIUS in accepted and connection.resumption:
        findings.error(
            (*path, "resumption"),
            "a ticket would let users in without asking the RADIUS server; leave it out",
        )
    if connection.groups and not methods:
        findings.error((*path, "groups"), "only with EAP in peer_auth: others are in no group")


def _check_ours(
    path: KeyPath, connection: Connection, credentials: Credentials, findings: Findings
) -> None:
    where, own = (*path, "local_auth"), connection.eap_proof
    if own is Proof.EAP_RADIUS:
        findings.error(where, "eap-radius proves peers; here goes how we prove ourselves")
        return
    if connection.local_then is None:
        _check_gateway(path, connection, findings)
    name = user(connection).lower()
    known = {account.name.encode().lower() for account in credentials.accounts}
    if own in BY_PASSWORD and name not in known and connection.role is not Role.RESPONDER:
        findings.error(
            where,
            f"there is no password for {name.decode()!r}; add [[credentials.secrets]] with id and"
            " password, or set eap_identity",
        )


def _check_gateway(path: KeyPath, connection: Connection, findings: Findings) -> None:
    """Note where nothing would prove the gateway before we say anything of EAP."""
    where, own = (*path, "local_auth"), connection.local_auth
    is_alone = own in connection.peer_auth and may_stand_alone(own.eap_method)
    if connection.role is not Role.INITIATOR and not is_alone:
        findings.error(
            where, f"{own.value} proves an initiator only; a responder needs a certificate"
        )
    if SIGNED.isdisjoint(connection.peer_auth) and not is_alone:
        findings.error(
            (*path, "peer_auth"),
            f"before {own.value} the peer has to prove itself by certificate or pubkey",
        )


def _check_certificates(
    path: KeyPath, connection: Connection, credentials: Credentials, findings: Findings
) -> None:
    """Note what TLS lacks: in a tunnel the server shows a certificate, and the peer sees it."""
    own, accepted = connection.eap_proof, connection.accepted
    is_mutual = Proof.EAP_TLS in {own, *accepted}
    shows = is_mutual or not TUNNELS.isdisjoint(accepted)
    sees = is_mutual or own in TUNNELS
    if shows and connection.may_respond and not credentials.certificates:
        findings.error(path, "EAP with TLS needs a certificate and its key in [credentials]")
    elif own is Proof.EAP_TLS and not credentials.certificates:
        findings.error(path, "eap-tls needs a certificate and its key in [credentials]")
    if sees and not credentials.authorities:
        findings.error(path, "EAP with TLS needs authorities in [credentials]")


def _check_theirs(path: KeyPath, connection: Connection, findings: Findings) -> None:
    where = (*path, "peer_auth")
    if connection.role is Role.INITIATOR and not connection.local_auth.eap_method:
        findings.error(where, "a responder does not prove itself by EAP; use certificate")
    is_double = connection.may_initiate and connection.may_respond
    if (
        is_double
        and not connection.local_auth.eap_method
        and BY_KEY.isdisjoint(connection.peer_auth)
    ):
        findings.error(
            where,
            "where we start, nothing would prove the peer, as a responder does not by EAP: add"
            ' certificate, or set role = "responder"',
        )
    if connection.local_auth is Proof.PSK and connection.eap_methods:
        findings.error(
            where, "before EAP we have to prove ourselves by certificate, not by a shared key"
        )

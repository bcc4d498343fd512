# SPDX-License-Identifier: Apache-2.0
"""Proofs of identity with strongSwan, both ways (RFC 7296 §2.15, RFC 7427, RFC 8420)."""

import pytest

from support.pair import INITIATOR, PKI, RESPONDER, Case, Tunnel

pytestmark = [pytest.mark.interop, pytest.mark.system]

SIGNATURES = ("rsa", "ecdsa", "ecdsa384", "ed25519")
_AUTH = {"psk": "psk", "certificate": "pubkey"}
IDENTITIES = {
    "name": ("ours.example", "peer.example"),
    "mailbox": ("ours@example.com", "peer@example.com"),
    "address": ("10.77.0.1", "10.77.0.2"),
    "IPv6 address": ("fd77::1", "fd77::2"),
    "key ID": ("@#6f757273", "@#70656572"),
    "subject": ("C=CH, O=Example, CN=ours", "C=CH, O=Example, CN=peer"),
}


@pytest.mark.conformance("CF-I01")
@pytest.mark.parametrize("outside", [4, 6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("auth", ["psk", *SIGNATURES])
def test_both_ends_prove_who_they_are(tunnel: Tunnel, auth: str, outside: int) -> None:
    pair = tunnel(Case(auth=auth, outside=outside, inside=(4, 6)))
    pair.connect()
    (ours,), peer = pair.ikeway.established(), pair.peer_sa()
    assert (ours.local.id, ours.peer.id) == (peer.remote_id, peer.local_id)
    assert {peer.remote_id, peer.local_id} == {"client.lab", "server.lab"}
    pair.carry()


def test_certificates_that_need_ip_fragments_are_exchanged(tunnel: Tunnel) -> None:
    """Both IKE_AUTH messages are larger than a frame, and we do not want RFC 7383."""
    pair = tunnel(Case(auth="big", ikeway={"fragmentation": False}))
    pair.connect()
    assert pair.witness.look()["fragment"] > 0
    pair.carry()


@pytest.mark.conformance("CF-I05")
@pytest.mark.parametrize("ours", ["psk", "certificate"])
def test_each_end_may_prove_itself_in_its_own_way(tunnel: Tunnel, role: str, ours: str) -> None:
    """RFC 7296 §2.15: the two ends need not use the same kind of proof."""
    them = "server" if role == INITIATOR else "client"
    peer = "psk" if ours == "certificate" else "certificate"
    own = {"certs": f"ecdsa-{them}.crt"} if peer == "certificate" else {}
    sections = {
        "local": {"auth": _AUTH[peer], **own},
        "remote": {"auth": _AUTH[ours]},
    }
    pair = tunnel(
        Case(
            auth="ecdsa",
            ikeway={"local_auth": ours, "peer_auth": [peer]},
            swanctl={"connections": {"lab": sections}},
        )
    )
    pair.connect()
    pair.carry()


@pytest.mark.parametrize("kind", IDENTITIES)
def test_identities_of_every_type_are_understood(tunnel: Tunnel, kind: str) -> None:
    ours, peer = IDENTITIES[kind]
    pair = tunnel(
        Case(
            ikeway={"local_id": ours, "peer_id": peer},
            strongswan={"local_id": f'"{peer}"', "remote_id": f'"{ours}"'},
        )
    )
    pair.connect()
    (sa,) = pair.ikeway.established()
    assert sa.peer.id is not None
    pair.carry()


@pytest.mark.parametrize("auth", ["rsa", "ed25519"])
def test_a_certificate_may_stand_for_its_subject(tunnel: Tunnel, role: str, auth: str) -> None:
    us, them = ("client", "server") if role == INITIATOR else ("server", "client")
    ours, peer = f"O=Lab, CN={us}.lab", f"O=Lab, CN={them}.lab"
    pair = tunnel(
        Case(
            auth=auth,
            ikeway={"local_id": ours, "peer_id": peer},
            strongswan={"local_id": peer, "remote_id": ours},
        )
    )
    pair.connect()
    pair.carry()


@pytest.mark.parametrize("auth", ["psk", "ecdsa"])
def test_an_initiator_need_not_say_whom_it_expects(tunnel: Tunnel, role: str, auth: str) -> None:
    """RFC 7296 §1.2: IDr is optional in the request."""
    us = "client" if role == INITIATOR else "server"
    remote_id = f"{us}.lab" if role == INITIATOR else "%any"
    pair = tunnel(Case(auth=auth, ikeway={"peer_id": "*"}, strongswan={"remote_id": remote_id}))
    pair.connect()
    pair.carry()


@pytest.mark.parametrize("send_cert", ["always", "ifasked"])
@pytest.mark.parametrize("send_certreq", ["yes", "no"])
def test_certificates_come_asked_or_unasked(
    tunnel: Tunnel, send_cert: str, send_certreq: str
) -> None:
    """RFC 7296 §3.7: CERTREQ is a hint; we send our certificate always."""
    settings = {"send_cert": send_cert, "send_certreq": send_certreq}
    pair = tunnel(Case(auth="ecdsa", strongswan=settings))
    pair.connect()
    pair.carry()


@pytest.mark.parametrize("auth", ["ecdsa", "ecdsa384"])
def test_a_peer_without_hash_announcements_signs_by_the_older_methods(
    tunnel: Tunnel, auth: str
) -> None:
    """RFC 4754: methods 9 and 10, where RFC 7427 was not negotiated."""
    pair = tunnel(Case(auth=auth, strongswan={"signature_auth": "no"}))
    pair.connect()
    pair.carry()


def test_sha1_signatures_are_believed_only_by_a_named_opt_in(tunnel: Tunnel) -> None:
    """RFC 7296 §3.8 method 1 with SHA-1, as strongSwan signs where RFC 7427 is off."""
    settings = {"signature_auth": "no"}
    pair = tunnel(Case(auth="rsa", ikeway={"legacy": True}, strongswan=settings))
    pair.connect()
    pair.carry()


@pytest.mark.parametrize("role", [INITIATOR])
def test_a_gateway_with_several_authorities_knows_the_client(tunnel: Tunnel) -> None:
    """RFC 7296 §3.7: it asks for certificates of both; ours is from the second."""
    pair = tunnel(Case(auth="ecdsa384", strongswan={"cas": "rsa,ecdsa384"}))
    pair.connect()
    pair.carry()


@pytest.mark.parametrize("role", [RESPONDER])
def test_the_gateway_takes_clients_of_several_authorities(tunnel: Tunnel) -> None:
    authorities = [str(PKI / f"{kind}-ca.crt") for kind in SIGNATURES]
    pair = tunnel(
        Case(
            auth="ed25519",
            ikeway_top={"credentials": {"authorities": authorities}},
            strongswan={"auth": "ecdsa", "cas": "ed25519"},
        )
    )
    pair.connect()
    pair.carry()


def test_who_does_not_know_announced_methods_ignores_them(tunnel: Tunnel) -> None:
    """RFC 9593 §3.1: it is an unknown status notify to such a peer."""
    pair = tunnel(Case(auth="rsa", ikeway={"announce_methods": True}))
    pair.connect()
    assert ("N((16443))" in pair.peer.log()) == pair.is_initiator

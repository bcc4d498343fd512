# SPDX-License-Identifier: Apache-2.0
"""Who cannot prove an identity gets nothing, from either end (RFC 7296 §2.15, §2.21.2)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from support.pair import INITIATOR, PKI, RESPONDER, Case, Pair, Tunnel

pytestmark = [pytest.mark.interop, pytest.mark.system]


@pytest.mark.conformance("CF-A04")
def test_a_wrong_pre_shared_key_is_refused(tunnel: Tunnel) -> None:
    pair = tunnel(Case(strongswan={"psk": "not-the-same-secret"}))
    _refused(pair)


@pytest.mark.parametrize("auth", ["rsa", "ecdsa", "ed25519"])
def test_we_do_not_believe_an_authority_that_we_do_not_know(tunnel: Tunnel, auth: str) -> None:
    other = {"authorities": [str(PKI / "ecdsa384-ca.crt")]}
    pair = tunnel(Case(auth=auth, ikeway_top={"credentials": other}))
    _refused(pair)
    assert pair.ikeway.said("certificate is refused")


@pytest.mark.parametrize("auth", ["rsa", "ed25519"])
def test_strongswan_does_not_believe_our_authority(tunnel: Tunnel, auth: str) -> None:
    pair = tunnel(Case(auth=auth, strongswan={"cas": "ecdsa384"}))
    _refused(pair)


def test_we_refuse_a_certificate_that_has_expired(tunnel: Tunnel, tmp_path: Path) -> None:
    pair = tunnel(Case(auth="ecdsa", strongswan={"swanctl_dir": str(_expired(tmp_path))}))
    _refused(pair)
    assert pair.ikeway.said("expired") or pair.ikeway.said("valid")


def test_strongswan_refuses_ours_that_has_expired(
    tunnel: Tunnel, role: str, tmp_path: Path
) -> None:
    who = "client" if role == INITIATOR else "server"
    expired = _expired(tmp_path) / "x509" / f"ecdsa-{who}.crt"
    pair = tunnel(
        Case(auth="ecdsa", ikeway_top={"credentials": {"certificate": str(expired)}}),
    )
    _refused(pair)


def test_we_refuse_who_is_somebody_else(tunnel: Tunnel) -> None:
    """The peer is authentic, but not the one that the connection is for."""
    pair = tunnel(Case(auth="ecdsa", ikeway={"peer_id": "other.lab"}))
    _refused(pair)


def test_strongswan_refuses_a_name_that_our_certificate_has_not(tunnel: Tunnel) -> None:
    pair = tunnel(
        Case(auth="ecdsa", ikeway={"local_id": "other.lab"}, strongswan={"remote_id": "other.lab"})
    )
    _refused(pair)


@pytest.mark.conformance("CF-I05")
def test_a_kind_of_proof_that_nobody_agreed_to_is_refused(tunnel: Tunnel) -> None:
    """strongSwan holds the right key but was to show a certificate."""
    pair = tunnel(
        Case(
            auth="ecdsa",
            ikeway={"local_auth": "psk", "peer_auth": ["certificate"]},
            strongswan={"auth": "psk"},
        )
    )
    _refused(pair)


def test_a_signature_without_a_certificate_is_refused(tunnel: Tunnel) -> None:
    pair = tunnel(Case(auth="ecdsa", strongswan={"send_cert": "never"}))
    _refused(pair)
    assert pair.ikeway.said("no X.509 certificate")


@pytest.mark.parametrize("role", [RESPONDER])
def test_a_sha1_signature_is_refused_without_the_opt_in(tunnel: Tunnel) -> None:
    """RFC 8247 §3: method 1 is RSA with SHA-1."""
    pair = tunnel(Case(auth="rsa", strongswan={"signature_auth": "no"}))
    _refused(pair)
    assert pair.ikeway.said("RSA_SHA1")


@pytest.mark.parametrize("role", [RESPONDER])
def test_who_comes_from_elsewhere_is_refused_before_anything_is_computed(tunnel: Tunnel) -> None:
    pair = tunnel(Case(ikeway={"peer": "192.0.2.0/24"}))
    pair.fails()
    pair.ikeway.wait_for_log("no connection is configured for 10.77.0.2")
    pair.nothing_is_left()


def _refused(pair: Pair) -> None:
    """The attempt fails, both ends say why, and neither keeps anything."""
    pair.fails()
    pair.ikeway.wait_for_log("IKE SA closed")
    pair.strongswan.wait_for_log("AUTH_FAILED")
    assert pair.ikeway.said("AUTHENTICATION_FAILED")
    pair.nothing_is_left()


def _expired(folder: Path) -> Path:
    """Return a swanctl folder with the lab's certificates as they would be after their time."""
    authority = load_pem_private_key((PKI / "ecdsa-ca.key").read_bytes(), None)
    assert isinstance(authority, ec.EllipticCurvePrivateKey)
    (folder / "x509").mkdir()
    for who in ("client", "server"):
        valid = x509.load_pem_x509_certificate((PKI / f"ecdsa-{who}.crt").read_bytes())
        end = datetime.now(UTC) - timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(valid.subject)
            .issuer_name(valid.issuer)
            .public_key(valid.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - timedelta(days=30))
            .not_valid_after(end)
        )
        for extension in valid.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        signed = builder.sign(authority, hashes.SHA256()).public_bytes(Encoding.PEM)
        (folder / "x509" / f"ecdsa-{who}.crt").write_bytes(signed)
    return folder

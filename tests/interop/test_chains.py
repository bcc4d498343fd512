# SPDX-License-Identifier: Apache-2.0
"""Chains of certificates with strongSwan, both ways (RFC 7296 §3.6, RFC 5280 §6.1)."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha1
from pathlib import Path

import pytest

from ikeway.crypto.authority import pem
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.model.identity import Identity
from support.configured import secret
from support.listening import listening
from support.netns import Namespace
from support.pair import INITIATOR, Tunnel
from support.papers import Papers, tower
from support.pki import certificate, private_key
from support.softhsm import PIN, SoftHsm
from support.strongswan import FETCHING

PORT = 8099
CERTS = f"http://127.0.0.1:{PORT}"

pytestmark = [pytest.mark.interop, pytest.mark.system]


@pytest.mark.conformance("CF-I20")
def test_both_ends_send_the_intermediates_that_the_other_lacks(
    tunnel: Tunnel, role: str, tmp_path: Path
) -> None:
    """Ours come in the wrong order, too: "other certificates may be sent in any order"."""
    papers = Papers(tmp_path, role, tower(3))
    pair = tunnel(
        papers.case(papers.credentials(*reversed(papers.middle)), papers.swanctl(*papers.middle))
    )
    pair.connect()
    pair.carry()


def test_our_chain_may_be_among_other_certificates(
    tunnel: Tunnel, role: str, tmp_path: Path
) -> None:
    """strongSwan reads eight certificates of a message."""
    papers = Papers(tmp_path, role, tower(1))
    credentials = papers.credentials(*strays(6), *papers.middle)
    pair = tunnel(papers.case(credentials, papers.swanctl(*papers.middle)))
    pair.connect()
    pair.carry()


@pytest.mark.parametrize("role", [INITIATOR])
def test_two_hundred_certificates_are_sent_and_end_in_order(
    tunnel: Tunnel, role: str, tmp_path: Path
) -> None:
    """A message with more than eight is none for strongSwan, and it says so."""
    papers = Papers(tmp_path, role, tower(1))
    credentials = papers.credentials(*strays(198), *papers.middle)
    pair = tunnel(papers.case(credentials, papers.swanctl(*papers.middle)))
    pair.fails()
    pair.strongswan.wait_for_log("CERTIFICATE more than 8 times")
    pair.nothing_is_left()


def strays(count: int) -> list[Certificate]:
    """Certificates that have nothing to do with the others, and are small."""
    key = private_key(KeyAlgorithm.ED25519)
    return [certificate("x", key, "x", key)] * count


def test_a_peer_with_a_chain_that_is_too_long_is_refused(
    tunnel: Tunnel, role: str, tmp_path: Path
) -> None:
    """strongSwan sends what it has; we follow eight certificates, and say so."""
    papers = Papers(tmp_path, role, tower(8))
    pair = tunnel(papers.case(papers.credentials(), papers.swanctl(*papers.middle)))
    pair.fails()
    pair.nothing_is_left()


def test_an_intermediate_that_is_not_sent_is_missed(
    tunnel: Tunnel, role: str, tmp_path: Path
) -> None:
    papers = Papers(tmp_path, role, tower(1))
    pair = tunnel(papers.case(papers.credentials(), papers.swanctl()))
    pair.fails()
    pair.nothing_is_left()
    if role != INITIATOR:
        pair.ikeway.wait_for_log("its issuer CN=Tower 0 is not known")


@pytest.mark.parametrize("role", [INITIATOR])
def test_a_gateway_of_another_name_is_told_nothing_more(
    tunnel: Tunnel, role: str, tmp_path: Path
) -> None:
    """Its certificate is good, and for somebody else: no Child SA, no address, no user's name."""
    papers = Papers(tmp_path, role, tower(0))
    papers.peer = papers.leaf("server", names=[Identity.parse("other.lab")])
    pair = tunnel(papers.case(papers.credentials(), papers.swanctl(), local_id="other.lab"))
    pair.fails()
    pair.nothing_is_left()
    pair.ikeway.wait_for_log("AUTHENTICATION_FAILED")


def test_our_key_may_stay_in_a_token(
    tunnel: Tunnel, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signature that comes late, from another thread, is as good."""
    pytest.importorskip("pkcs11")
    papers = Papers(tmp_path, role, tower(0))
    hsm = SoftHsm(tmp_path)
    monkeypatch.setenv("SOFTHSM2_CONF", str(hsm.conf))
    pin = tmp_path / "pin"
    secret(pin, PIN.encode())
    uri = hsm.add("own", 1, papers.ours[1])
    kept = papers.credentials(key=uri, key_password=f"file:{pin}")
    pair = tunnel(papers.case(kept, papers.swanctl()))
    pair.connect()
    pair.carry()


@pytest.mark.conformance("CF-I20")
def test_strongswan_names_its_certificate_by_hash_and_url(
    tunnel: Tunnel, role: str, tmp_path: Path
) -> None:
    """RFC 7296 §3.6: we say that we fetch, from one place only, and it sends no certificate."""
    papers = Papers(tmp_path, role, tower(0))
    credentials = papers.credentials(certificate_urls=[f"{CERTS}/"])
    more = tmp_path / "charon.conf"
    more.write_text("hash_and_url = yes\n")
    made = papers.case(credentials, papers.swanctl(), charon_conf=str(more))
    them = papers.them
    sections = {
        "connections": {
            "lab": {"local": {"auth": "pubkey", "certs": f"lab-{them}.crt"}}
            | {"remote": {"auth": "pubkey"}}
        },
        "authorities": {"lab": {"cacert": "root.crt", "cert_uri_base": f"{CERTS}/"}},
    }
    pair = tunnel(replace(made, swanctl=sections))
    der = papers.peer[0].der
    (tmp_path / sha1(der, usedforsecurity=False).hexdigest()).write_bytes(der)
    with served(tmp_path, pair.link.ours.namespace):
        pair.connect()
        pair.carry()
    pair.strongswan.wait_for_log("hash-and-url")


@pytest.mark.conformance("CF-I20")
def test_strongswan_fetches_ours_by_hash_and_url(tunnel: Tunnel, role: str, tmp_path: Path) -> None:
    """It says that it fetches, and gets a URL instead of our certificate."""
    papers = Papers(tmp_path, role, tower(0))
    leaf, _ = papers.ours
    listed = papers.credentials()
    one = {"certificate": listed["certificate"], "key": listed["key"], "url": f"{CERTS}/own.der"}
    credentials = {"authorities": listed["authorities"], "certificates": [one]}
    more = tmp_path / "charon.conf"
    more.write_text(f"hash_and_url = yes\nload = {FETCHING}\n")
    (tmp_path / "own.der").write_bytes(leaf.der)
    pair = tunnel(papers.case(credentials, papers.swanctl(), charon_conf=str(more)))
    with served(tmp_path, pair.link.peer.namespace):
        pair.connect()
        pair.carry()
    pair.strongswan.wait_for_log(f'received hash-and-url for end entity cert "{CERTS}/own.der"')


@pytest.mark.conformance("CF-I21")
def test_of_our_certificates_strongswan_gets_the_one_that_it_asks_for(
    tunnel: Tunnel, role: str, tmp_path: Path
) -> None:
    """The first is of an authority that it does not believe; its CERTREQ names the other."""
    papers = Papers(tmp_path, role, tower(0))
    listed = papers.credentials()
    stranger = Papers(tmp_path, role, tower(0, "Other"))
    leaf, key = stranger.ours
    (tmp_path / "other.crt").write_bytes(pem(leaf, stranger.authorities[0].certificate))
    secret(tmp_path / "other.key", key.pem())
    first = {"certificate": str(tmp_path / "other.crt"), "key": str(tmp_path / "other.key")}
    second = {"certificate": listed["certificate"], "key": listed["key"]}
    credentials = {"authorities": listed["authorities"], "certificates": [second]} | first
    pair = tunnel(papers.case(credentials, papers.swanctl()))
    pair.connect()
    pair.carry()


@contextmanager
def served(folder: Path, namespace: Namespace) -> Iterator[None]:
    """A web server with the files of a folder."""
    command = [sys.executable, "-m", "http.server", str(PORT), "--bind", "127.0.0.1"]
    with listening(namespace, command, folder, PORT):
        yield

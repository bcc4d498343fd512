# SPDX-License-Identifier: Apache-2.0
"""strongSwan with a certificate that was revoked, in both roles (RFC 5280, RFC 6960)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ikeway.crypto.authority import pem
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.fields import Places
from ikeway.crypto.revoking import Revoked, make_crl
from support.link import Link, cable
from support.listening import listening
from support.netns import Namespace
from support.pair import INITIATOR, RESPONDER, Case, Tunnel
from support.papers import Papers, now, tower
from support.strongswan import FETCHING, FLAG, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system]

STRICT: dict[str, object] = {"revocation": "strict"}
PORT = 2560
RESPONDER_URL = f"http://127.0.0.1:{PORT}/"


def case(papers: Papers, *, crls: bool = True) -> Case:
    """Strict, with a CRL file of the root or with what certificates name."""
    files = [str(papers.folder / "root.crl")] if crls else []
    looked_up = {"crls": files, "recheck": "1s"}
    credentials = papers.credentials(*papers.middle, revocation=looked_up)
    return papers.case(credentials, papers.swanctl(*papers.middle), STRICT)


def publish(papers: Papers, *revoked: Certificate) -> None:
    entries = [Revoked(one.serial, now(), "key-compromise") for one in revoked]
    made = make_crl(papers.authorities[0], entries, 1, now() - timedelta(minutes=1), 7)
    unfinished = papers.folder / "unfinished.crl"
    unfinished.write_bytes(made)
    unfinished.replace(papers.folder / "root.crl")


def test_a_peer_on_the_crl_is_refused(tunnel: Tunnel, role: str, tmp_path: Path) -> None:
    papers = Papers(tmp_path, role, tower(0))
    publish(papers, papers.peer[0])
    pair = tunnel(case(papers))
    pair.fails()
    pair.nothing_is_left()
    pair.ikeway.wait_for_log("was revoked: keyCompromise")


def test_a_revocation_ends_the_tunnel_of_a_connected_peer(
    tunnel: Tunnel, role: str, tmp_path: Path
) -> None:
    """The file is read again when it changes, and peers are looked up again."""
    papers = Papers(tmp_path, role, tower(0))
    publish(papers, papers.ours[0])
    pair = tunnel(case(papers))
    pair.connect()
    pair.carry()
    publish(papers, papers.peer[0])
    wait_until(pair.is_down, 8.0, "both ends to be down")
    pair.ikeway.wait_for_log("counts no more")


@pytest.mark.parametrize("role", [RESPONDER])
def test_an_intermediate_on_the_crl_takes_all_below_it_along(
    tunnel: Tunnel, role: str, tmp_path: Path
) -> None:
    papers = Papers(tmp_path, role, tower(1))
    publish(papers, papers.authorities[1].certificate)
    pair = tunnel(case(papers))
    pair.fails()
    pair.nothing_is_left()


@pytest.mark.parametrize("status", ["good", "revoked"])
def test_a_responder_is_asked_about_the_peer(
    tunnel: Tunnel, role: str, tmp_path: Path, status: str
) -> None:
    """`openssl ocsp` knows; with `strict` a peer that it does not vouch for is refused."""
    papers = Papers(tmp_path, role, tower(0))
    papers.peer = papers.leaf(papers.them, places=Places(ocsp=(RESPONDER_URL,)))
    pair = tunnel(case(papers, crls=False))
    with responder(papers, pair.link.ours.namespace, papers.peer[0], status):
        if status == "good":
            pair.connect()
            pair.carry()
        else:
            pair.fails()
            pair.nothing_is_left()
            pair.ikeway.wait_for_log("was revoked: keyCompromise")


@pytest.mark.parametrize("role", [INITIATOR])
@pytest.mark.parametrize("policy", ["strict", "lenient"])
def test_a_responder_that_is_not_there_counts_by_policy(
    tunnel: Tunnel, role: str, tmp_path: Path, policy: str
) -> None:
    papers = Papers(tmp_path, role, tower(0))
    papers.peer = papers.leaf(papers.them, places=Places(ocsp=(RESPONDER_URL,)))
    made = papers.case(papers.credentials(), papers.swanctl(), {"revocation": policy})
    pair = tunnel(made)
    if policy == "lenient":
        pair.connect()
        pair.ikeway.wait_for_log("whether it is revoked is not known")
        return
    pair.fails()
    pair.nothing_is_left()
    pair.ikeway.wait_for_log("is it revoked?")


def test_strongswan_6_believes_the_status_that_we_show(
    tunnel: Tunnel, role: str, tmp_path: Path
) -> None:
    """RFC 4806: it cannot fetch, insists on a status, and asks us for it."""
    papers = Papers(tmp_path, role, tower(0))
    papers.ours = papers.leaf(papers.us, places=Places(ocsp=(RESPONDER_URL,)))
    made = papers.case(papers.credentials(), papers.swanctl(), v6=FLAG)
    link = cable_to_responder(papers, "ours")
    pair = tunnel(replace(made, swanctl=asking("request", papers)), link)
    pair.connect()
    pair.carry()
    pair.strongswan.wait_for_log("ocsp response")


def test_strongswan_6_shows_us_its_status(tunnel: Tunnel, role: str, tmp_path: Path) -> None:
    """We fetch nothing, and insist on a status: what it has fetched itself will do."""
    papers = Papers(tmp_path, role, tower(0))
    papers.peer = papers.leaf(papers.them, places=Places(ocsp=(RESPONDER_URL,)))
    credentials = papers.credentials(revocation={"fetch": False})
    more = tmp_path / "charon.conf"
    more.write_text(f"load = {FETCHING}\n")
    made = papers.case(credentials, papers.swanctl(), STRICT, v6=FLAG, charon_conf=str(more))
    pair = tunnel(
        replace(made, swanctl=asking("reply", papers)), cable_to_responder(papers, "peer")
    )
    pair.connect()
    pair.carry()


@contextmanager
def cable_to_responder(papers: Papers, side: str) -> Iterator[Link]:
    """A cable with a responder at one end, which is there before the daemons and knows that end."""
    about = papers.ours if side == "ours" else papers.peer
    with cable() as link, responder(papers, getattr(link, side).namespace, about[0], "good"):
        yield link


def asking(ocsp: str, papers: Papers) -> dict[str, Any]:
    """What strongSwan does with OCSP in IKEv2."""
    strict = {"revocation": "strict"} if ocsp == "request" else {}
    return {
        "connections": {
            "lab": {
                "ocsp": ocsp,
                "local": {"auth": "pubkey", "certs": f"lab-{papers.them}.crt"},
                "remote": {"auth": "pubkey", **strict},
            }
        }
    }


@contextmanager
def responder(
    papers: Papers, namespace: Namespace, about: Certificate, status: str
) -> Iterator[None]:
    """OpenSSL's OCSP responder of the root, which knows one certificate."""
    root, folder = papers.authorities[0], papers.folder
    ends = f"{about.not_after:%y%m%d%H%M%SZ}"
    since = f"{now():%y%m%d%H%M%SZ},keyCompromise" if status == "revoked" else ""
    line = "\t".join(["R" if since else "V", ends, since, f"{about.serial:X}", "unknown", "/CN=x"])
    (folder / "index.txt").write_text(line + "\n")
    (folder / "ca.crt").write_bytes(pem(root.certificate))
    (folder / "ca.key").write_bytes(root.key.pem())
    command = ["openssl", "ocsp", "-port", str(PORT), "-index", "index.txt", "-CA", "ca.crt"]
    command += ["-rsigner", "ca.crt", "-rkey", "ca.key", "-nmin", "5", "-ignore_err"]
    with listening(namespace, command, folder, PORT):
        yield

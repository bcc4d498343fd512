# SPDX-License-Identifier: Apache-2.0
"""Libreswan 4.10 and 5.2, with the ESP of a Linux kernel."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.inguest import InGuestPair, Meeting, changes, name_of
from support.libreswan import Libreswan
from support.pair import INITIATOR, RESPONDER
from support.ppk import PEER, of_daemon
from support.strongswan import FLAG, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]

PATIENCE = 30.0

COOKIES_ALWAYS = {"limits": {"cookies_from": 0}}


@pytest.mark.conformance("CF-A25")
@pytest.mark.parametrize("auth", ["psk", "ecdsa"])
def test_a_tunnel_that_libreswan_ends(meet: Meeting, auth: str) -> None:
    """Traffic is counted alike by our engine and by the peer's kernel, then all is gone."""
    pair = meet(Libreswan, auth=auth)
    pair.connect()
    pair.carry()
    libreswan(pair).terminate()
    wait_until(pair.is_down, PATIENCE, "both ends to be down")
    pair.nothing_is_left()


def test_the_newer_libreswan(meet: Meeting) -> None:
    """Rekeys of both kinds by it, then the end, all in one tunnel; it revives what it started."""
    pair = meet(Libreswan, newer=True, auth="rsa")
    pair.connect()
    pair.carry()
    rekeys(pair, "child")
    rekeys(pair, "ike")
    pair.carry()
    if pair.is_initiator:
        pair.ikeway.disconnect()
    else:
        libreswan(pair).terminate()
    wait_until(pair.is_down, PATIENCE, "both ends to be down")


@pytest.mark.conformance("CF-F02", "CF-F03", "CF-F05")
@pytest.mark.parametrize("esp", ["aes256gcm16-x25519", "aes256gcm16"], ids=["pfs", "no-pfs"])
def test_libreswan_rekeys(meet: Meeting, esp: str) -> None:
    """RFC 7296 §1.3.2, §1.3.3: both kinds after one another, and again what was made new."""
    pair = meet(Libreswan, esp=esp)
    pair.connect()
    for what in ("child", "ike", "child"):
        rekeys(pair, what)
    pair.carry()


@pytest.mark.conformance("CF-F02", "CF-F05")
def test_we_rekey_with_libreswan(meet: Meeting) -> None:
    """RFC 7296 §2.8: as often as our lifetimes ask for."""
    pair = meet(Libreswan, ikeway={"lifetimes": {"child": "4s", "ike": "7s"}})
    pair.connect()
    for what in ("child", "ike"):
        changes(pair, what, PATIENCE)
    assert pair.ikeway.established()
    assert not pair.ikeway.said("no Child SA")


@pytest.mark.conformance("CF-A23")
def test_libreswan_deletes_the_child_sa_alone(meet: Meeting) -> None:
    pair = meet(Libreswan)
    pair.connect()
    libreswan(pair).terminate_child()
    wait_until(lambda: not pair.ikeway.children(), PATIENCE, "the Child SA to go")


@pytest.mark.parametrize("role", [INITIATOR])
def test_libreswan_demands_a_cookie(meet: Meeting) -> None:
    """RFC 7296 §2.6: the same request again, with the cookie first."""
    pair = meet(Libreswan, peer={"cookies": FLAG})
    pair.connect()
    assert pair.ikeway.said("N(COOKIE)")
    pair.carry()


@pytest.mark.parametrize("role", [RESPONDER])
def test_we_demand_a_cookie_of_libreswan(meet: Meeting) -> None:
    pair = meet(Libreswan, ikeway_top=COOKIES_ALWAYS)
    pair.connect()
    assert pair.ikeway.said("N(COOKIE)")
    pair.carry()


@pytest.mark.conformance("CF-A04")
def test_libreswan_with_another_secret(meet: Meeting) -> None:
    """RFC 7296 §2.15: whoever is first to check the other's proof refuses it."""
    pair = meet(Libreswan, peer={"psk": "not-the-same-secret"})
    pair.attempt()
    pair.ikeway.wait_for_log("AUTHENTICATION_FAILED", PATIENCE)
    assert not pair.ikeway.children()
    assert not pair.routes()


RESUMES = {
    "resumption": True,
    "revocation": "off",  # a ticket would evade it: who is watched for it gets none
    "liveness": "10s",
    "retransmission": {"give_up": "6s"},
}
CUT = """
table ip cut {
  chain way { type filter hook %s priority 0; udp dport { 500, 4500 } drop; }
}
"""


@pytest.mark.conformance("CF-S05", "CF-S08", "CF-S09")
@pytest.mark.parametrize("role", [RESPONDER])
@pytest.mark.parametrize("auth", ["psk", "ecdsa"])
def test_libreswan_resumes_with_a_ticket_of_ours(meet: Meeting, auth: str) -> None:
    """RFC 5723 §4.3: each resumption brings another ticket, and ends the old IKE SA (§4.3.4).

    Its IKE_SESSION_RESUME knows of no NATs, so ESP would go without UDP, which our engine does not
    carry. It says Delete when it is told to suspend; of a cut cable we hear nothing of that.
    """
    plain = {"dataplane": {"backend": "null"}}
    ikeway = RESUMES | {"encapsulation": "nat"}
    options = {"peer": {"resumption": FLAG}, "ikeway": ikeway, "ikeway_top": plain}
    pair = meet(Libreswan, newer=True, auth=auth, **options)
    pair.connect()
    for times in (1, 2):
        with cut(pair, "input"):
            libreswan(pair).suspend()
        pair.connect()
        assert pair.ikeway.log().count("IKE SA resumed") == times
        assert pair.peer.log().count("authenticated peer using authby=session-resume") == times
        assert len(pair.ikeway.sas()) == 1


@pytest.mark.conformance("CF-S06")
@pytest.mark.parametrize("role", [RESPONDER])
def test_where_libreswan_could_not_carry_packets_it_begins_anew(meet: Meeting) -> None:
    """RFC 5723 §4.3.2: "the initiator should re-initiate a regular IKE exchange"."""
    pair = meet(Libreswan, newer=True, peer={"resumption": FLAG}, ikeway=RESUMES)
    pair.connect()
    with cut(pair, "input"):
        libreswan(pair).suspend()
    pair.connect()
    assert pair.ikeway.said("no NAT traversal with a ticket")
    pair.carry()


@pytest.mark.conformance("CF-S06")
@pytest.mark.parametrize("role", [INITIATOR])
def test_libreswan_takes_our_ticket_and_not_our_proof(meet: Meeting) -> None:
    """Its AUTH leaves out what RFC 7296 §2.15 has in it: we begin anew, without losing time."""
    pair = meet(Libreswan, newer=True, peer={"resumption": FLAG}, ikeway=RESUMES)
    pair.connect()
    with cut(pair, "output"):
        wait_until(lambda: not pair.ikeway.sas(), PATIENCE, "ikeway to give up")
    pair.attempt()
    wait_until(lambda: bool(pair.ikeway.children()), PATIENCE, "the Child SA")
    assert pair.ikeway.said("received IKE_SESSION_RESUME response 0")
    assert pair.ikeway.log().count("IKE SA established") == 2


@contextmanager
def cut(pair: InGuestPair, way: str) -> Iterator[None]:
    """Let no message through to us (`input`), or from us (`output`)."""
    here = pair.link.ours.namespace
    here.run("nft", "-f", "-", input=CUT % way)
    yield
    here.run("nft", "delete", "table", "ip", "cut")


def libreswan(pair: InGuestPair) -> Libreswan:
    """Return the peer of a pair."""
    assert isinstance(pair.peer, Libreswan)
    return pair.peer


@pytest.mark.conformance("CF-W07")
def test_a_ppk_is_mixed_in(meet: Meeting, tmp_path: Path) -> None:
    """RFC 8784; Libreswan insists on it too. Its 5.2 has a draft of RFC 9867, with other codes."""
    pair = meet(Libreswan, newer=True, auth="ecdsa", peer={"ppk": PEER}, **of_daemon(tmp_path))
    pair.connect()
    (sa,) = pair.ikeway.established()
    assert sa.post_quantum
    pair.carry()


@pytest.mark.parametrize("role", [RESPONDER])
def test_libreswan_sends_an_ike_intermediate_for_nothing(meet: Meeting) -> None:
    """RFC 9242 §3.2: it is answered. What stands behind `type=` goes into its ipsec.conf."""
    ours = {"ike": [f"{Libreswan.IKE}-ke1_mlkem768", Libreswan.IKE]}
    peer = {"mode": "tunnel\n\tintermediate=yes"}
    pair = meet(Libreswan, newer=True, ikeway=ours, peer=peer)
    pair.connect()
    assert "IKE_INTERMEDIATE" in pair.ikeway.log()
    pair.carry()


def rekeys(pair: InGuestPair, what: str) -> None:
    """Have Libreswan rekey, and wait until one child is left at both ends."""
    before = name_of(pair, what)
    libreswan(pair).rekey(what)
    wait_until(lambda: name_of(pair, what) not in {before, ""}, PATIENCE, f"the rekey of {what}")
    wait_until(pair.is_up, PATIENCE, "the end of what was replaced")
    wait_until(lambda: len(pair.ikeway.children()) == 1, PATIENCE, "the Delete")

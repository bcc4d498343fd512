# SPDX-License-Identifier: Apache-2.0
"""ML-KEM and several key exchanges with strongSwan 6.1, and with one that knows neither."""

from dataclasses import replace
from pathlib import Path

import pytest

from ikeway.policy.connection import UsePpk
from support.pair import ESP, IKE, Case, Pair, Tunnel
from support.ppk import PEER, PREFER, REQUIRE, of_daemon
from support.strongswan import FLAG, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system]

KEM = "ke1_mlkem768"
THREE = "ke1_mlkem768-ke2_ecp384-ke4_mlkem1024"
OFTEN = {"ike": "2s", "child": "1s", "jitter": 0.0}


def hybrid(extra: str, **ikeway: object) -> Case:
    return Case(
        ike=f"{IKE}-{extra}",
        esp=f"{ESP}-x25519-{extra}",
        ikeway=ikeway,
        strongswan={"v6": FLAG},
    )


def suite(pair: Pair) -> str:
    """Return the suite of the IKE SA."""
    (ours,) = pair.ikeway.established()
    return str(ours.suite)


@pytest.mark.conformance("CF-P02", "CF-P04", "CF-P05", "CF-P06", "CF-Q01", "CF-Q05", "CF-Q07")
def test_an_ike_sa_is_made_of_several_key_exchanges(tunnel: Tunnel) -> None:
    """RFC 9242, RFC 9370 §2.2.2: IKE_INTERMEDIATE in fragments, and AUTH covers it."""
    pair = tunnel(replace(hybrid(THREE), outside=6))
    pair.connect()
    assert suite(pair).endswith(THREE)
    assert "selected proposal: IKE:AES_GCM_16_256/PRF_HMAC_SHA2_384/CURVE_25519/KE1_ML_KEM_768" in (
        pair.peer.log()
    )
    assert f"IKE_INTERMEDIATE re{'sponse' if pair.is_initiator else 'quest'} 1" in pair.peer.log()
    pair.carry()


@pytest.mark.conformance("CF-Q08", "CF-Q14")
def test_strongswan_rekeys(tunnel: Tunnel) -> None:
    """RFC 9370 §2.2.4: IKE_FOLLOWUP_KE, asked for by strongSwan, for both kinds of SA."""
    pair = tunnel(hybrid(THREE))
    pair.connect()
    for what in ("child", "ike", "child"):
        before = state_of(pair)
        pair.strongswan.rekey(what)
        wait_until(lambda old=before: is_new(pair, old), 6.0, f"the rekey of {what}")
    assert "IKE_FOLLOWUP_KE response" in pair.peer.log()
    assert suite(pair).endswith(THREE)
    pair.carry()


@pytest.mark.conformance("CF-Q08", "CF-Q14")
def test_we_rekey(tunnel: Tunnel) -> None:
    """RFC 9370 §2.2.4: IKE_FOLLOWUP_KE, asked for by us."""
    pair = tunnel(hybrid(THREE, lifetimes=OFTEN))
    pair.connect()
    log = pair.peer.log
    wait_until(lambda: log().count("generating IKE_FOLLOWUP_KE response") >= 9, 9.0, "rekeys")
    assert "deleting IKE_SA" in log() or "rekeyed between" in log()
    pair.carry()


def state_of(pair: Pair) -> tuple[str, frozenset[str]]:
    """Return what a rekey changes."""
    (sa,) = pair.ikeway.established()
    return sa.id, frozenset(child.spi_in for child in sa.child_sas)


def is_new(pair: Pair, before: tuple[str, frozenset[str]]) -> bool:
    now = pair.ikeway.established()
    if len(now) != 1 or len(now[0].child_sas) != 1 or len(pair.peer_children()) != 1:
        return False
    return state_of(pair) != before and len(pair.peer.sas()) == 1


@pytest.mark.conformance("CF-Q02")
def test_a_peer_that_knows_none_of_it_gets_what_it_knows(tunnel: Tunnel) -> None:
    """RFC 7296 §3.3.6: strongSwan 5.9.8 passes over the proposals of our default with ML-KEM."""
    pair = tunnel(Case(ikeway={"ike": None}))
    pair.connect()
    assert suite(pair) == IKE
    pair.carry()


@pytest.mark.conformance("CF-Q01", "CF-Q03")
def test_by_default_ml_kem_is_used_where_the_peer_has_it(tunnel: Tunnel) -> None:
    pair = tunnel(Case(ike=f"{IKE}-{KEM},{IKE}", ikeway={"ike": None}, strongswan={"v6": FLAG}))
    pair.connect()
    assert suite(pair) == f"{IKE}-{KEM}"
    pair.carry()


@pytest.mark.conformance("CF-W07")
@pytest.mark.parametrize("version", ["5.9", "6.1"])
@pytest.mark.parametrize("way", [REQUIRE, PREFER])
def test_a_ppk_is_mixed_in_with_strongswan(
    tunnel: Tunnel, tmp_path: Path, way: UsePpk, version: str
) -> None:
    """RFC 8784, the one that strongSwan has; where it is optional NO_PPK_AUTH goes along."""
    options = {"ppk": PEER, "ppk_required": "yes" if way is REQUIRE else "no"}
    if version == "6.1":
        options["v6"] = FLAG
    pair = tunnel(Case(auth="ecdsa", strongswan=options, **of_daemon(tmp_path, way)))
    pair.connect()
    assert "using PPK for PPK_ID 'blue'" in pair.peer.log()
    (sa,) = pair.ikeway.established()
    assert sa.post_quantum
    pair.carry()


@pytest.mark.conformance("CF-W07")
def test_without_a_ppk_nobody_gets_in_where_it_is_required(tunnel: Tunnel, tmp_path: Path) -> None:
    pair = tunnel(Case(auth="ecdsa", **of_daemon(tmp_path)))
    pair.fails()

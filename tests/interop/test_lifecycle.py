# SPDX-License-Identifier: Apache-2.0
"""How tunnels end, break and come back (RFC 7296 §1.4, §2.4)."""

import json
import time

import pytest

from support.link import OUTER
from support.pair import INITIATOR, RESPONDER, Case, Pair, Tunnel
from support.strongswan import wait_until
from support.traffic import PINGS, ping

pytestmark = [pytest.mark.interop, pytest.mark.system]

IMPATIENT = {"first": "100ms", "factor": 1.5, "longest": "300ms", "give_up": "1s"}


@pytest.mark.conformance("CF-A25")
def test_we_end_the_tunnel(tunnel: Tunnel) -> None:
    """RFC 7296 §1.4.1: a Delete for the IKE SA takes its Child SAs along."""
    pair = tunnel(Case(inside=(4, 6)))
    pair.connect()
    done = pair.ikeway.command("disconnect", "lab")
    assert done.returncode == 0, done.stderr
    wait_until(pair.is_down, 4.0, "both ends to be down")
    pair.nothing_is_left()


@pytest.mark.conformance("CF-A25")
def test_strongswan_ends_the_tunnel(tunnel: Tunnel) -> None:
    pair = tunnel(Case(inside=(4, 6)))
    pair.connect()
    pair.strongswan.terminate()
    wait_until(pair.is_down, 4.0, "both ends to be down")
    pair.nothing_is_left()


@pytest.mark.conformance("CF-A23")
def test_strongswan_ends_the_child_sa_only(tunnel: Tunnel) -> None:
    """RFC 7296 §1.4.1: the answer has the Delete for the other direction."""
    pair = tunnel(Case())
    pair.connect()
    pair.strongswan.terminate_child()
    wait_until(lambda: not pair.ikeway.children(), 4.0, "the Child SA to go")
    number = 0 if pair.is_initiator else 2
    pair.strongswan.wait_for_log(f"parsed INFORMATIONAL response {number} [ D ]")
    pair.no_child_is_left()


def test_the_daemon_says_goodbye_and_tidies_up(tunnel: Tunnel) -> None:
    pair = tunnel(Case(inside=(4, 6)))
    pair.connect()
    assert pair.ikeway.stop() == 0
    wait_until(lambda: not pair.strongswan.sas(), 2.0, "strongSwan to hear of it")
    host = pair.link.ours.namespace
    assert "ikeway0" not in host.ip("link")
    assert not pair.routes()
    rules = host.ip("rule").splitlines() + host.ip("-6", "rule").splitlines()
    assert all("main" in rule or "local" in rule or "default" in rule for rule in rules)


@pytest.mark.parametrize("role", [INITIATOR])
def test_the_daemon_starts_and_restarts_the_connection_by_itself(tunnel: Tunnel) -> None:
    """`start = "now"`: up with the daemon, and again after the peer went away."""
    pair = tunnel(Case(ikeway={"start": "now"}))
    wait_until(pair.is_up, 6.0, "the tunnel")
    pair.carry()
    pair.strongswan.terminate()
    wait_until(pair.is_up, 6.0, "the tunnel to come back")
    pair.carry()


@pytest.mark.conformance("CF-K15")
def test_a_peer_that_asks_whether_we_live_is_answered(tunnel: Tunnel) -> None:
    """RFC 7296 §2.4: an empty INFORMATIONAL request."""
    pair = tunnel(Case(strongswan={"dpd": "1"}))
    pair.connect()
    pair.ikeway.wait_for_log("received INFORMATIONAL request", 4.0)
    time.sleep(1.2)
    assert pair.is_up()
    pair.carry()


def test_we_ask_whether_the_peer_lives(tunnel: Tunnel) -> None:
    pair = tunnel(Case(ikeway={"liveness": "1s"}))
    pair.connect()
    pair.strongswan.wait_for_log("parsed INFORMATIONAL request", 4.0)
    pair.ikeway.wait_for_log("received INFORMATIONAL response", 2.0)
    assert pair.is_up()
    pair.carry()


def test_a_peer_that_crashed_is_noticed(tunnel: Tunnel) -> None:
    """RFC 7296 §2.4: no answer to repeated requests; everything of the SA goes."""
    pair = tunnel(Case(ikeway={"liveness": "1s", "retransmission": IMPATIENT}))
    pair.connect()
    pair.strongswan.kill()
    wait_until(lambda: not pair.ikeway.sas(), 6.0, "ikeway to notice")
    assert not pair.routes()


@pytest.mark.conformance("CF-C14")
@pytest.mark.parametrize("is_talking", [True, False], ids=["we send", "all is silent"])
@pytest.mark.parametrize("role", [INITIATOR])
def test_a_peer_that_is_cut_off_is_noticed_in_half_a_minute(
    tunnel: Tunnel, *, is_talking: bool
) -> None:
    """RFC 7296 §2.4, with every setting at its default: liveness is 30 s."""
    pair = tunnel(Case())
    pair.connect()
    pair.carry()
    pair.link.peer.namespace.ip("link", "set", OUTER, "down")
    died = time.monotonic()
    while pair.ikeway.sas():
        if is_talking:
            ours, peer = pair.link.ours, pair.link.peer
            ping(ours.namespace, ours.inner[4], peer.inner[4], 2, 0.2)
        time.sleep(0.2)
        assert time.monotonic() - died < 32.0
    print(f"noticed after {time.monotonic() - died:.1f} s")
    assert 10.0 < time.monotonic() - died < 31.0
    assert not pair.routes()


@pytest.mark.parametrize("role", [INITIATOR])
def test_the_connection_comes_back_after_the_peer_was_killed(tunnel: Tunnel) -> None:
    """`start = "now"`: the peer died without a word and came back without a memory."""
    pair = tunnel(Case(ikeway={"start": "now", "liveness": "5s"}))
    wait_until(pair.is_up, 6.0, "the tunnel")
    old = pair.ikeway.established()[0].id
    pair.strongswan.kill()
    pair.strongswan.up(**pair.options())
    wait_until(lambda: pair.is_up() and pair.ikeway.established()[0].id != old, 15.0, "its return")
    pair.carry()
    assert pair.routes().count("10.2.0.0/16") == 1


@pytest.mark.parametrize("role", [INITIATOR])
def test_status_says_when_it_is_tried_again_and_why(tunnel: Tunnel) -> None:
    """`start = "now"` goes on for ever; nobody has to guess what it waits for."""
    pair = tunnel(Case(ikeway={"start": "now", "peer": "10.99.0.1"}))
    wait_until(lambda: pair.ikeway.client.status().retries, 6.0, "a failure")
    retries = pair.ikeway.client.status().retries
    assert [retry.connection for retry in retries] == ["lab"]
    assert "10.99.0.1" in retries[0].reason
    wait_until(
        lambda: any(r.failures >= 2 for r in pair.ikeway.client.status().retries), 8.0, "another"
    )


@pytest.mark.parametrize("role", [RESPONDER])
def test_a_peer_that_restarted_takes_its_place_again(tunnel: Tunnel) -> None:
    """RFC 7296 §2.4: INITIAL_CONTACT says that the old IKE SA is dead."""
    pair = tunnel(Case())
    pair.connect()
    old = pair.ikeway.established()[0].id
    pair.strongswan.kill()
    pair.strongswan.up(**pair.options())
    pair.connect()
    assert pair.ikeway.established()[0].id != old
    pair.carry()


@pytest.mark.parametrize("role", [INITIATOR])
def test_the_daemon_comes_back_after_a_crash(tunnel: Tunnel) -> None:
    """What the crash left is cleaned up: engine, routes, and the peer's old IKE SA."""
    pair = tunnel(Case(inside=(4, 6), ikeway={"start": "now", "initial_contact": True}))
    wait_until(pair.is_up, 6.0, "the tunnel")
    pair.ikeway.kill()
    pair.ikeway.begin()
    pair.ikeway.ready()
    wait_until(pair.is_up, 8.0, "the tunnel to come back")
    pair.carry()
    assert pair.routes().count("10.2.0.0/16") == 1


@pytest.mark.conformance("CF-F02", "CF-F03", "CF-F05")
@pytest.mark.parametrize("what", ["child", "ike"])
def test_strongswan_rekeys(tunnel: Tunnel, what: str) -> None:
    """RFC 7296 §1.3.2, §1.3.3: new keys, the same traffic, and nothing is left of the old."""
    pair = tunnel(Case(inside=(4, 6)))
    pair.connect()
    before = _keys(pair, what)
    pair.strongswan.rekey(what)
    wait_until(lambda: _keys(pair, what) != before, 5.0, "the rekey")
    wait_until(lambda: len(pair.peer_children()) == 1, 8.0, "the end of the old child")
    pair.carry()


@pytest.mark.conformance("CF-F02", "CF-F05")
@pytest.mark.parametrize("what", ["child", "ike"])
def test_we_rekey_before_a_lifetime_ends(tunnel: Tunnel, what: str) -> None:
    """RFC 7296 §2.8: the same by us, as often as the lifetime asks for."""
    pair = tunnel(Case(inside=(4, 6), ikeway={"lifetimes": {what: "2s"}}))
    pair.connect()
    seen = {_keys(pair, what)}
    for _ in range(2):
        wait_until(lambda: _keys(pair, what) not in seen, 6.0, "the rekey")
        seen.add(_keys(pair, what))
    assert pair.ikeway.established()
    assert not pair.ikeway.said("no Child SA")


def _keys(pair: Pair, what: str) -> str:
    """Return what names the child, or the IKE SA, that is up now."""
    sas = pair.ikeway.established()
    if not sas or not sas[0].child_sas:
        return ""
    return sas[0].id if what == "ike" else ",".join(sorted(c.spi_in for c in sas[0].child_sas))


def test_status_tells_scripts_what_strongswan_sees(tunnel: Tunnel) -> None:
    pair = tunnel(Case())
    pair.connect()
    ours, peer = pair.link.ours, pair.link.peer
    assert ping(ours.namespace, ours.inner[4], peer.inner[4]) == PINGS
    printed = pair.ikeway.command("status", "--json")
    assert printed.returncode == 0, printed.stderr
    (sa,) = json.loads(printed.stdout)["ike_sas"]
    (child,) = sa["child_sas"]
    (theirs,) = pair.peer_children()
    assert sa["role"] == ("initiator" if pair.is_initiator else "responder")
    assert (int(child["spi_in"], 16), int(child["spi_out"], 16)) == (
        theirs.spi_out,
        theirs.spi_in,
    )
    assert (child["packets_in"], child["packets_out"]) == (theirs.packets_out, theirs.packets_in)
    assert (child["bytes_in"], child["bytes_out"]) == (theirs.octets_out, theirs.octets_in)

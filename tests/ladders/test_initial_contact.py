# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.4: INITIAL_CONTACT says that older IKE SAs are leftovers of a crash."""

from dataclasses import replace

import pytest

from ikeway.crypto.authority import issue
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.ike.questions import Sign
from ikeway.ike.states import Established
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.connection import PeerAddress
from ikeway.policy.credentials import Credentials, IdPattern, LocalCertificate, PreSharedKey
from support.hosts import CA, LEFT, RIGHT, Row, authority, host, which
from support.ladder import Ladder
from support.pki import private_key
from support.shell import TODAY, Host

FRESH = {"initial_contact": True}


def beside(row: Row, ladder: Ladder, name: str, **changes: object) -> Ladder:
    """Return a ladder from another host to the same right one."""
    credentials = ladder.left.endpoint.env.credentials
    other = host(name, (row.connection(LEFT, RIGHT, **changes),), credentials)
    return Ladder(other, ladder.right, ladder.addresses)


@pytest.mark.conformance("CF-C08")
def test_older_sas_of_the_same_identity_go(row: Row) -> None:
    """§2.4: "delete any other IKE SAs it has to the same authenticated identity without waiting".

    They are told, as what the peer says may be older than an SA that it has by now.
    """
    ladder = row.psk()
    ladder.connect()
    (old,) = ladder.right.endpoint.sas
    again = beside(row, ladder, "left again", **FRESH)
    again.connect()
    (new,) = [sa for sa in ladder.right.endpoint.sas if isinstance(sa.state, Established)]
    assert new.spi != old.spi
    assert len(ladder.right.installed) == 1
    assert not isinstance(old.state, Established)
    assert "INFORMATIONAL request 0 [D(IKE)]" in ladder.right.said


@pytest.mark.conformance("CF-C08")
def test_sas_of_other_identities_stay(row: Row) -> None:
    """§2.4: the notify is about the identity of its sender alone."""
    everybody = {"peer_id": IdPattern("*.example")}
    ladder = row.psk(right=everybody)
    ladder.connect()
    other = beside(row, ladder, "other", local_id=Identity.parse("other.example"), **FRESH)
    other.connect()
    assert len(ladder.right.established) == 2


@pytest.mark.conformance("CF-C09")
def test_nobody_removes_sas_without_a_proof(row: Row) -> None:
    """§2.4: the notify counts once its sender is authentic."""
    ladder = row.psk()
    ladder.connect()
    liar = beside(row, ladder, "liar", **FRESH)
    wrong = Credentials(secrets=(PreSharedKey(IdPattern("*"), Secret(b"a guess")),))
    liar.left.endpoint.env = replace(liar.left.endpoint.env, credentials=wrong)
    liar.connect()
    assert len(ladder.right.established) == 1
    assert ladder.right.installed
    ladder.check_liveness(ladder.left)
    ladder.settle()
    assert ladder.right.said[-1] == "INFORMATIONAL response 2 []"


@pytest.mark.conformance("CF-C10")
@pytest.mark.parametrize("wanted", [True, False])
def test_it_is_sent_only_where_the_operator_says_so(row: Row, wanted: bool) -> None:
    """§2.4: credentials that several devices have must not send it."""
    ladder = row.psk(left={"initial_contact": wanted})
    ladder.connect()
    assert ("N(INITIAL_CONTACT)" in ladder.left.said[1]) == wanted


@pytest.mark.conformance("CF-C08")
def test_without_it_older_sas_stay(row: Row) -> None:
    """§2.4: two SAs between the same identities are allowed."""
    ladder = row.psk()
    ladder.connect()
    beside(row, ladder, "left again").connect()
    assert len(ladder.right.established) == len(ladder.right.installed) == 2


@pytest.mark.conformance("CF-C10")
@pytest.mark.parametrize("peer_id", [RIGHT, RIGHT.upper(), "*.example", "*"])
def test_it_is_not_said_beside_another_ike_sa(row: Row, peer_id: str) -> None:
    """§2.4: it "asserts that this IKE SA is the only IKE SA currently active between the
    authenticated identities", whatever name our connection knows the peer by."""
    ladder = row.psk(FRESH)
    ladder.connect()
    again = replace(ladder.left.endpoint.env.connections[0], peer_id=IdPattern(peer_id))
    ladder.left.events.clear()
    ladder.connect(again)
    (asked,) = [what for what in ladder.left.said if what.startswith("IKE_AUTH")]
    assert "INITIAL_CONTACT" not in asked
    assert len(ladder.left.established) == len(ladder.right.established) == 2


@pytest.mark.conformance("CF-C10")
def test_once_no_other_is_up_it_is_said_again(row: Row) -> None:
    """§2.4: "It MAY be sent when an IKE SA is established after a crash"."""
    ladder = row.psk(FRESH)
    ladder.connect()
    ladder.disconnect(ladder.left)
    ladder.wait(30)
    ladder.left.events.clear()
    ladder.connect()
    assert "N(INITIAL_CONTACT)" in ladder.left.said[1]


@pytest.mark.conformance("CF-C10")
@pytest.mark.parametrize("proof", ["psk", "certificates"])
def test_it_is_not_said_where_the_peer_was_faster(row: Row, proof: str) -> None:
    """§2.4: what was true when we began may not be so when IKE_AUTH leaves."""
    there = {"peer": PeerAddress.parse(str(row.addresses[1]))}
    ladder: Ladder = getattr(row, proof)(FRESH | there)
    if proof == "certificates":
        serve_too(ladder.left)
    if row.behind_nat:
        pytest.skip("nobody can start a connection to who is behind a NAT")
    ladder.left.holds = (Sign,)
    ladder.initiate()
    host, ours = ladder.wire.popleft()
    if proof == "certificates":
        ladder.deliver(host, ours)
        ladder.settle()  # all is there but the signature
    held, ladder.left.held, ladder.left.holds = ladder.left.held, [], ()
    swapped = Ladder(ladder.right, ladder.left, ladder.addresses[::-1])
    swapped.connect()
    assert ladder.left.established
    ladder.left.events.clear()
    if held:
        ladder.left.held = held
        ladder.answer(ladder.left)
    else:
        ladder.deliver(host, ours)
    ladder.settle()
    (asked,) = [what for what in ladder.left.said if what.startswith("IKE_AUTH request")]
    assert "INITIAL_CONTACT" not in asked
    assert len(ladder.left.established) == 2


def serve_too(one: Host) -> None:
    """Give the left host a certificate that is good for whom others connect to."""
    public = private_key(KeyAlgorithm.ECDSA_256, which(LEFT)).public
    names = (Identity.parse(LEFT),)
    made = issue(authority(CA), public, names, "server", TODAY, 30)
    own = replace(one.endpoint.env.credentials, certificates=(LocalCertificate((made,), LEFT),))
    one.endpoint.env = replace(one.endpoint.env, credentials=own)

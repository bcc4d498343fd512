# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.4: INITIAL_CONTACT says that older IKE SAs are leftovers of a crash."""

from dataclasses import replace

import pytest

from ikeway.ike.states import Established
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.credentials import Credentials, IdPattern, PreSharedKey
from support.hosts import LEFT, RIGHT, Row, host
from support.ladder import Ladder

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

# SPDX-License-Identifier: Apache-2.0
"""Who is up with whom: the index is right, and INITIAL_CONTACT looks at those concerned only."""

from dataclasses import replace

import pytest

from ikeway.ike.endpoint import Endpoint
from ikeway.ike.sa import IkeSa
from ikeway.ike.states import Established
from ikeway.model.identity import Identity
from ikeway.policy.credentials import IdPattern
from support.crossing import rekey_ike
from support.hosts import GCM, LEFT, RIGHT, host
from support.ladder import Ladder

GUESTS = 30


def scanned(endpoint: Endpoint) -> dict[bytes, tuple[Identity, Identity]]:
    """Return who is up with whom, by looking at all IKE SAs."""
    return {
        sa.spi: (sa.state.local_id, sa.state.peer_id)
        for sa in endpoint.sas
        if isinstance(sa.state, Established)
    }


def full_house() -> Ladder:
    """Return a ladder whose right host has many peers."""
    ladder = GCM.psk(right={"peer_id": IdPattern("*")})
    for number in range(GUESTS):
        guest(ladder, f"guest{number}.example").connect()
    return ladder


def guest(ladder: Ladder, name: str, device: str = "", **changes: object) -> Ladder:
    """Return a ladder from a device of somebody to the same right host."""
    credentials = ladder.left.endpoint.env.credentials
    identity = Identity.parse(name)
    connection = GCM.connection(LEFT, RIGHT, local_id=identity, **changes)
    return Ladder(host(device or name, (connection,), credentials), ladder.right, ladder.addresses)


def test_it_follows_ike_sas_from_beginning_to_end() -> None:
    ladder = full_house()
    index = ladder.right.endpoint.peers
    assert index._key == scanned(ladder.right.endpoint)
    ladder.connect()
    one = Ladder(ladder.left, ladder.right, ladder.addresses)
    rekey_ike(one, one.left)
    one.settle()
    assert index._key == scanned(ladder.right.endpoint)
    one.disconnect(one.left)
    one.settle()
    assert index._key == scanned(ladder.right.endpoint)
    assert len(index._key) == GUESTS
    assert not one.left.endpoint.peers._spis


def test_initial_contact_looks_at_the_same_identity_only(monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = full_house()
    guest(ladder, "guest7.example", "a second one").connect()
    again = guest(ladder, "GUEST7.example", initial_contact=True)
    looked: set[bytes] = set()
    handle = IkeSa.handle

    def look(sa: IkeSa, *arguments: object) -> object:
        looked.add(sa.spi)
        return handle(sa, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(IkeSa, "handle", look)
    again.connect()
    here = looked & {sa.spi for sa in ladder.right.endpoint.sas}
    assert len(here) == 3, "the new one and the two that it replaces"
    assert len(scanned(ladder.right.endpoint)) == GUESTS


def test_names_are_alike_in_capitals_and_other_identities_are_not() -> None:
    ladder = full_house()
    (first, *_) = ladder.right.established
    index = ladder.right.endpoint.peers
    spis = {
        str(identity): index.between(first.local_id, identity)
        for identity in map(
            Identity.parse, ("guest0.example", "GUEST0.EXAMPLE", "guest0@example", "example")
        )
    }
    assert spis["guest0.example"] == spis["GUEST0.EXAMPLE"] == (ladder.right.endpoint.sas[0].spi,)
    assert spis["guest0@example"] == spis["example"] == ()


@pytest.mark.parametrize(
    ("pattern", "is_contradicted"),
    [
        ("guest3.example", True),
        ("GUEST3.example", True),
        ("*.example", True),
        ("*", True),
        ("guest3@example", False),
        ("*.other", False),
        ("C=DE, CN=guest3.example", False),
    ],
)
def test_a_connection_is_contradicted_by_whomever_it_is_for(
    pattern: str, is_contradicted: bool
) -> None:
    ladder = full_house()
    wanted = replace(
        ladder.right.endpoint.env.connections[0], peer_id=IdPattern(pattern), initial_contact=True
    )
    index = ladder.right.endpoint.peers
    assert index.contradict(wanted) is is_contradicted
    assert not index.contradict(replace(wanted, initial_contact=False))
    assert not index.contradict(replace(wanted, local_id=Identity.parse("somebody else")))

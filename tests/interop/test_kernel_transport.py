# SPDX-License-Identifier: Apache-2.0
"""Transport mode between our engine and a kernel's ESP (RFC 7296 §1.3.1, §2.23.1; RFC 4303).

Not with OpenIKED: on Linux its policy for two hosts holds its own IKE packets, too.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.guest import Guest, GuestPair
from support.inguest import Meeting
from support.libreswan import Libreswan
from support.pair import Case, Pair
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]

OURS = {"mode": "transport", "local_ts": ["dynamic"], "peer_ts": ["dynamic"]}
PEERS = {"mode": "transport", "local_ts": "", "remote_ts": ""}
PATIENCE = 10.0


def carries(pair: Pair) -> None:
    """Ping both ways and fetch a file, between the outer addresses themselves."""
    (child,) = pair.ikeway.children()
    assert child.mode == "transport"
    pair.carry(pair.link.ours.outer, pair.link.peer.outer)
    assert pair.witness.seen["bare esp"] == 0


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What ends with the test."""
    with ExitStack() as entered:
        yield entered


@pytest.mark.conformance("CF-J24")
def test_strongswan(
    guest: Guest, tmp_path_factory: pytest.TempPathFactory, role: str, stack: ExitStack
) -> None:
    pair = GuestPair(guest, tmp_path_factory.mktemp("t"), role, Case(ikeway=OURS, strongswan=PEERS))
    stack.callback(pair.down)
    pair.up()
    pair.connect()
    carries(pair)
    before = {child.spi_in for child in pair.ikeway.children()}
    pair.strongswan.rekey("child")
    wait_until(lambda: {c.spi_in for c in pair.ikeway.children()}.isdisjoint(before), PATIENCE)
    wait_until(pair.is_up, PATIENCE, "the end of the old child")
    carries(pair)


@pytest.mark.conformance("CF-J24")
def test_libreswan(meet: Meeting) -> None:
    pair = meet(Libreswan, ikeway=OURS, peer=PEERS)
    pair.connect()
    carries(pair)

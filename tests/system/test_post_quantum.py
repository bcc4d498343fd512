# SPDX-License-Identifier: Apache-2.0
"""Two ikeways with key exchanges that do not fit into one datagram, on a cable that loses some."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.link import cable
from support.storm import Weather
from support.strongswan import wait_until
from support.two import Table, Two

pytestmark = pytest.mark.system

SUITE = "aes256gcm16-prfsha384-x25519-ke1_mlkem1024"
HYBRID: Table = {"ike": [SUITE], "esp": [f"aes256gcm16-x25519-{SUITE.rpartition('-')[2]}"]}
LOSS_PERCENT = 10
TIMES = 5


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with ExitStack() as stack:
        made = Two(tmp_path, stack.enter_context(cable()), HYBRID, HYBRID)
        stack.callback(made.down)
        yield made


@pytest.mark.conformance("CF-P02", "CF-L01")
def test_an_exchange_of_1600_octets_gets_through_in_fragments(two: Two) -> None:
    """RFC 9242 §3.3.1, RFC 7383: IP fragments nothing, and a lost fragment is sent again."""
    weather = Weather(two.link, LOSS_PERCENT)
    weather.begin()
    for _ in range(TIMES):
        two.ours.initiate()
        wait_until(lambda: bool(two.children()), 60, "the Child SA")
        (sa,) = two.ours.established()
        assert sa.suite == SUITE
        assert sa.post_quantum
        two.ours.disconnect()
        wait_until(lambda: not two.ours.sas() and not two.peer.sas(), 60, "the end")
    assert weather.count("lost_ike")
    weather.calm()
    two.ours.initiate()
    wait_until(lambda: bool(two.children()), 10, "the Child SA")
    two.carries()
    seen = two.witness.look()
    assert seen["fragment"] == 0
    assert not two.witness.leaks
    fragmented = [line for line in two.ours.log().splitlines() if "sent IKE_INTERMEDIATE" in line]
    assert len(fragmented) == TIMES + 1

# SPDX-License-Identifier: Apache-2.0
"""Two ikeways of which one is killed and started again: how soon traffic is back (RFC 6290)."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.link import cable
from support.steady import Pinger
from support.strongswan import wait_until
from support.two import Two

pytestmark = pytest.mark.system

SECONDS = 8.0
BACK_IN = 3.0
"""After the daemon is there again; its engine goes on without it until then."""


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    """Two daemons, of which ours keeps the connection up; all other settings are the defaults."""
    with ExitStack() as stack:
        link = stack.enter_context(cable())
        made = Two(tmp_path, link, {"start": "now"}, {})
        stack.callback(made.down)
        wait_until(lambda: bool(made.children() and made.peer.children()), 10, "the tunnel")
        yield made


@pytest.mark.parametrize("who", ["gateway", "client"])
def test_traffic_is_back_soon_after_a_crash(
    two: Two, who: str, record_property: Callable[[str, object], None]
) -> None:
    """RFC 6290, RFC 7296 §1.5: who restarted says whose packets it does not know, and proves it."""
    daemon = two.peer if who == "gateway" else two.ours
    ours, peer = two.link.ours, two.link.peer
    old = two.ours.established()[0].id
    pinger = Pinger(ours.namespace, ours.inner[4], peer.inner[4], SECONDS)
    time.sleep(1)
    daemon.kill()
    died = time.monotonic()
    daemon.begin()
    daemon.ready()
    ready = time.monotonic() - died
    gap = pinger.gap()
    said = f"the {who} was ready after {ready:.2f} s, traffic back after {gap:.2f} s"
    record_property("figures", said)
    print(said)
    assert gap < BACK_IN, said
    (sa,) = two.ours.established()
    assert sa.id != old
    two.carries()

# SPDX-License-Identifier: Apache-2.0
"""Lifetimes of two seconds at both ends of a bad link, with traffic that must not notice."""

import math
import os
import time
from typing import Any, Final

import pytest

from support.pair import Case, Tunnel
from support.steady import Pinger, Stillness, Stream
from support.storm import RTO_LEAST, Weather
from support.strongswan import wait_until
from support.traffic import PINGS, ping

pytestmark = [pytest.mark.interop, pytest.mark.system]

SECONDS: Final = float(os.environ.get("STORM_SECONDS", "60"))
"""How long it blows; the rest of a test takes some seconds more."""
PERCENT: Final = 5
TRIES_MOST: Final = 5
"""How many of TCP's tries in a row may be lost by the link alone.

One waits twice as long as the one before, from 24 ms on, so that an outage of 1.5 s takes six. For
how long TCP is silent says less: what it waits for first depends on the round trips, which a busy
machine makes long. Of 100 tries the link loses 10, on their way or the acknowledgement's. Of 80
streams over such a cable, 120 s each and without a tunnel, five or so came to three in a row: two
such streams of 60 s come to six in some 10,000 tests. A shorter outage loses pings, each of which
is counted.
"""
STILL_MOST: Final = 2.0
"""A machine that stands still for longer than Child SAs live says nothing about rekeying."""

STAYS: Final = {"mobike": False}
"""An answer that is lost twice may move the tunnel to IPv6, where nobody counts lost pings."""
OURS: Final = {
    "lifetimes": {"child": "2s", "ike": "5s", "jitter": 0.0},
    "retransmission": {"first": "200ms", "factor": 1.5, "longest": "1s", "give_up": "30s"},
}
THEIRS: Final[dict[str, Any]] = {
    "connections": {
        "lab": {
            "rekey_time": "5s",
            "over_time": "60s",
            "rand_time": "0s",
            "children": {"net": {"rekey_time": "2s", "life_time": "60s", "rand_time": "0s"}},
        }
    }
}
PATIENT: Final = {"retransmit_timeout": "0.3", "retransmit_tries": "20", "mobike": "no"}
"""strongSwan heeds `mobike` where it begins, and says yes to a peer that begins all the same."""


@pytest.mark.conformance("CF-F02", "CF-F05", "CF-F08", "CF-F11", "CF-F15")
@pytest.mark.parametrize("who", ["ikeway", "strongswan", "both"])
def test_traffic_does_not_notice_rekeys_under_loss(tunnel: Tunnel, who: str) -> None:
    """RFC 7296 §2.8: rekeys by either side, and by both at the same moment."""
    ours_of = OURS if who != "strongswan" else {"retransmission": OURS["retransmission"]}
    case = Case(
        ikeway=STAYS | ours_of,
        swanctl=THEIRS if who != "ikeway" else {},
        strongswan=PATIENT,
    )
    pair = tunnel(case)
    pair.connect()
    ours, peer = pair.link.ours, pair.link.peer
    here, there = (ours.namespace, ours.inner[4]), (peer.namespace, peer.inner[4])
    weather = Weather(pair.link, PERCENT)
    seen: set[str] = set()
    with Stream(here, there) as up, Stream(there, here) as down, Stillness() as still:
        # A lost SYN is waited for a second and more: the streams begin in fair weather.
        weather.begin()
        pinger = Pinger(*here, there[1], SECONDS)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            seen |= {child.spi_in for child in pair.ikeway.children()}
            time.sleep(0.5)
        sent, lost = pinger.lost()
    weather.calm()
    figures = {
        "pings": sent,
        "lost": lost,
        "lost by the link": weather.count("lost_pings"),
        "IKE lost by the link": weather.count("lost_ike"),
        "ESP lost by the link": weather.count("lost_esp"),
        "children": len(seen),
        "stalls": (round(up.longest, 2), round(down.longest, 2)),
        "tries": (up.tries, down.tries),
        "stood still": round(still.longest, 2),
        "received": (up.received, down.received),
    }
    print(figures)
    if still.longest > STILL_MOST:
        pytest.skip(f"this machine stood still for {still.longest:.1f} s")
    assert weather.count("pings") > 1.8 * sent
    assert weather.count("lost_ike") > 0
    assert lost <= weather.count("lost_pings"), figures
    # The kernel goes on trying where nothing else of this machine runs.
    tries_while_still = math.ceil(math.log2(1.0 + still.longest / RTO_LEAST))
    assert max(up.tries, down.tries) <= TRIES_MOST + tries_while_still, figures
    assert len(seen) > SECONDS / 4, figures
    wait_until(pair.is_up, 20.0, "one IKE SA with one Child SA at both ends")
    assert ping(*here, there[1]) == ping(*there, here[1]) == PINGS

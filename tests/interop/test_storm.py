# SPDX-License-Identifier: Apache-2.0
"""Lifetimes of two seconds at both ends of a bad link, with traffic that must not notice."""

import os
import time
from typing import Any, Final

import pytest

from support.pair import Case, Tunnel
from support.steady import Pinger, Stillness, Stream
from support.storm import Weather
from support.strongswan import wait_until
from support.traffic import PINGS, ping

pytestmark = [pytest.mark.interop, pytest.mark.system]

SECONDS: Final = float(os.environ.get("STORM_SECONDS", "60"))
"""How long it blows; the rest of a test takes some seconds more."""
PERCENT: Final = 5
STALL_MOST: Final = 1.0
"""For how long TCP may be silent of itself.

It tries again after 24 ms, then 48, and so on: five tries in a row that are lost make 0.74 s, six
1.5 s. Of 100 tries 10 are lost, on their way or the acknowledgement's. 80 streams over such a cable
without a tunnel were silent for 0.35 s at most in 120 s, and no more than three tries in a row were
lost: a fifth and a sixth happen once in thousands of tests of two streams and 60 s.
"""
STILL_FACTOR: Final = 4
"""Where the machine stands still for a while, TCP is silent for twice as long (its next try may
come just before the end), and the round trips that it saw make it wait three times as long for what
is lost afterwards."""
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
        "stood still": round(still.longest, 2),
        "received": (up.received, down.received),
    }
    print(figures)
    if still.longest > STILL_MOST:
        pytest.skip(f"this machine stood still for {still.longest:.1f} s")
    assert weather.count("pings") > 1.8 * sent
    assert weather.count("lost_ike") > 0
    assert lost <= weather.count("lost_pings"), figures
    silent = max(up.longest, down.longest)
    assert silent < STALL_MOST + STILL_FACTOR * still.longest, figures
    assert len(seen) > SECONDS / 4, figures
    wait_until(pair.is_up, 20.0, "one IKE SA with one Child SA at both ends")
    assert ping(*here, there[1]) == ping(*there, here[1]) == PINGS

# SPDX-License-Identifier: Apache-2.0
"""Lifetimes of two seconds at both ends of a bad link, with traffic that must not notice."""

import os
import time
from typing import Any, Final

import pytest

from support.pair import Case, Tunnel
from support.steady import Pinger, Stream
from support.storm import Weather
from support.strongswan import wait_until
from support.traffic import PINGS, ping

pytestmark = [pytest.mark.interop, pytest.mark.system]

SECONDS: Final = float(os.environ.get("STORM_SECONDS", "60"))
"""How long it blows; the rest of a test takes some seconds more."""
PERCENT: Final = 5
STALL_MOST: Final = 1.0

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
"""With MOBIKE a lost answer may move the tunnel to IPv6, where other packets count as pings."""


@pytest.mark.conformance("CF-F02", "CF-F05", "CF-F08", "CF-F11", "CF-F15")
@pytest.mark.parametrize("who", ["ikeway", "strongswan", "both"])
def test_traffic_does_not_notice_rekeys_under_loss(tunnel: Tunnel, who: str) -> None:
    """RFC 7296 §2.8: rekeys by either side, and by both at the same moment."""
    case = Case(
        ikeway=OURS if who != "strongswan" else {"retransmission": OURS["retransmission"]},
        swanctl=THEIRS if who != "ikeway" else {},
        strongswan=PATIENT,
    )
    pair = tunnel(case)
    pair.connect()
    ours, peer = pair.link.ours, pair.link.peer
    here, there = (ours.namespace, ours.inner[4]), (peer.namespace, peer.inner[4])
    weather = Weather(pair.link, PERCENT)
    seen: set[str] = set()
    with Stream(here, there) as up, Stream(there, here) as down:
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
        "received": (up.received, down.received),
    }
    print(figures)
    assert weather.count("pings") > 1.8 * sent
    assert weather.count("lost_ike") > 0
    assert lost <= weather.count("lost_pings"), figures
    assert max(up.longest, down.longest) < STALL_MOST, figures
    assert len(seen) > SECONDS / 4, figures
    wait_until(pair.is_up, 20.0, "one IKE SA with one Child SA at both ends")
    assert ping(*here, there[1]) == ping(*there, here[1]) == PINGS

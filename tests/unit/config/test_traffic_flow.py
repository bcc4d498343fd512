# SPDX-License-Identifier: Apache-2.0
"""`traffic_flow` of connections and children: what it may be, and what it means."""

from pathlib import Path

import pytest

from ikeway.config.show import show
from ikeway.model.traffic_flow import OPEN, PAD_TO_MTU, Breaker, Dummies, Stream, TrafficFlow
from support.configured import PSK, errors, loaded

BREAKER = Breaker(0.2, 30.0)
"""RFC 9347 §2.4.1: "The use of circuit breakers is also RECOMMENDED": unless told otherwise."""


@pytest.mark.parametrize(
    ("table", "meant"),
    [
        ("{}", OPEN),
        ('{ padding = "mtu" }', TrafficFlow(PAD_TO_MTU)),
        ("{ padding = 600, dummies = 2 }", TrafficFlow(600, Dummies(2.0))),
        (
            '{ padding = 1, dummies = 0.5, dummy_times = "regular" }',
            TrafficFlow(1, Dummies(0.5, is_random=False)),
        ),
        ('{ iptfs = "prefer" }', TrafficFlow(stream=Stream(breaker=BREAKER))),
        (
            '{ iptfs = "require", packet_size = 1250, bandwidth = "10Mbit", reorder = 0 }',
            TrafficFlow(stream=Stream(1250, 1000.0, reorder=0, is_required=True, breaker=BREAKER)),
        ),
        (
            '{ iptfs = "require", congestion = true, packet_rate = 500 }',
            TrafficFlow(stream=Stream(1400, 500.0, is_required=True, is_controlled=True)),
        ),
        (
            '{ padding = "mtu", iptfs = "prefer", packet_rate = 20, fragments = false }',
            TrafficFlow(
                PAD_TO_MTU, stream=Stream(1400, 20.0, takes_fragments=False, breaker=BREAKER)
            ),
        ),
        (
            '{ iptfs = "prefer", breaker_loss = 0.05, breaker_time = "1m30s" }',
            TrafficFlow(stream=Stream(breaker=Breaker(0.05, 90.0))),
        ),
        ('{ iptfs = "prefer", breaker = false }', TrafficFlow(stream=Stream())),
    ],
)
def test_what_is_written_is_what_is_done_and_shown(
    tmp_path: Path, table: str, meant: TrafficFlow
) -> None:
    found = loaded(tmp_path, f"{PSK}\ntraffic_flow = {table}")
    (connection,) = found.connections
    assert connection.traffic_flow == meant
    (again,) = loaded(tmp_path, PSK + "\n" + shown(show(found))).connections
    assert again.traffic_flow == meant


def shown(text: str) -> str:
    return next((line for line in text.splitlines() if line.startswith("traffic_flow")), "")


def test_a_child_hides_as_its_connection_unless_it_says_otherwise(tmp_path: Path) -> None:
    text = f"""{PSK}
traffic_flow = {{ padding = "mtu" }}
[connections.b.children.lan]
[connections.b.children.phones]
traffic_flow = {{ padding = 300 }}
"""
    (connection,) = loaded(tmp_path, text).connections
    flows = [child.traffic_flow for child in connection.child_policies]
    assert flows == [TrafficFlow(PAD_TO_MTU), TrafficFlow(300)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("traffic_flow = { padding = 65536 }", "padding"),
        ('traffic_flow = { padding = "yes" }', "padding"),
        ("traffic_flow = { dummies = 3 }", "dummies need padding"),
        ('traffic_flow = { iptfs = "prefer", bandwidth = "1" }', "is no bandwidth"),
        ('traffic_flow = { iptfs = "prefer", packet_size = 200 }', "packet_size"),
        ('traffic_flow = { iptfs = "yes" }', "iptfs"),
        ('traffic_flow = { iptfs = "prefer", breaker_loss = 0 }', "breaker_loss"),
        ('traffic_flow = { iptfs = "prefer", breaker_time = "4s" }', "5s"),
        ('mode = "transport"\ntraffic_flow = { padding = 9 }', "transport mode has no padding"),
        ("[connections.b.children.a]\ntraffic_flow = { dummies = 3 }", "dummies need padding"),
    ],
)
def test_what_cannot_work_is_an_error(tmp_path: Path, settings: str, words: str) -> None:
    assert words in " ".join(map(str, errors(tmp_path, f"{PSK}\n{settings}")))

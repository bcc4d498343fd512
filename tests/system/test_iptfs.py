# SPDX-License-Identifier: Apache-2.0
"""Two ikeways that agree on IP-TFS, from their configuration to the wire (RFC 9347)."""

import time
from pathlib import Path

import pytest

from support.link import OUTER, cable
from support.strongswan import wait_until
from support.two import Table, Two

pytestmark = pytest.mark.system

RATE = 300
STREAM: Table = {
    "encapsulation": "nat",
    "traffic_flow": {"iptfs": "require", "packet_size": 1000, "packet_rate": RATE},
}


@pytest.mark.parametrize("congestion", [False, True])
def test_daemons_agree_on_a_stream_and_carry_traffic_in_it(
    tmp_path: Path, congestion: bool
) -> None:
    """§5.1: by USE_AGGFRAG; without UDP as well, where no NAT is. Where losses count and there are
    none, the rate is what is configured, too."""
    flow = {**STREAM["traffic_flow"], "congestion": congestion}
    with cable() as link:
        two = Two(tmp_path, link, STREAM | {"traffic_flow": flow}, STREAM)
        try:
            two.ours.initiate()
            wait_until(lambda: bool(two.children() and two.peer.children()), 10, "the Child SA")
            two.carries()
            time.sleep(2 if congestion else 0)
            before = two.witness.look()["bare esp"]
            time.sleep(1)
            idle = two.witness.look()["bare esp"] - before
            # Both sides send, whether there is something to send or not.
            # A machine that is busy with others sends less, and owes no more than a while.
            assert 2 * RATE * 0.4 < idle < 2 * RATE * 1.3
            (child,) = two.ours.children()
            assert child.stream is not None
            least = 0.1 if congestion else 0.99
            assert RATE * least <= child.stream.per_second <= RATE * 1.01
            assert child.stream.loss_event_rate is not None
            assert child.stream.rtt is not None
            assert child.stream.breaker == (None if congestion else "closed")
            assert not two.witness.leaks
        finally:
            two.down()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_learnt_of_a_path_is_in_the_status(tmp_path: Path, workers: int) -> None:
    """RFC 4301 §8.2: here from the interface, which became narrow; the stream fits into it."""
    with cable() as link:
        host = {"host": {"identity": "peer.lab", "listen": ["0.0.0.0"], "workers": workers}}
        two = Two(tmp_path, link, STREAM, STREAM, more=({}, host))
        try:
            two.ours.initiate()
            wait_until(lambda: bool(two.children() and two.peer.children()), 10, "the Child SA")
            assert two.peer.children()[0].path_mtu is None
            for end, daemon in ((link.ours, two.ours), (link.peer, two.peer)):
                end.namespace.ip("link", "set", OUTER, "mtu", "900")
                daemon.wait_for_log("the stream's packets have 900 octets now")
                assert [child.path_mtu for child in daemon.children()] == [900]
            words = two.peer.command("status").stdout
            assert "carries packets of 900 octets" in words
            assert f"stream of {RATE} packets a second, round trip" in words
            assert "loss event rate" in words
            assert "breaker closed" in words
            two.carries()
        finally:
            two.down()

# SPDX-License-Identifier: Apache-2.0
"""Two ikeways that agree on AH: real traffic, a rekey, and a NAT where there is none (RFC 4302)."""

from pathlib import Path

import pytest

from support.link import cable, nat
from support.strongswan import wait_until
from support.two import Table, Two

pytestmark = pytest.mark.system

AH: Table = {"ah": ["sha256-esn"]}
OFTEN: Table = AH | {"lifetimes": {"child": "5s", "jitter": 0.0}}


def test_a_tunnel_of_ah_carries_traffic_and_is_rekeyed(tmp_path: Path) -> None:
    """RFC 7296 §1.3.3: nothing is lost, and the packets are of IP protocol 51."""
    with cable() as link:
        two = Two(tmp_path, link, OFTEN, AH)
        try:
            two.ours.initiate()
            wait_until(lambda: bool(two.children() and two.peer.children()), 10, "the Child SA")
            (child,) = two.ours.children()
            assert child.suite == "AH sha256-esn"
            two.carries()
            wait_until(
                lambda: child.spi_in not in {one.spi_in for one in two.ours.children()},
                20,
                "a rekey",
            )
            two.carries()
            seen = two.witness.look()
            assert seen["ah"] > 10
            assert seen["esp"] == seen["bare esp"] == 0
        finally:
            two.down()


def test_behind_a_nat_ah_is_refused_and_the_log_says_why(tmp_path: Path) -> None:
    """RFC 3715 §2.1: the NAT would change what AH protects."""
    with nat("ours") as link:
        two = Two(tmp_path, link, AH, AH)
        try:
            two.ours.initiate()
            wait_until(lambda: bool(two.peer.established()), 10, "the IKE SA")
            two.peer.wait_for_log("AH does not pass a NAT", 10)
            assert not two.ours.children()
            assert not two.peer.children()
        finally:
            two.down()

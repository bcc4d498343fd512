# SPDX-License-Identifier: Apache-2.0
"""Engines count what a pair carries: a soft limit is told, at a hard one it stops (RFC 4301)."""

from dataclasses import replace

import pytest

from ikeway.dataplane import PacketsRefused, PairSpent, PlaneEvent, Refusal
from ikeway.model.esp import Limits
from support.suites import SUITES
from support.tunnel import INNER, Host, Hosts, child_pair, eventually, install, ping

pytestmark = pytest.mark.system


@pytest.mark.parametrize(
    "limits",
    [Limits(soft_packets=5, hard_packets=9), Limits(soft_octets=5 * 84, hard_octets=9 * 84)],
    ids=["packets", "octets"],
)
@pytest.mark.parametrize("side", [0, 1])
def test_each_limit_is_told_once_and_nothing_passes_the_hard_one(
    hosts: Hosts, limits: Limits, side: int
) -> None:
    """The pair that sends is stopped as the one that receives is: both directions count."""
    children = child_pair(SUITES[2])
    children[side] = replace(children[side], limits=limits)
    install(hosts, children)
    spi = children[side].spi_in
    ping(*hosts)
    assert not told(hosts[side], spi)
    ping(*hosts)
    assert hosts[side].seen(is_spent(spi, is_over=False)) in told(hosts[side], spi)
    flood(hosts)
    hosts[side].seen(is_spent(spi, is_over=True))
    flood(hosts)
    assert told(hosts[side], spi) == [PairSpent(spi, is_over=False), PairSpent(spi, is_over=True)]
    used = hosts[side].call(lambda: hosts[side].plane.usage(spi))
    assert used.packets_in <= 9
    assert used.packets_out <= 9
    refused = hosts[side].seen(lambda event: is_refused(event, Refusal.SPENT))
    assert isinstance(refused, PacketsRefused)


def test_another_pair_takes_over_before_the_hard_limit(hosts: Hosts) -> None:
    """A rekey at the soft limit: the new pair carries on, and the old one is never over."""
    limits = Limits(soft_packets=5, hard_packets=50)
    old = [replace(child, limits=limits) for child in child_pair(SUITES[2])]
    install(hosts, old)
    for _ in range(2):
        ping(*hosts)
    hosts[0].seen(is_spent(old[0].spi_in, is_over=False))
    new = child_pair(SUITES[2], spi=0x2000)
    install(hosts, new)
    for _ in range(20):
        ping(*hosts)
    eventually(lambda: hosts[0].call(lambda: hosts[0].plane.usage(0x2000)).packets_in > 50 or None)
    assert told(hosts[0], old[0].spi_in) == [PairSpent(old[0].spi_in, is_over=False)]


def flood(hosts: Hosts) -> None:
    """Send more echo requests than the limits allow; they need not come back."""
    target = INNER[1][0]
    hosts[0].namespace.start("ping", "-q", "-c", "12", "-i", "0.01", "-w", "1", target).wait(5)


def told(host: Host, spi: int) -> list[PlaneEvent]:
    return [one for one in host.events if isinstance(one, PairSpent) and one.spi_in == spi]


def is_spent(spi: int, *, is_over: bool):  # type: ignore[no-untyped-def]
    return lambda event: event == PairSpent(spi, is_over=is_over)


def is_refused(event: PlaneEvent, refusal: Refusal) -> bool:
    return isinstance(event, PacketsRefused) and event.refusal is refusal

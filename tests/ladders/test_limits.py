# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.8, RFC 4301 §4.4.2.1: limits by what a Child SA has carried, as by its age."""

import pytest

from ikeway.ike.io import Spent
from ikeway.policy.lifetimes import Lifetimes
from support.agreement import agree
from support.hosts import GCM, Row
from support.ladder import Ladder
from support.shell import Host


def up(row: Row, **changes: object) -> Ladder:
    ladder = row.psk(dict(changes), dict(changes))
    ladder.connect()
    return ladder


def spend(ladder: Ladder, host: Host, *, is_over: bool) -> None:
    """Let a host's data plane tell that its only child has reached a limit."""
    spent = Spent(host.child.spi_in, is_over)
    ladder.perform(host, host.endpoint.of_child(spent, ladder.now))


@pytest.mark.parametrize("by", ["left", "right"])
def test_a_soft_limit_is_a_rekey(row: Row, by: str) -> None:
    """§2.8: "SAs ... should only be used for a limited amount of time and to protect a limited
    amount of data". The old child carries on until the new one is there."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    old = host.child
    spend(ladder, host, is_over=False)
    assert host.child == old
    ladder.settle()
    agree(ladder)
    assert host.child.spi_in != old.spi_in


@pytest.mark.conformance("CF-F01")
@pytest.mark.parametrize("by", ["left", "right"])
def test_a_hard_limit_without_a_successor_is_the_end(row: Row, by: str) -> None:
    """§2.8: "the endpoint ... MUST NOT" use it any more; the IKE SA without a use goes along, so
    that who keeps the connection up starts it anew."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    spend(ladder, host, is_over=True)
    assert not host.installed
    ladder.wait(60)
    assert not ladder.left.installed
    assert not ladder.right.installed
    assert not ladder.left.endpoint.sas
    (end,) = host.ends
    assert "could not be replaced" in end.reason


def test_a_hard_limit_while_the_successor_is_on_its_way_costs_nothing(row: Row) -> None:
    """§2.8: the old one is closed once there is a new one."""
    ladder = up(row)
    old = ladder.left.child
    spend(ladder, ladder.left, is_over=False)
    spend(ladder, ladder.left, is_over=True)
    ladder.wait(5)
    agree(ladder)
    assert ladder.left.child.spi_in != old.spi_in


def test_both_sides_reach_their_limits_at_once(row: Row) -> None:
    """§2.8.1: as any simultaneous rekey, it leaves one child."""
    ladder = up(row)
    for host in (ladder.left, ladder.right):
        spend(ladder, host, is_over=False)
    ladder.wait(60)
    agree(ladder)


def test_what_the_data_plane_says_late_changes_nothing() -> None:
    """A limit of a child that is replaced or gone, or of none, calls for nothing."""
    ladder = up(GCM)
    old = ladder.left.child
    spend(ladder, ladder.left, is_over=False)
    ladder.settle()
    child = ladder.left.child
    for spi in (old.spi_in, 4711):
        for is_over in (False, True):
            assert not ladder.left.endpoint.of_child(Spent(spi, is_over), ladder.now)
    ladder.wait(5)
    agree(ladder)
    assert ladder.left.child == child


def test_the_data_plane_is_told_the_limits() -> None:
    """The child of each exchange, of either role, is limited by its own side's configuration."""
    lifetimes = Lifetimes(child_octets=1 << 30, child_packets=5000, jitter=0.0)
    ladder = GCM.psk({"lifetimes": lifetimes})
    ladder.connect()
    spend(ladder, ladder.left, is_over=False)
    ladder.settle()
    spend(ladder, ladder.right, is_over=False)
    ladder.settle()
    agree(ladder)
    ours = {install.child.limits for install in ladder.left.installs}
    assert {(each.soft_octets, each.soft_packets) for each in ours} == {(1 << 30, 5000)}
    theirs = {install.child.limits.hard_octets for install in ladder.right.installs}
    assert theirs == {(80 << 30) + (256 << 20)}

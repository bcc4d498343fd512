# SPDX-License-Identifier: Apache-2.0
"""What both sides of a ladder must agree on once nothing is under way (design §8)."""

from ikeway.model.esp import Ipcomp
from support.ladder import Ladder


def agree(ladder: Ladder, children: int = 1) -> None:
    """Check that both sides know one IKE SA and the same children, and that nothing is pending."""
    left, right = ladder.left, ladder.right
    (one,), (two,) = left.established, right.established
    assert (one.session.link.spi_i, one.session.link.spi_r) == (
        two.session.link.spi_i,
        two.session.link.spi_r,
    )
    assert one.session.keyring.keys == two.session.keyring.keys
    assert len(left.installed) == len(right.installed) == children
    for child in left.installed.values():
        twin = right.installed[child.spi_out]
        assert twin.spi_out == child.spi_in
        assert (twin.keys_in, twin.keys_out) == (child.keys_out, child.keys_in)
        assert (twin.local_ts, twin.peer_ts) == (child.peer_ts, child.local_ts)
        assert child.later_fragments == twin.later_fragments or not child.tells_ports_apart
        assert _indices(twin.ipcomp) == _indices(child.ipcomp)[::-1]
    for host, state in ((left, one), (right, two)):
        assert {child.sa.spi_in for child in state.children} == set(host.installed)
        assert not state.queued
        assert not state.session.window.outstanding
        assert not state.answering
        assert state.rival is None
        assert not state.crossed
        assert state.series.is_empty


def _indices(ipcomp: Ipcomp | None) -> tuple[int, ...]:
    return () if ipcomp is None else (ipcomp.cpi_in, ipcomp.cpi_out)

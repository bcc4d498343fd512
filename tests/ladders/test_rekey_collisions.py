# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.8.1, §2.8.2, §2.25: rekeys and deletes that cross, also on a bad link."""

import random
from collections.abc import Callable

import pytest

from ikeway.ike import reports
from ikeway.ike.io import Datagram, Rekey
from ikeway.ike.states import Established
from ikeway.policy.lifetimes import Retransmission
from support.agreement import agree
from support.asking import add_children
from support.hosts import GCM, Row
from support.hybrid import hybrid_children
from support.ladder import Ladder
from support.shell import Host

Held = list[tuple[float, Host, Datagram]]
SEEDS = range(60)


def up(row: Row) -> Ladder:
    ladder = row.psk()
    ladder.connect()
    return ladder


def rekey(ladder: Ladder, host: Host, *, child: bool) -> None:
    (sa,) = (sa for sa in host.endpoint.sas if isinstance(sa.state, Established))
    spi = next(iter(host.installed)) if child else 0
    ladder.perform(host, host.endpoint.handle(sa.spi, Rekey(spi), ladder.now))


def refused(host: Host) -> list[str]:
    return [event.notify for event in host.seen(reports.RefusedRequest)]


@pytest.mark.conformance("CF-F08", "CF-F09", "CF-F19")
def test_both_sides_rekey_the_child_at_once(row: Row) -> None:
    """§2.8.1: the SA of the lowest nonce is closed, and one child is left."""
    ladder = up(row)
    rekey(ladder, ladder.left, child=True)
    rekey(ladder, ladder.right, child=True)
    ladder.wait(60)
    agree(ladder)


@pytest.mark.conformance("CF-F11")
def test_both_sides_rekey_the_ike_sa_at_once(row: Row) -> None:
    """§2.8.2: the SA of the lowest nonce is deleted; the survivor inherits all children once."""
    ladder = up(row)
    child = ladder.left.child
    rekey(ladder, ladder.left, child=False)
    rekey(ladder, ladder.right, child=False)
    ladder.wait(60)
    agree(ladder)
    assert ladder.left.child == child


@pytest.mark.conformance("CF-F23", "CF-F24", "CF-F15")
@pytest.mark.parametrize("by", ["left", "right"])
def test_a_child_and_the_ike_sa_are_rekeyed_at_once(row: Row, by: str) -> None:
    """§2.25.1, §2.25.2: TEMPORARY_FAILURE, no immediate retry, and then it works."""
    ladder = up(row)
    one: Host = getattr(ladder, by)
    rekey(ladder, one, child=True)
    rekey(ladder, ladder.other(one), child=False)
    ladder.settle()
    assert refused(ladder.left) == refused(ladder.right) == ["TEMPORARY_FAILURE"]
    ladder.wait(60)
    agree(ladder)


@pytest.mark.conformance("CF-F12", "CF-F18")
def test_who_is_deleting_the_old_one_does_not_rekey_it(row: Row) -> None:
    """§2.25: a rekey that arrives when ours is complete gets TEMPORARY_FAILURE."""
    for child in (True, False):
        ladder = up(row)
        late: list[Datagram] = []
        ladder.fate = _hold(ladder.right, late)
        rekey(ladder, ladder.right, child=child)
        ladder.fate = lambda _host, datagram: [datagram]
        rekey(ladder, ladder.left, child=child)
        before = len(ladder.wire)
        assert before
        ladder.settle()
        for datagram in late:
            ladder.deliver(ladder.left, datagram)
        ladder.wait(60)
        agree(ladder)


def _hold(host: Host, late: list[Datagram]) -> Callable[[Host, Datagram], list[Datagram]]:
    def fate(sender: Host, datagram: Datagram) -> list[Datagram]:
        if sender is host:
            late.append(datagram)
            return []
        return [datagram]

    return fate


@pytest.mark.conformance("CF-F27")
@pytest.mark.thorough
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_crosses_both_sides_agree_in_the_end(seed: int) -> None:
    """§2.25: rekeys of all kinds at random times over a link that loses, repeats and delays."""
    Storm(seed).run()


@pytest.mark.conformance("CF-F27", "CF-C02")
@pytest.mark.thorough
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_crosses_in_wide_windows_both_sides_agree_in_the_end(seed: int) -> None:
    """§2.3, §2.25: several requests at a time, which pass one another, about several children."""
    Storm(seed, window=4, children=3).run()


@pytest.mark.conformance("CF-F27", "CF-Q10", "CF-Q11", "CF-Q12", "CF-Q13")
@pytest.mark.thorough
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_crosses_a_series_both_sides_agree_in_the_end(seed: int) -> None:
    """RFC 9370 §2.2.4: with two more key exchanges each, in wide windows and in narrow ones."""
    Storm(seed, window=1 + seed % 2 * 3, children=1 + seed % 3, is_hybrid=True).run()


class Storm:
    """Random rekeys by both sides over a hostile link, until it heals."""

    def __init__(
        self, seed: int, window: int = 1, children: int = 1, *, is_hybrid: bool = False
    ) -> None:
        self.prng = random.Random(seed)
        self.children = children
        self.loss = self.prng.choice([0.0, 0.1, 0.3])
        patient = {"retransmission": Retransmission(give_up=600.0), "window": window}
        more = "ke2_ecp256-ke5_ecp384"
        self.ladder = (
            hybrid_children(GCM, more, **patient) if is_hybrid else GCM.psk(patient, patient)
        )
        self.ladder.connect()
        add_children(self.ladder, children - 1)
        self.held: Held = []
        self.ladder.fate = self._fate

    def run(self) -> None:
        for _ in range(self.prng.randrange(3, 30)):
            self._rekey()
            if self.prng.random() < 0.7:
                self._pass(self.prng.random() * self.prng.choice([0.1, 2.0, 10.0]))
        self.ladder.fate = lambda _host, datagram: [datagram]
        self._pass(20.0)
        self.ladder.wait(900)
        agree(self.ladder, self.children)
        assert len(self.ladder.left.endpoint.sas) == len(self.ladder.right.endpoint.sas) == 1

    def _rekey(self) -> None:
        host = self.prng.choice([self.ladder.left, self.ladder.right])
        known = [sa for sa in host.endpoint.sas if isinstance(sa.state, Established)]
        if not known:
            return
        sa = self.prng.choice(known)
        assert isinstance(sa.state, Established)
        spis = [child.sa.spi_in for child in sa.state.children]
        spi = self.prng.choice(spis) if spis and self.prng.random() < 0.6 else 0
        self.ladder.perform(host, host.endpoint.handle(sa.spi, Rekey(spi), self.ladder.now))
        self.ladder.settle()

    def _fate(self, host: Host, datagram: Datagram) -> list[Datagram]:
        """Lose, repeat, or hold back."""
        chance = self.prng.random()
        if chance < self.loss:
            return []
        if chance > 0.75:
            at = self.ladder.now + self.prng.random() * 8
            self.held.append((at, self.ladder.other(host), datagram))
            return []
        return [datagram, datagram] if chance > 0.65 else [datagram]

    def _pass(self, seconds: float) -> None:
        """Let time pass, and what is held back arrive when its time has come."""
        until = self.ladder.now + seconds
        while due := [one for one in self.held if one[0] <= until]:
            first = min(due, key=lambda one: one[0])
            self.held.remove(first)
            self.ladder.wait(max(0.0, first[0] - self.ladder.now))
            self.ladder.deliver(first[1], first[2])
            self.ladder.settle()
        self.ladder.wait(max(0.0, until - self.ladder.now))

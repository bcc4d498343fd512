# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.25: what the peer refuses for now is asked for again later, and not for ever."""

from collections.abc import Callable

import pytest

from ikeway.ike import refusals, reports
from ikeway.ike.io import Datagram
from ikeway.ike.tasks import CreateChild, RekeyChild, RekeyIke, Task
from ikeway.policy.lifetimes import Lifetimes, Retransmission
from ikeway.wire.message import Message
from ikeway.wire.registry import ExchangeType
from support.agreement import agree
from support.asking import one_more, want
from support.crossing import delete_child, forget_child, rekey_child, rekey_ike
from support.hosts import Row
from support.ladder import Ladder
from support.shell import Host

CREATE = ExchangeType.CREATE_CHILD_SA
Begin = Callable[[Ladder, Host], None]


def create_child(ladder: Ladder, host: Host) -> None:
    want(ladder, host, one_more(host))


BUSY: dict[str, tuple[Begin, Begin]] = {
    "a child is rekeyed": (rekey_child, rekey_ike),
    "a child is made": (create_child, rekey_ike),
    "the IKE SA is rekeyed": (rekey_ike, delete_child),
}
"""What is refused, and what the peer is busy with at that time."""


class Refusing:
    """The right host is busy with something that its peer never hears of, until it `is_heard`."""

    def __init__(self, row: Row, what: str, lifetimes: Lifetimes | None = None) -> None:
        patient = Retransmission(give_up=1e5, longest=30.0)
        quiet = {"lifetimes": lifetimes or Lifetimes(), "liveness": 1e5}
        self.ladder = row.psk(quiet, quiet | {"retransmission": patient})
        self.ladder.connect()
        self.asked: list[float] = []
        self.is_heard = False
        self.ladder.fate = self._fate
        self.begin, occupy = BUSY[what]
        occupy(self.ladder, self.ladder.right)
        self.begin(self.ladder, self.ladder.left)

    def _fate(self, host: Host, datagram: Datagram) -> list[Datagram]:
        head = Message.decode(datagram.octets).header
        if host is self.ladder.right:
            return [datagram] if head.is_response or self.is_heard else []
        if head.is_request and head.exchange is CREATE:
            self.asked.append(self.ladder.now)
        return [datagram]

    @property
    def pauses(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.asked, self.asked[1:], strict=False)]


@pytest.mark.conformance("CF-F15")
@pytest.mark.parametrize("what", BUSY)
def test_each_pause_is_longer_until_the_ike_sa_is_closed(row: Row, what: str) -> None:
    """§2.25: "MUST NOT immediately retry ... MAY retry the request one or more times over a period
    of several minutes"; then it "SHOULD ... close the IKE SA"."""
    refusing = Refusing(row, what)
    refusing.ladder.wait(1200)
    assert len(refusing.pauses) >= 6
    for number, pause in enumerate(refusing.pauses):
        longest = min(refusals.FIRST * 2**number, refusals.MOST)
        assert longest * (1 - refusals.CHANCE) <= pause <= longest, refusing.pauses
    lasted = refusing.asked[-1] - refusing.asked[0]
    assert refusals.PATIENCE <= lasted <= refusals.PATIENCE + refusals.MOST
    assert not refusing.ladder.left.established
    assert not refusing.ladder.left.installed
    assert "TEMPORARY_FAILURE for minutes" in refusing.ladder.left.ends[0].reason


@pytest.mark.conformance("CF-F15", "CF-F24")
@pytest.mark.parametrize("what", ["a child is rekeyed", "a child is made"])
def test_once_the_peer_is_done_it_is_asked_again(row: Row, what: str) -> None:
    """§2.25: "wait so that the sender may complete whatever operation caused the temporary
    condition": an IKE SA that was rekeyed is free, and what waited is asked for on it."""
    refusing = Refusing(row, what)
    ladder = refusing.ladder
    ladder.wait(30)
    refused = len(refusing.asked)
    assert 3 <= refused <= 6
    refusing.is_heard = True
    ladder.wait(31)
    assert ladder.left.seen(reports.Rekeyed)
    ladder.wait(40)
    agree(ladder, children=2 if what == "a child is made" else 1)
    assert len(refusing.asked) == refused + 1


def test_two_that_refuse_each_other_do_not_ask_at_the_same_moment_again(row: Row) -> None:
    """§2.25: both sides wait, and chance parts them."""
    ladder = row.psk()
    ladder.connect()
    rekey_child(ladder, ladder.left)
    rekey_ike(ladder, ladder.right)
    ladder.settle()
    (one,), (two,) = (host.established[0].postponed for host in (ladder.left, ladder.right))
    assert one.at != two.at
    ladder.wait(60)
    agree(ladder)


def test_a_child_that_is_soon_over_is_rekeyed_before_that(row: Row) -> None:
    """§2.8: a successor has to be there in time, however often it was refused."""
    refusing = Refusing(row, "a child is rekeyed", Lifetimes(child=2.0))
    ladder = refusing.ladder
    (child,) = ladder.left.established[0].children
    ladder.wait(child.expires_at - ladder.now - 0.1)
    assert len(refusing.asked) > 6
    assert all(pause >= refusals.LEAST for pause in refusing.pauses)
    assert max(refusing.pauses) < refusals.MOST / 2


@pytest.mark.parametrize("task", [RekeyChild, CreateChild, RekeyIke])
def test_what_waits_is_not_wanted_a_second_time(row: Row, task: type[Task]) -> None:
    """§2.25: "MUST NOT immediately retry", whoever wants it."""
    begin = {RekeyChild: rekey_child, CreateChild: create_child, RekeyIke: rekey_ike}[task]
    refusing = Refusing(row, next(what for what, (one, _) in BUSY.items() if one is begin))
    ladder = refusing.ladder
    ladder.settle()
    (waiting,) = ladder.left.established[0].postponed
    assert isinstance(waiting.task, task)
    refusing.begin(ladder, ladder.left)
    ladder.settle()
    assert len(refusing.asked) == 1
    assert ladder.left.established[0].postponed == (waiting,)


@pytest.mark.conformance("CF-F17", "CF-F15")
def test_what_takes_the_place_of_a_lost_child_is_asked_for_ever_later(row: Row) -> None:
    """§2.25: after CHILD_SA_NOT_FOUND "send a request to create a new Child SA from scratch"; where
    that is refused for now, wait as for anything else."""
    ladder = row.psk()
    ladder.connect()
    old = ladder.left.child
    forget_child(ladder, ladder.right)
    ladder.right.refuse_install = "no room"
    rekey_child(ladder, ladder.left)
    ladder.wait(20)
    assert ladder.left.installed == {}
    refused = ladder.right.refusals + ladder.right.said
    assert refused[0] == "CHILD_SA_NOT_FOUND"
    asked = len(ladder.right.installs)
    assert 4 <= asked <= 6
    ladder.right.refuse_install = None
    ladder.wait(40)
    agree(ladder)
    assert ladder.left.child.local_ts == old.local_ts
    assert not any("D(ESP)" in what for what in ladder.left.said)

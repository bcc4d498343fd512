# SPDX-License-Identifier: Apache-2.0
"""Questions to the shell: answers that are late, lost, refused, repeated or for somebody else."""

import pytest

from ikeway.ike import reports
from ikeway.ike.io import InstallChild
from ikeway.ike.questions import (
    Installed,
    Lease,
    Measured,
    Refused,
    Sign,
    Signed,
    Ticket,
    Trusted,
    VerifyCertificate,
)
from ikeway.ike.states import (
    CheckingInitiator,
    InstallingFirst,
    LeasingAddress,
    SigningResponse,
)
from ikeway.model.esp import Usage
from ikeway.wire.payloads import Delete
from ikeway.wire.registry import ProtocolId
from support.forge import request
from support.hosts import CA, CLIENT, GATEWAY, POOL, Row, authority
from support.ladder import Ladder
from support.shell import Host

QUESTIONS = {
    "right": [VerifyCertificate, Lease, Sign, InstallChild],
    "left": [Sign, VerifyCertificate],
}
CASES = [(side, kind) for side, kinds in QUESTIONS.items() for kind in kinds]
WAITING = {
    VerifyCertificate: CheckingInitiator,
    Lease: LeasingAddress,
    Sign: SigningResponse,
    InstallChild: InstallingFirst,
}


def held(row: Row, side: str, kind: type) -> tuple[Ladder, Host]:
    """Return a ladder that stands still because a question is open."""
    ladder = row.certificates(CLIENT, GATEWAY, pools={"staff": POOL})
    host: Host = getattr(ladder, side)
    host.holds = (kind,)
    ladder.connect()
    assert len(host.held) == 1
    return ladder, host


def is_up(ladder: Ladder) -> bool:
    return bool(ladder.left.established and ladder.right.established and ladder.left.installed)


@pytest.mark.parametrize(("side", "kind"), CASES)
def test_a_late_answer_goes_on_where_things_stood(row: Row, side: str, kind: type) -> None:
    """Repetitions of the peer meanwhile have no effect (RFC 7296 §2.1)."""
    ladder, host = held(row, side, kind)
    ladder.wait(5)
    assert len(host.held) == 1
    ladder.answer(host)
    ladder.wait(10)
    assert is_up(ladder)
    assert len(ladder.left.installs) == len(ladder.right.installs) == 1


@pytest.mark.parametrize(("side", "kind"), CASES)
def test_a_question_that_is_never_answered_ends_the_attempt(
    row: Row, side: str, kind: type
) -> None:
    """RFC 7296 §2.6: half-open SAs do not stay for ever; I3."""
    ladder, host = held(row, side, kind)
    ladder.wait(100)
    for one in (ladder.left, ladder.right):
        assert one.endpoint.sas == ()
        assert one.installed == {}
        assert one.timers == {}
        assert one.leases._held == {}
    (question,) = host.held
    ladder.give(host, question, Refused("too late"))
    assert host.endpoint.sas == ()


@pytest.mark.parametrize("kind", WAITING, ids=lambda kind: kind.__name__)
def test_the_responder_waits_in_a_state_of_its_own(row: Row, kind: type) -> None:
    """House style §6: a state is named by what it awaits."""
    ladder, host = held(row, "right", kind)
    (state,) = host.states
    assert isinstance(state, WAITING[kind])
    before = len(ladder.sent)
    ladder.arrive(host, ladder.sent[2][1].octets)
    assert len(ladder.sent) == before
    assert host.states == [state]
    assert host.drops[-1] == "the last message is being answered"


@pytest.mark.parametrize("kind", WAITING, ids=lambda kind: kind.__name__)
def test_disconnecting_while_a_question_is_open_leaves_nothing(row: Row, kind: type) -> None:
    """I3: also no Child SA that the data plane was about to take."""
    ladder, host = held(row, "right", kind)
    if kind is InstallChild:
        (question,) = host.held
        assert isinstance(question, InstallChild)
        host.installed[question.child.spi_in] = question.child
    ladder.disconnect(host)
    assert host.endpoint.sas == ()
    assert host.installed == {}
    assert host.leases._held == {}
    assert len(host.ends) == 1


@pytest.mark.parametrize(("side", "kind"), CASES)
@pytest.mark.parametrize(
    "answer",
    [Installed(), Measured(Usage()), Refused("no"), Signed(b"rubbish")],
    ids=lambda answer: type(answer).__name__,
)
def test_an_answer_of_another_kind_is_a_refusal(
    row: Row, side: str, kind: type, answer: object
) -> None:
    """A shell with a fault in it must not crash the core."""
    ladder, host = held(row, side, kind)
    host.holds = ()
    ladder.answer(host, answer)  # type: ignore[arg-type]
    ladder.settle()
    ladder.wait(3)
    is_right_kind = kind is InstallChild and isinstance(answer, Installed)
    assert bool(ladder.left.installed) == is_right_kind
    assert bool(host.ends) == (kind not in {Lease, InstallChild})


def test_an_answer_nobody_waits_for_is_dropped(row: Row) -> None:
    """Tickets name their question; nothing else is moved by them."""
    ladder = row.certificates()
    ladder.connect()
    for host in (ladder.left, ladder.right):
        (sa,) = host.endpoint.sas
        before = sa.state
        session = before.session  # type: ignore[union-attr]
        for purpose in ("sign", "verify", "lease", "install-00000000", "measure ", ""):
            for branch in (session.branch, bytes(8)):
                asked = host.installs[0]
                question = InstallChild(Ticket(sa.spi, branch, purpose), "x", asked.child)
                ladder.give(host, question, Trusted(authority(CA).certificate))
        assert sa.state == before


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_data_plane_that_refuses_costs_the_child_alone(row: Row, side: str) -> None:
    """RFC 7296 §2.21.2: the IKE SA stays, and both sides agree that there is no child."""
    ladder = row.psk()
    host: Host = getattr(ladder, side)
    host.refuse_install = "no room"
    ladder.connect()
    assert ladder.left.established
    assert ladder.right.established
    assert ladder.left.installed == ladder.right.installed == {}
    assert host.seen(reports.ChildFailed)
    for one in (ladder.left, ladder.right):
        assert one.established[0].children == ()
    if side == "right":
        assert ladder.right.said[-1].endswith("AUTH N(NO_ADDITIONAL_SAS)]")


def test_a_child_that_is_deleted_before_it_is_installed_does_not_come_back(row: Row) -> None:
    """RFC 7296 §1.4.1: the answer of the data plane is for a child that is gone."""
    ladder = row.psk()
    ladder.left.holds = (InstallChild,)
    ladder.connect()
    spi = ladder.right.child.spi_in.to_bytes(4)
    asking = request(ladder, ladder.right, (Delete(ProtocolId.ESP, 4, (spi,)),))
    ladder.arrive(ladder.left, asking.octets)
    assert ladder.left.established[0].children == ()
    ladder.answer(ladder.left, Installed())
    assert ladder.left.established[0].children == ()
    assert not ladder.left.seen(reports.ChildEstablished)


def test_the_responder_answers_once_its_data_plane_can_receive(row: Row) -> None:
    """RFC 7296 §2.8: the initiator may send at once when it has the response."""
    ladder = row.psk()
    ladder.right.holds = (InstallChild,)
    ladder.connect()
    assert len(ladder.sent) == 3
    ladder.answer(ladder.right)
    ladder.settle()
    assert len(ladder.sent) == 4
    assert is_up(ladder)


def test_a_data_plane_that_never_answers_has_refused_the_child_sa(row: Row) -> None:
    """Nothing waits for ever: the peer hears of a Child SA that cannot receive (§1.4.1)."""
    ladder = row.psk()
    ladder.left.holds = (InstallChild,)
    ladder.connect()
    assert ladder.left.established[0].children
    ladder.wait(31)
    assert not ladder.left.established[0].children
    assert not ladder.right.established[0].children
    assert not ladder.right.installed
    ladder.left.events.clear()
    ladder.answer(ladder.left, Installed())
    assert not ladder.left.established[0].children
    assert not ladder.left.events

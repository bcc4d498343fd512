# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.3: windows above 1, where requests pass one another and nothing is lost."""

from dataclasses import replace

import pytest

from ikeway.ike import reports
from ikeway.ike.io import InstallChild, Rekey
from ikeway.ike.states import Deleting, Established
from ikeway.ike.tasks import CreateChild, DeleteChild, RekeyChild, RekeyIke
from ikeway.ike.window import Window
from ikeway.policy.lifetimes import Retransmission
from ikeway.wire.message import Message
from ikeway.wire.payloads import Delete, Notify
from ikeway.wire.registry import ExchangeType, NotifyType, ProtocolId
from support.agreement import agree
from support.asking import add_children, one_more, want, word
from support.forge import edited, request, sealed, session_of
from support.hosts import GCM, Row
from support.ladder import Ladder
from support.shell import Host

SIZE = 4


def up(row: Row, left: int = SIZE, right: int = SIZE, **changes: object) -> Ladder:
    ladder = row.psk({"window": left, **changes}, {"window": right, **changes})
    ladder.connect()
    return ladder


def numbers(ladder: Ladder) -> list[int]:
    """Return the message IDs on the wire."""
    return [Message.decode(datagram.octets).header.message_id for _, datagram in ladder.wire]


def window_of(host: Host) -> Window:
    return host.established[0].session.window


# Sizes --------------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-C02")
def test_as_many_requests_leave_as_the_peer_keeps(row: Row) -> None:
    """§2.3: "it MUST wait until it has received responses to all requests up through X-N"."""
    ladder = up(row)
    want(ladder, ladder.left, *(word(number) for number in range(9)))
    assert numbers(ladder) == [2, 3, 4, 5]
    ladder.wire.rotate(-1)  # the response to the first comes last
    for _ in range(3):
        ladder.deliver(*ladder.wire.popleft())
    lost = ladder.wire.popleft()
    while ladder.wire:
        ladder.deliver(*ladder.wire.popleft())
    assert [each.message_id for each in window_of(ladder.left).outstanding] == [2]
    assert window_of(ladder.left).next_request == 6
    ladder.deliver(*lost)
    ladder.settle()
    assert window_of(ladder.left).next_request == 11
    agree(ladder)


@pytest.mark.conformance("CF-C07")
@pytest.mark.parametrize(("left", "right"), [(1, 4), (4, 1), (4, 2), (2, 64)])
def test_the_smaller_of_both_sizes_counts_each_way(row: Row, left: int, right: int) -> None:
    """§2.3: one that was not announced is 1, and nobody has to use what the other allows."""
    ladder = up(row, left, right)
    for host in (ladder.left, ladder.right):
        want(ladder, host, *(word(number) for number in range(6)))
        assert len(ladder.wire) == min(left, right)
        ladder.settle()
    for host, size in ((ladder.left, left), (ladder.right, right)):
        assert window_of(host).size == size
        assert ("N(SET_WINDOW_SIZE)" in " ".join(host.said)) == (size > 1)


@pytest.mark.conformance("CF-C07")
def test_all_windows_are_1_until_the_initial_exchanges_are_over(row: Row) -> None:
    """§2.3: "The window size is always one until the initial exchanges complete"."""
    ladder = row.psk({"window": SIZE}, {"window": SIZE})
    ladder.initiate()
    seen = []
    while ladder.wire:
        ladder.deliver(*ladder.wire.popleft())
        for host in (ladder.left, ladder.right):
            for state in host.states:
                if not isinstance(state, Established) and hasattr(state, "session"):
                    window = state.session.window
                    seen.append((window.size, window.peer_size))
    assert set(seen) == {(1, 1)}
    assert window_of(ladder.left).size == window_of(ladder.right).peer_size == SIZE


@pytest.mark.conformance("CF-C01")
@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"\0\0\0\3\0", bytes(4)])
def test_a_size_that_is_none_is_ignored(row: Row, data: bytes) -> None:
    """§2.3: "data ... MUST be 4 octets long"; a window of 0 is none."""
    ladder = row.psk({"window": SIZE}, {"window": SIZE})
    size = Notify(NotifyType.SET_WINDOW_SIZE, data)
    edited(
        ladder,
        lambda payloads: (
            *(one for one in payloads if getattr(one, "type", 0) != size.type),
            size,
        ),
        ExchangeType.IKE_AUTH,
        ladder.right,
    )
    ladder.connect()
    assert window_of(ladder.left).peer_size == 1


def test_a_window_grows_later_and_never_shrinks(row: Row) -> None:
    """§2.3: "there is currently no way to reduce the window size of an existing IKE SA"."""
    ladder = up(row)
    for said, counts in ((2, 4), (64, 4), (1, 4)):
        size = Notify(NotifyType.SET_WINDOW_SIZE, said.to_bytes(4))
        ladder.deliver(ladder.left, request(ladder, ladder.right, (size,)))
        ladder.wire.clear()
        assert window_of(ladder.left).peer_size == counts
        ladder = up(row)
    assert Window().widened(3, 5).widened(2, 6) == Window(size=3, peer_size=6)


@pytest.mark.conformance("CF-C06")
@pytest.mark.parametrize("by", ["left", "right"])
def test_a_rekeyed_ike_sa_begins_with_1_and_says_its_size_anew(row: Row, by: str) -> None:
    """§2.3: "the new IKE SA starts with window size 1 until it is explicitly increased"."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    want(ladder, host, RekeyIke())
    while len(host.established) != 1 or host.established[0].since == 0:
        ladder.deliver(*ladder.wire.popleft())
    ladder.settle()
    for one in (ladder.left, ladder.right):
        assert "INFORMATIONAL request 0 [N(SET_WINDOW_SIZE)]" in one.said
        assert (window_of(one).size, window_of(one).peer_size) == (SIZE, SIZE)
    agree(ladder)


def test_a_rekeyed_ike_sa_says_nothing_to_a_peer_that_never_did() -> None:
    """§2.3: it would be a request for nothing."""
    ladder = up(GCM, SIZE, 1)
    want(ladder, ladder.left, RekeyIke())
    ladder.settle()
    assert "INFORMATIONAL request 0 [N(SET_WINDOW_SIZE)]" not in ladder.left.said
    agree(ladder)


# Requests of the peer -----------------------------------------------------------------------------


@pytest.mark.conformance("CF-C04", "CF-C05", "CF-B05", "CF-B09")
def test_each_of_the_last_requests_gets_its_own_response_again(row: Row) -> None:
    """§2.3: the "number of previous responses equal to its declared window size" is kept."""
    ladder = up(row)
    asked = [request(ladder, ladder.left, (), message_id=2 + each) for each in range(7)]
    answers = [ladder.arrive(ladder.right, one.octets) for one in asked]
    ladder.wire.clear()
    assert all(len(answer) == 1 for answer in answers)
    for each in (6, 3, 5, 4, 6, 3):
        assert ladder.arrive(ladder.right, asked[each].octets) == answers[each]
    for each in (0, 1, 2):
        assert ladder.arrive(ladder.right, asked[each].octets) == []
    assert len(window_of(ladder.right).answered) == SIZE


@pytest.mark.conformance("CF-C03", "CF-C05")
def test_requests_are_answered_in_whatever_order_they_come(row: Row) -> None:
    """§2.3: "ought to be capable of processing incoming requests out of order"."""
    ladder = up(row)
    for number, counts in ((5, 1), (3, 1), (6, 0), (4, 1), (2, 1), (6, 1), (9, 1), (11, 0)):
        octets = request(ladder, ladder.left, (), message_id=number).octets
        answers = [
            answer
            for answer in ladder.arrive(ladder.right, octets)
            if Message.decode(answer).header.is_response
        ]
        assert len(answers) == counts, number
    assert window_of(ladder.right).expected == 7


def held(row: Row, **changes: object) -> tuple[Ladder, list[CreateChild]]:
    """Return a ladder whose right host does not get an answer from its data plane."""
    ladder = up(row, **changes)
    ladder.right.holds = (InstallChild,)
    return ladder, [one_more(ladder.left)] * 2


@pytest.mark.conformance("CF-F03")
def test_what_waits_for_the_data_plane_keeps_nobody_waiting(row: Row) -> None:
    """§2.3: other requests are answered meanwhile; each answer leaves when it is ready."""
    ladder, creates = held(row)
    want(ladder, ladder.left, creates[0], word(1))
    want(ladder, ladder.left, creates[1])
    want(ladder, ladder.left, word(2))
    ladder.settle()
    assert len(ladder.right.held) == 2
    assert [each.message_id for each in window_of(ladder.left).outstanding] == [2, 4]
    assert len(ladder.right.established[0].answering) == 2
    ladder.wait(3)  # repetitions of what is being answered have no effect
    assert ladder.right.drops[-1] == "it is being answered"
    assert len(ladder.right.held) == 2
    ladder.right.held.reverse()
    ladder.answer(ladder.right)
    ladder.settle()
    assert [each.message_id for each in window_of(ladder.left).outstanding] == [2]
    ladder.answer(ladder.right)
    ladder.settle()
    agree(ladder, children=3)


@pytest.mark.conformance("CF-F23")
def test_an_ike_sa_is_not_rekeyed_while_a_child_is_being_made(row: Row) -> None:
    """§2.25.1: TEMPORARY_FAILURE, also where the window would allow it."""
    ladder, creates = held(row)
    want(ladder, ladder.left, creates[0])
    ladder.settle()
    (sa,) = ladder.left.endpoint.sas
    assert isinstance(sa.state, Established)
    # A peer that does not wait as we do: it asks for both at once.
    window = replace(sa.state.session.window, outstanding=())
    sa._state = replace(sa.state, session=replace(sa.state.session, window=window))
    want(ladder, ladder.left, RekeyIke())
    ladder.settle()
    assert ladder.right.refusals == ["TEMPORARY_FAILURE"]


def test_a_peer_that_deletes_the_sa_deletes_what_is_being_made_too(row: Row) -> None:
    """§1.4.1: I3: also no Child SA that the data plane was about to take."""
    ladder, creates = held(row)
    want(ladder, ladder.left, creates[0])
    ladder.settle()
    (question,) = ladder.right.held
    assert isinstance(question, InstallChild)
    ladder.right.installed[question.child.spi_in] = question.child
    deletion = request(ladder, ladder.left, (Delete(ProtocolId.IKE),))
    ladder.deliver(ladder.right, deletion)
    assert ladder.right.installed == {}


def test_each_of_several_that_are_late_is_refused(row: Row) -> None:
    """Nothing waits for ever (§2.25): a data plane that does not answer refuses."""
    ladder, creates = held(row, retransmission=Retransmission(give_up=60.0))
    want(ladder, ladder.left, creates[0])
    want(ladder, ladder.left, creates[1])
    ladder.wait(30.5)
    for number in (2, 3):
        refusal = f"CREATE_CHILD_SA response {number} [N(TEMPORARY_FAILURE)]"
        assert refusal in ladder.right.said
    assert not ladder.right.established[0].answering
    agree(ladder)


# Requests of ours ---------------------------------------------------------------------------------


@pytest.mark.conformance("CF-B07")
def test_each_request_is_repeated_for_itself(row: Row) -> None:
    """§2.1: unchanged, until its own response comes."""
    ladder = up(row)
    want(ladder, ladder.left, word(1), word(2), word(3))
    first = {Message.decode(one.octets).header.message_id: one.octets for _, one in ladder.wire}
    del ladder.wire[1]
    ladder.settle()
    before = len(ladder.sent)
    ladder.wait(1)
    repeated = [one.octets for host, one in ladder.sent[before:] if host is ladder.left]
    assert repeated == [first[3]]
    agree(ladder)


@pytest.mark.conformance("CF-B08")
def test_one_request_without_a_response_is_the_end(row: Row) -> None:
    """§2.1: the peer is dead to us, whatever else it answered before."""
    ladder = up(row)
    want(ladder, ladder.left, word(1))
    ladder.wire.clear()
    ladder.fate = lambda host, datagram: [] if host is ladder.left else [datagram]
    ladder.wait(10)
    want(ladder, ladder.left, word(2))
    ladder.wait(25)
    assert ladder.left.ends[0].reason.startswith("no answer from")
    assert ladder.left.installed == {}


@pytest.mark.conformance("CF-F23")
def test_an_ike_sa_is_rekeyed_alone(row: Row) -> None:
    """§2.25.2: what is asked is answered before, and nothing is asked meanwhile."""
    ladder = up(row)
    want(ladder, ladder.left, word(1), RekeyIke(), word(2))
    assert numbers(ladder) == [2]
    ladder.deliver(*ladder.wire.popleft())
    ladder.deliver(*ladder.wire.popleft())
    assert numbers(ladder) == [3]
    ladder.settle()
    agree(ladder)
    assert ladder.left.said[-1].startswith("INFORMATIONAL request 1 [N(")  # of the new one


def test_what_changes_one_child_waits_for_its_turn(row: Row) -> None:
    """§2.3: requests may pass one another: a Delete must not overtake the rekey before it."""
    ladder = up(row)
    spi = ladder.left.child.spi_in
    want(ladder, ladder.left, RekeyChild(spi), DeleteChild(spi))
    assert numbers(ladder) == [2]
    ladder.settle()
    agree(ladder)


def test_several_children_are_rekeyed_at_once(row: Row) -> None:
    """§2.8: one lost message does not hold up the others."""
    ladder = up(row)
    add_children(ladder, 3)
    before = set(ladder.left.installed)
    want(ladder, ladder.left, *(RekeyChild(spi) for spi in before))
    assert len(ladder.wire) == 4
    ladder.wire.reverse()
    ladder.settle()
    assert not before & set(ladder.left.installed)
    agree(ladder, children=4)


def test_a_child_deleted_before_we_know_it_leaves_the_other_one_alone(row: Row) -> None:
    """§2.25: the Delete of one answer of the peer's may come before the answers themselves."""
    ladder = up(row)
    child = ladder.left.child
    create = one_more(ladder.left)
    want(ladder, ladder.left, create)
    want(ladder, ladder.left, create)
    for _ in range(2):
        ladder.deliver(*ladder.wire.popleft())
    late = list(ladder.wire)
    ladder.wire.clear()
    new = [one for one in ladder.right.installed if one != child.spi_out]
    want(ladder, ladder.right, DeleteChild(new[1]))
    ladder.settle()
    for host, datagram in late:
        ladder.deliver(host, datagram)
    ladder.settle()
    agree(ladder, children=2)


@pytest.mark.parametrize("by", ["left", "right"])
def test_the_sa_is_deleted_when_the_rest_is_answered(row: Row, by: str) -> None:
    """§2.3: a Delete that overtakes leaves requests that nobody answers any more."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    want(ladder, host, word(1), word(2))
    ladder.disconnect(host)
    (state,) = host.states
    assert isinstance(state, Deleting)
    assert len(ladder.wire) == 2
    ladder.settle()
    assert host.said[-1].endswith("[D(IKE)]")
    ladder.wait(20)
    assert ladder.left.states == ladder.right.states == []


def test_simultaneous_creates_are_no_collision(row: Row) -> None:
    """§2.8.1 is about rekeys: two Child SAs that both sides ask for stay both."""
    ladder = up(row)
    for host in (ladder.left, ladder.right):
        want(ladder, host, one_more(host))
    ladder.settle()
    agree(ladder, children=3)


# INVALID_MESSAGE_ID -------------------------------------------------------------------------------


@pytest.mark.conformance("CF-C05")
@pytest.mark.parametrize("size", [1, SIZE])
def test_a_request_beyond_the_window_is_told_of_but_not_answered(row: Row, size: int) -> None:
    """§2.3: "MUST NOT be sent in a response ... Instead ... initiating an INFORMATIONAL"."""
    ladder = up(row, size, size)
    deletion = Delete(ProtocolId.IKE)
    beyond = sealed(session_of(ladder.left), (deletion,), 2 + size)
    (complaint,) = ladder.arrive(ladder.right, beyond)
    assert Message.decode(complaint).header.is_request
    assert ladder.right.drops == [f"request {2 + size} is outside the window"]
    ladder.settle()
    assert ladder.left.warnings == [f"the peer says INVALID_MESSAGE_ID: {2 + size}"]
    agree(ladder)


@pytest.mark.conformance("CF-C05")
def test_complaints_are_few(row: Row) -> None:
    """§2.3: "notifications of this type MUST be rate limited", and once is enough for one ID."""
    ladder = up(row)
    session = session_of(ladder.left)
    for number in (100, 100, 101, 102):
        ladder.arrive(ladder.right, sealed(session, (), number))
    ladder.settle()
    ladder.wait(11)
    for number in (100, 103):
        ladder.arrive(ladder.right, sealed(session, (), number))
    ladder.settle()
    assert len([said for said in ladder.right.said if "INVALID_MESSAGE_ID" in said]) == 2


@pytest.mark.conformance("CF-C05")
def test_a_forged_message_id_draws_nothing(row: Row) -> None:
    """Whoever can send packets must not make us talk: only authentic requests count."""
    ladder = up(row)
    octets = bytearray(sealed(session_of(ladder.left), (), 50))
    octets[-1] ^= 1
    assert ladder.arrive(ladder.right, bytes(octets)) == []
    old = request(ladder, ladder.left, (), message_id=2).octets
    for number in range(2, 9):
        ladder.arrive(ladder.right, request(ladder, ladder.left, (), message_id=number).octets)
    ladder.wire.clear()
    assert ladder.arrive(ladder.right, old) == []
    assert not ladder.right.seen(reports.Retransmitted)


@pytest.mark.parametrize("data", [b"", b"\0\0\0\7", b"\7"])
def test_a_complaint_of_the_peer_changes_nothing(row: Row, data: bytes) -> None:
    """§2.3: it informs; the peer's word of a message ID is no reason to do anything."""
    ladder = up(row)
    said = Notify(NotifyType.INVALID_MESSAGE_ID, data)
    (answer,) = ladder.arrive(ladder.left, request(ladder, ladder.right, (said,)).octets)
    assert Message.decode(answer).header.is_response
    assert len(ladder.left.warnings) == 1
    ladder.wire.clear()
    assert ladder.left.established


def test_rekeys_of_several_children_cross(row: Row) -> None:
    """§2.8.1: each child has its own collision, and one of each is left."""
    ladder = up(row)
    add_children(ladder, 3)
    pairs = [(child.spi_in, child.spi_out) for child in ladder.left.installed.values()]
    for mine, theirs in pairs:
        for host, spi in ((ladder.left, mine), (ladder.right, theirs)):
            (sa,) = host.endpoint.sas
            ladder.perform(host, host.endpoint.handle(sa.spi, Rekey(spi), ladder.now))
    ladder.wait(60)
    agree(ladder, children=4)

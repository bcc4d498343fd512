# SPDX-License-Identifier: Apache-2.0
"""RFC 8019 §7.1: puzzles in IKE_SA_INIT, given and solved."""

from dataclasses import replace

import pytest

from ikeway.crypto.puzzle import Puzzle, check_solution
from ikeway.ike.puzzles import EASY_BITS, difficulty
from ikeway.ike.questions import Refused, Solved, SolvePuzzle
from ikeway.policy.limits import Limits
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify, PuzzleSolution, SecurityAssociation
from ikeway.wire.registry import NotifyType
from ladders.test_admission import numbered
from ladders.test_cookies import arrive_from, cookie_in, under_attack, with_cookie
from ladders.test_ike_sa_init_retries import answer_with, requests
from support.forge import first_message
from support.hosts import CBC, GCM, Row
from support.ladder import Ladder

COOKIE = Notify(NotifyType.COOKIE, b"a cookie of the peer")
POSED = Notify(NotifyType.PUZZLE, b"\0\5\x09")


def besieged(ladder: Ladder, **limits: int) -> None:
    """Let the right host ask everybody for a solved puzzle."""
    under_attack(ladder, **{"puzzles_from": 0, "puzzle_bits": 9} | limits)


def posed_in(answers: list[Message]) -> tuple[Notify, Puzzle]:
    """Return the cookie and the puzzle that are all of the only answer."""
    (answer,) = answers
    cookie, posed = answer.payloads
    assert isinstance(cookie, Notify)
    assert isinstance(posed, Notify)
    assert (cookie.type, posed.type) == (NotifyType.COOKIE, NotifyType.PUZZLE)
    code, bits = int.from_bytes(posed.data[:2]), posed.data[2]
    return cookie, Puzzle(code, bits, cookie.data)


def puzzled(ladder: Ladder, message: Message, address: str = "192.0.2.1") -> tuple[Notify, Puzzle]:
    """Go as far as the puzzle, which only those get who have returned a cookie."""
    cookie = cookie_in(arrive_from(ladder, message, address))
    ladder.now += 0.1
    return posed_in(arrive_from(ladder, with_cookie(message, cookie), address))


def with_solution(message: Message, cookie: Notify, keys: bytes) -> Message:
    first, *rest = with_cookie(message, cookie).payloads
    return replace(with_cookie(message, cookie), payloads=(first, PuzzleSolution(keys), *rest))


def test_both_sides_of_ours_come_through(row: Row) -> None:
    """§7.1: cookie, then puzzle, then the exchange; AUTH covers the last request (§2.15)."""
    ladder = row.psk()
    besieged(ladder)
    ladder.connect()
    first, second, third = requests(ladder)
    assert third.payloads[0] != second.payloads[0]
    solution = third.one(PuzzleSolution)
    assert solution is not None
    assert third.payloads.index(solution) == 1, "§7.1.2: HDR, N(COOKIE), [PS,] SA, KE, Ni"
    assert third.one(SecurityAssociation) == first.one(SecurityAssociation)
    assert ladder.left.child.keys_in == ladder.right.child.keys_out
    assert "the peer asks to solve a puzzle of 9 bits" in ladder.left.warnings


def test_a_puzzle_is_for_those_only_who_returned_a_cookie() -> None:
    """I5: to pose one the request has to be decoded, for the PRFs that it offers."""
    ladder = GCM.psk()
    besieged(ladder)
    cookie_in(arrive_from(ladder, first_message(ladder), "192.0.2.1"))


@pytest.mark.parametrize(("row", "code"), [(GCM, 6), (CBC, 5)])
def test_the_puzzle_is_of_a_prf_that_the_initiator_offers(row: Row, code: int) -> None:
    """§7.1.1.2: "selects the preferred PRF from the list of mutually supported ones"."""
    ladder = row.psk()
    besieged(ladder)
    address = "192.0.2.1" if row.version == 4 else "2001:db8::1"
    _, puzzle = puzzled(ladder, first_message(ladder), address)
    assert (puzzle.prf, puzzle.bits) == (code, 9)


@pytest.mark.parametrize("keys", [bytes(16), b"\1\2\3\4" * 4, b"\1", bytes(400)])
def test_a_wrong_solution_is_worth_as_much_as_none(
    monkeypatch: pytest.MonkeyPatch, keys: bytes
) -> None:
    """§7.1.4: "This request is marked with the lowest priority"; here it draws a blank."""
    monkeypatch.setattr("ikeway.ike.gate.LEGACY_SHARE", 0.0)
    ladder = GCM.psk()
    besieged(ladder)
    message = first_message(ladder)
    cookie, _ = puzzled(ladder, message)
    for attempt in (with_solution(message, cookie, keys), with_cookie(message, cookie)):
        assert arrive_from(ladder, attempt, "192.0.2.1") == []
    assert ladder.right.endpoint.sas == ()
    assert ladder.right.drops == ["a puzzle that is not solved"] * 2


def test_a_solution_serves_for_one_ike_sa() -> None:
    """§10: "insignificant benefit from reusing puzzle solutions in several requests"."""
    ladder = GCM.psk()
    besieged(ladder)
    ladder.connect()
    solved = requests(ladder)[-1]
    again = replace(solved, payloads=solved.payloads[:-1])
    ladder.now += 0.1
    source = str(ladder.addresses[0])
    cookie_in(arrive_from(ladder, again, source))
    assert len(ladder.right.endpoint.sas) == 1


def test_those_who_cannot_solve_puzzles_are_served_by_lot() -> None:
    """§7.1.5: "MAY also accept some low-priority requests", after a cookie only."""
    ladder = GCM.psk()
    besieged(ladder)
    message = first_message(ladder)
    served = 0
    for number in range(40):
        mine = numbered(message, number)
        cookie, _ = puzzled(ladder, mine, f"198.51.{number}.1")
        answers = arrive_from(ladder, with_cookie(mine, cookie), f"198.51.{number}.1")
        served += len(answers)
    assert 2 <= served <= 20


def test_a_source_draws_lots_until_it_has_its_share() -> None:
    """§4.2: the hard limit comes after the soft one."""
    ladder = GCM.psk()
    under_attack(ladder, cookies_from=0, source_half_open=2, puzzle_bits=9)
    message = first_message(ladder)
    for number in range(60):
        mine = numbered(message, number)
        (answer,) = arrive_from(ladder, mine, "192.0.2.1")
        again = with_cookie(mine, cookie_in([answer]))
        ladder.now += 0.01
        (answer, *_) = arrive_from(ladder, again, "192.0.2.1")
        if answer.one(SecurityAssociation) is None:
            cookie, _ = posed_in([answer])
            arrive_from(ladder, with_cookie(mine, cookie), "192.0.2.1")
    assert len(ladder.right.endpoint.sas) == 4


def test_puzzles_are_harder_the_less_room_there_is() -> None:
    """§7.1.1.1: "the level SHOULD be determined by analyzing the volume of the attack"."""
    assert difficulty(0.0, 18) == EASY_BITS
    assert EASY_BITS < difficulty(0.5, 18) < 18
    assert difficulty(1.0, 18) == 18
    assert difficulty(1.0, 9) == difficulty(0.0, 9) == 9


# The initiator ------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-O06")
def test_a_puzzle_without_a_cookie_is_ignored(row: Row) -> None:
    """§7.1.2: "the Initiator MUST ignore the received message and continue to wait"."""
    ladder = row.psk()
    answer = answer_with(first_message(ladder), POSED)
    assert ladder.arrive(ladder.left, answer) == []
    assert SolvePuzzle not in ladder.left.asked
    ladder.wait(1)
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


def test_the_request_goes_on_while_a_puzzle_is_solved() -> None:
    """§7.1.2: solving takes a while; more puzzles in the meantime are left alone."""
    ladder = GCM.psk()
    ladder.left.holds = (SolvePuzzle,)
    message = first_message(ladder)
    posed = answer_with(message, COOKIE, POSED)
    assert ladder.arrive(ladder.left, posed) == []
    assert ladder.arrive(ladder.left, answer_with(message, replace(COOKIE, data=b"x"), POSED)) == []
    assert len(ladder.left.held) == 1
    ladder.fate = lambda _host, _datagram: []
    ladder.wait(1)
    assert ladder.left.repeats == 1
    ladder.answer(ladder.left)
    last = requests(ladder)[-1]
    assert last.payloads[0] == COOKIE
    solution = last.one(PuzzleSolution)
    assert solution is not None
    check_solution(Puzzle(5, 9, COOKIE.data), solution.keys)
    assert last.header.message_id == 0


def test_a_real_answer_may_come_while_a_puzzle_is_solved() -> None:
    """§2.4: the puzzle may have been forged, to keep us busy."""
    ladder = GCM.psk()
    ladder.left.holds = (SolvePuzzle,)
    ladder.initiate()
    host, request = ladder.wire.popleft()
    forged = answer_with(Message.decode(request.octets), COOKIE, POSED)
    ladder.arrive(ladder.left, forged)
    ladder.deliver(host, request)
    ladder.settle()
    assert ladder.left.child.keys_in == ladder.right.child.keys_out
    before = len(ladder.sent)
    ladder.answer(ladder.left)
    assert len(ladder.sent) == before


@pytest.mark.parametrize("answer", [Refused("no time"), Solved(b"")])
def test_a_puzzle_that_is_not_solved_still_leaves_the_cookie(answer: Refused | Solved) -> None:
    """§7.1.2: the initiator then "acts as described in Section 2.6 of [RFC7296]"."""
    ladder = GCM.psk()
    ladder.left.holds = (SolvePuzzle,)
    ladder.arrive(ladder.left, answer_with(first_message(ladder), COOKIE, POSED))
    ladder.answer(ladder.left, answer)
    last = requests(ladder)[-1]
    assert last.payloads[0] == COOKIE
    assert last.one(PuzzleSolution) is None


@pytest.mark.parametrize("bits", [23, 255])
def test_a_puzzle_that_is_too_hard_is_left_unsolved(bits: int) -> None:
    """§9: "Initiators SHOULD set a maximum difficulty level"."""
    ladder = GCM.psk()
    assert bits > Limits().solve_bits
    hard = Notify(NotifyType.PUZZLE, b"\0\5" + bytes([bits]))
    (octets,) = ladder.arrive(ladder.left, answer_with(first_message(ladder), COOKIE, hard))
    assert Message.decode(octets).payloads[0] == COOKIE
    assert SolvePuzzle not in ladder.left.asked
    assert any("too hard" in line for line in ladder.left.warnings)


def test_without_a_level_we_choose_one() -> None:
    """§7.1.1.1: 0 means "to spend as much power ... as it can afford"."""
    ladder = GCM.psk()
    ladder.left.holds = (SolvePuzzle,)
    free = Notify(NotifyType.PUZZLE, b"\0\5\0")
    ladder.arrive(ladder.left, answer_with(first_message(ladder), COOKIE, free))
    (asked,) = ladder.left.held
    assert asked.question == SolvePuzzle(Puzzle(5, 16, COOKIE.data))  # type: ignore[union-attr]


@pytest.mark.parametrize("data", [b"", b"\0\5", b"\0\5\x09\0", b"\x7f\xff\x09"])
def test_a_puzzle_that_makes_no_sense_is_ignored(data: bytes) -> None:
    ladder = GCM.psk()
    odd = Notify(NotifyType.PUZZLE, data)
    assert ladder.arrive(ladder.left, answer_with(first_message(ladder), COOKIE, odd)) == []
    assert SolvePuzzle not in ladder.left.asked

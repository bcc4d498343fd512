# SPDX-License-Identifier: Apache-2.0
"""RFC 8019 §4.4, §7.1.3, §8.2: puzzles, their solutions and what is none."""

import hmac
from dataclasses import replace

import pytest

from ikeway.crypto.puzzle import Puzzle, check_solution, solve
from ikeway.model.errors import IntegrityError

COOKIE = bytes.fromhex("739ae7492d8a810cf5e8dc0f9626c9dda773c5a3")
EASY = Puzzle(5, 12, COOKIE)
SOLUTION = solve(EASY)


def test_each_key_of_a_solution_gives_enough_zeros() -> None:
    """§7.1.3: "each result of PRF(Ki,cookie) ... has a sufficient number of trailing zero bits".

    Checked with the HMAC of the standard library. The keys that §4.4 prints do not solve the puzzle
    that it prints, in any reading of it that was tried, so they are no vector.
    """
    keys = [SOLUTION[at : at + 4] for at in range(0, 16, 4)]
    assert len(set(keys)) == 4
    for key in keys:
        output = int.from_bytes(hmac.digest(key, COOKIE, "sha256"))
        assert output % 2**12 == 0
    check_solution(EASY, SOLUTION)


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        SOLUTION[:4] * 4,
        SOLUTION[:12],
        SOLUTION[:-1] + b"\0",
        SOLUTION + b"\0\0\0\0",
        SOLUTION[:15],
        bytes(4 * 33),
        bytes(65000),
    ],
)
def test_anything_else_is_no_solution(wrong: bytes) -> None:
    """§7.1.4: "The Responder MUST check all of the four returned keys"; they are four."""
    with pytest.raises(IntegrityError):
        check_solution(EASY, wrong)


def test_a_solution_of_too_few_bits_is_none() -> None:
    with pytest.raises(IntegrityError, match="fewer than 30 bits"):
        check_solution(replace(EASY, bits=30), SOLUTION)


@pytest.mark.parametrize("code", [2, 4, 5, 6, 7, 8])
def test_what_we_solve_is_solved(code: int) -> None:
    """§8.2: keys of a PRF that takes only one size have that size."""
    puzzle = Puzzle(code, 9, b"a cookie")
    solution = solve(puzzle)
    assert len(solution) == (64 if code in {4, 8} else 16)
    check_solution(puzzle, solution)
    with pytest.raises(IntegrityError):
        check_solution(replace(puzzle, octets=b"another cookie"), solution)

# SPDX-License-Identifier: Apache-2.0
"""RFC 8019 §7.1.3, §9: puzzles are solved beside the event loop, a few at a time."""

import asyncio
import time

import pytest

from ikeway.crypto.puzzle import Puzzle, check_solution
from ikeway.ike.questions import Answer, Refused, Solved
from ikeway.runtime import solver
from ikeway.runtime.solver import Solver

EASY = Puzzle(5, 10, b"a cookie")
ENDLESS = Puzzle(5, 60, b"a cookie")


def test_a_puzzle_is_solved_while_the_loop_goes_on() -> None:
    async def solve() -> tuple[Answer, int]:
        told: asyncio.Queue[Answer] = asyncio.Queue()
        Solver().solve(EASY, told.put_nowait)
        turns = 0
        while told.empty():
            await asyncio.sleep(0.001)
            turns += 1
        return told.get_nowait(), turns

    answer, turns = asyncio.run(solve())
    assert isinstance(answer, Solved)
    check_solution(EASY, answer.solution)
    assert turns > 10


def test_a_puzzle_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver, "PATIENCE", 0.2)

    async def solve() -> Answer:
        told: asyncio.Queue[Answer] = asyncio.Queue()
        Solver().solve(ENDLESS, told.put_nowait)
        return await told.get()

    answer = asyncio.run(solve())
    assert isinstance(answer, Refused)
    assert "60 bits" in answer.reason


def test_puzzles_wait_for_nobody_and_end_with_us() -> None:
    async def solve() -> tuple[Answer, float]:
        told: asyncio.Queue[Answer] = asyncio.Queue()
        busy = Solver()
        for _ in range(solver.AT_ONCE + 1):
            busy.solve(ENDLESS, told.put_nowait)
        refused = await told.get()
        begin = time.monotonic()
        await busy.close()
        return refused, time.monotonic() - begin

    refused, took = asyncio.run(solve())
    assert refused == Refused("other puzzles are being solved")
    assert took < 5

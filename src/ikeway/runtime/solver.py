# SPDX-License-Identifier: Apache-2.0
"""Solves puzzles in a process of its own, so that nothing else waits for it (RFC 8019 §7.1.3, §9).

Run as a program it reads a puzzle as JSON, and writes the solution in hex.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from typing import Final

from ikeway.crypto.puzzle import Puzzle, solve
from ikeway.ike.questions import Answer, Refused, Solved
from ikeway.model.time import Seconds

PATIENCE: Final[Seconds] = 20.0
"""RFC 8019 §9: initiators set a limit; whoever waits for the connection has one as well."""
AT_ONCE: Final = 2
NICENESS: Final = 10


class Solver:
    """Solves a few puzzles at a time; whoever asks for more is told so at once."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def solve(self, puzzle: Puzzle, tell: Callable[[Answer], None]) -> None:
        """Solve a puzzle, and tell the solution or why there is none."""
        loop = asyncio.get_running_loop()
        if len(self._tasks) >= AT_ONCE:
            loop.call_soon(tell, Refused("other puzzles are being solved"))
            return
        task = loop.create_task(_solve(puzzle, tell))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop: nobody waits for a solution any more."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _solve(puzzle: Puzzle, tell: Callable[[Answer], None]) -> None:
    tell(await _answer(puzzle))


async def _answer(puzzle: Puzzle) -> Answer:
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __name__,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        return Refused(f"no process to solve a puzzle: {error.strerror}")
    try:
        async with asyncio.timeout(PATIENCE):
            written, _ = await process.communicate(_written(puzzle))
        return Solved(bytes.fromhex(written.decode()))
    except (TimeoutError, ValueError):
        return Refused(f"a puzzle of {puzzle.bits} bits was not solved in {PATIENCE:g} s")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _written(puzzle: Puzzle) -> bytes:
    return json.dumps([puzzle.prf, puzzle.bits, puzzle.octets.hex()]).encode()


def main() -> None:
    """Solve the puzzle on standard input."""
    os.nice(NICENESS)
    code, bits, octets = json.load(sys.stdin)
    sys.stdout.write(solve(Puzzle(code, bits, bytes.fromhex(octets))).hex())


if __name__ == "__main__":
    main()

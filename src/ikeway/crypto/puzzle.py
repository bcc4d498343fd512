# SPDX-License-Identifier: Apache-2.0
"""Puzzles: four keys whose PRF of a string ends in enough zero bits (RFC 8019 §4.4, §7.1.3)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ikeway.crypto.prf import Prf, prf
from ikeway.model.errors import IntegrityError

KEYS: Final = 4
KEY_OCTETS: Final = 4
"""How long the keys of our solutions are, where the PRF takes keys of any length."""
BITS_LEAST: Final = 9
"""RFC 8019 §4.4: puzzles of 1 to 8 bits are too easy to solve."""


@dataclass(frozen=True, slots=True)
class Puzzle:
    """Find four keys for the PRF of that code so that PRF(key, octets) ends in `bits` zeros."""

    prf: int
    bits: int
    octets: bytes


def check_solution(puzzle: Puzzle, solution: bytes) -> None:
    """Check all four keys of a solution; the work is four computations at most.

    Raises:
        IntegrityError: it is no solution.
    """
    size, rest = divmod(len(solution), KEYS)
    chosen = prf(puzzle.prf)
    if rest or size not in _key_sizes(chosen):
        raise IntegrityError(f"a puzzle solution of {len(solution)} octets")
    keys = {solution[at : at + size] for at in range(0, len(solution), size)}
    if len(keys) != KEYS:
        raise IntegrityError("a puzzle solution with the same key twice")
    mask = (1 << puzzle.bits) - 1
    if any(int.from_bytes(chosen.compute(key, puzzle.octets)) & mask for key in keys):
        raise IntegrityError(f"a puzzle solution of fewer than {puzzle.bits} bits")


def _key_sizes(chosen: Prf) -> range:
    """RFC 8019 §8.2: the fixed size, or from 1 octet to the preferred size."""
    least = 1 if chosen.nonce_octets is None else chosen.key_octets
    return range(least, chosen.key_octets + 1)


def solve(puzzle: Puzzle) -> bytes:
    """Return a solution, after about 4 * 2**bits computations: nothing for an event loop."""
    keys = solutions(puzzle)
    return b"".join(next(keys) for _ in range(KEYS))


def solutions(puzzle: Puzzle) -> Iterator[bytes]:
    """Yield keys that solve a puzzle."""
    chosen = prf(puzzle.prf)
    size = max(KEY_OCTETS, min(_key_sizes(chosen)))
    mask, number = (1 << puzzle.bits) - 1, 0
    while True:
        key = number.to_bytes(size)
        number += 1
        if not int.from_bytes(chosen.compute(key, puzzle.octets)) & mask:
            yield key

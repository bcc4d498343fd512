# SPDX-License-Identifier: Apache-2.0
"""A small generator of numbers: the same seed gives the same world, on every machine."""

import hashlib
from collections.abc import Sequence
from typing import Final, TypeVar

from ikeway.crypto.random import SeededRandom
from ikeway.model.secret import Secret

T = TypeVar("T")

_MASK: Final = 2**64 - 1
_STEP: Final = 0x9E3779B97F4A7C15


class Prng:
    """SplitMix64. A stream has a name, so that what one part draws moves no other part."""

    __slots__ = ("_state",)

    def __init__(self, seed: int, name: str) -> None:
        self._state = int.from_bytes(_digest(seed, name)[:8])

    def word(self) -> int:
        """Return 64 bits."""
        self._state = (self._state + _STEP) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)

    def unit(self) -> float:
        """Return a number from 0 up to 1."""
        return (self.word() >> 11) * 2.0**-53

    def chance(self, probability: float) -> bool:
        """Whether something of this probability happens."""
        return probability > 0 and self.unit() < probability

    def between(self, low: float, high: float) -> float:
        """Return a number of a range."""
        return low + (high - low) * self.unit()

    def spread(self, low: float, high: float) -> float:
        """Return a number of a range, each order of magnitude as likely as the others."""
        return float(low * (high / low) ** self.unit())

    def below(self, count: int) -> int:
        """Return a whole number from 0 up to `count`."""
        return self.word() % count

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of several."""
        return choices[self.below(len(choices))]

    def weighted(self, choices: Sequence[tuple[int, T]]) -> T:
        """Return one of several, each as often as its weight says."""
        left = self.below(sum(weight for weight, _ in choices))
        for weight, choice in choices:
            left -= weight
            if left < 0:
                return choice
        raise ValueError("nothing to choose from")

    def octets(self, count: int) -> bytes:
        """Return octets."""
        words = b"".join(self.word().to_bytes(8) for _ in range(-(-count // 8)))
        return words[:count]


def core_random(seed: int, name: str) -> SeededRandom:
    """Return the randomness that a host's core gets."""
    return SeededRandom(Secret(_digest(seed, name)))


def _digest(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()

# SPDX-License-Identifier: Apache-2.0
"""The seeded random source."""

import pytest

from ikeway.crypto.random import SeededRandom
from ikeway.model.secret import Secret

SEED = Secret(bytes(range(32)))


def test_the_same_seed_gives_the_same_octets_however_they_are_drawn() -> None:
    one, two = SeededRandom(SEED), SeededRandom(SEED)
    assert one.octets(5) + one.octets(0) + one.octets(95) == two.octets(100)


def test_another_seed_gives_other_octets() -> None:
    assert SeededRandom(SEED).octets(16) != SeededRandom(Secret(bytes(32))).octets(16)


def test_the_stream_is_that_of_chacha20() -> None:
    """RFC 8439 §A.1, test vector 1: key and nonce of zeros."""
    start = bytes.fromhex("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7")
    assert SeededRandom(Secret(bytes(32))).octets(32) == start


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="31 octets, not 32"):
        SeededRandom(Secret(bytes(31)))


def test_nothing_of_the_seed_is_printed() -> None:
    assert SEED.octets.hex()[:8] not in repr(SeededRandom(SEED))

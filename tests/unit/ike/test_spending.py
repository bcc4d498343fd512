# SPDX-License-Identifier: Apache-2.0
"""Limits of a Child SA by what it carries: the operator's, and those of its algorithms."""

import pytest

from ikeway.crypto.random import SeededRandom
from ikeway.ike.spending import limits
from ikeway.model.esp import EspSuite, Limits
from ikeway.model.secret import Secret
from ikeway.policy.lifetimes import Lifetimes

GCM = EspSuite(20, 256, 0, esn=True)
CHACHA = EspSuite(28, 0, 0, esn=True)
TRIPLE_DES = EspSuite(3, 0, 12, esn=True)
GIB = 1 << 30


def of(suite: EspSuite = GCM, seed: int = 0, **changes: object) -> Limits:
    random = SeededRandom(Secret(bytes([seed]) * 32))
    return limits(Lifetimes(**changes), suite, random)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(8))
def test_a_soft_limit_is_cut_at_random_and_a_hard_one_leaves_room_to_rekey(seed: int) -> None:
    """§2.8.1: two sides with the same limits seldom reach them at once."""
    found = of(seed=seed, child_octets=64 * GIB, child_packets=10**9)
    assert 0.9 * 64 * GIB <= found.soft_octets <= 64 * GIB
    assert 0.9 * 10**9 <= found.soft_packets <= 10**9
    assert found.hard_octets >= 80 * GIB
    assert found.hard_packets >= 125 * 10**7


def test_two_sides_draw_different_limits() -> None:
    assert len({of(seed=seed).soft_octets for seed in range(8)}) > 4


def test_without_jitter_the_soft_limit_is_what_was_written() -> None:
    assert of(jitter=0.0, child_octets=GIB).soft_octets == GIB


@pytest.mark.conformance("CF-U03")
def test_sequence_numbers_are_replaced_before_they_end() -> None:
    """RFC 4303 §3.3.3: "a new SA is established before" the counter cycles."""
    plain = of(EspSuite(20, 256, 0, esn=False), child_octets=0)
    assert plain.hard_packets == 2**32 - 1
    assert 0.7 * 2**32 < plain.soft_packets < 0.9 * 2**32
    assert of(child_octets=0).hard_packets == 2**64 - 1


def test_more_packets_than_there_are_numbers_cannot_be_had() -> None:
    found = of(EspSuite(20, 256, 0, esn=False), child_packets=2**40)
    assert found.hard_packets == 2**32 - 1
    assert found.soft_packets < 2**32 - 2**28


def test_a_cipher_limits_what_the_operator_does_not() -> None:
    """A block cipher of 128 bits encrypts 1 TiB at most, one of 64 bits 512 MiB, ChaCha20 all."""
    assert of(child_octets=0).hard_octets == 2**40
    assert of(child_octets=2**50).hard_octets == 2**40
    assert of(TRIPLE_DES).hard_octets == 2**29
    assert of(TRIPLE_DES).soft_octets < 2**29
    chacha = of(CHACHA, child_octets=0)
    assert chacha.soft_octets == chacha.hard_octets == 0

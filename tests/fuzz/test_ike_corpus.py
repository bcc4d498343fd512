# SPDX-License-Identifier: Apache-2.0
"""The corpus of the state machine, replayed on each change."""

from pathlib import Path

import pytest

from fuzz.fuzz_ike import CASES, one_input, prepared

CORPUS = sorted((Path(__file__).parent / "corpus" / "ike").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_no_seed_breaks_the_state_machine(path: Path) -> None:
    one_input(path.read_bytes())


def test_the_corpus_has_seeds_for_every_stage() -> None:
    assert {path.read_bytes()[0] for path in CORPUS} >= set(range(len(CASES)))


def test_every_stage_is_as_it_was_afterwards() -> None:
    for path in CORPUS:
        one_input(path.read_bytes())
    assert all(prepared(which).is_unchanged for which in range(len(CASES)))

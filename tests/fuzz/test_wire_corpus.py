# SPDX-License-Identifier: Apache-2.0
"""The committed corpus is replayed on each change."""

from pathlib import Path

import pytest

from fuzz.fuzz_wire import one_input

CORPUS = sorted((Path(__file__).parent / "corpus" / "wire").iterdir())


def test_there_is_a_corpus() -> None:
    assert len(CORPUS) > 40


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_an_input_of_the_corpus_is_survived(path: Path) -> None:
    one_input(path.read_bytes())

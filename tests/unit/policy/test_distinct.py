# SPDX-License-Identifier: Apache-2.0
"""RFC 9370 §2.2.1: no method twice, NONE as often as anybody likes."""

import pytest

from ikeway.policy.distinct import Choice, distinct

A, B, C, NONE = (31, 0), (36, 0), (37, 0), (0, 0)


@pytest.mark.parametrize(
    ("choices", "found"),
    [
        ([], ()),
        ([[A]], (A,)),
        ([[A, B], [A, B]], (A, B)),
        ([[A, B], [A]], (B, A)),
        ([[A, B, C], [A, B], [A]], (C, B, A)),
        ([[A], [A]], None),
        ([[A], []], None),
        ([[A, B], [A, B], [A, B]], None),
        ([[NONE], [NONE], [A]], (NONE, NONE, A)),
        ([[A], [A, NONE]], (A, NONE)),
    ],
)
def test_the_first_choices_that_differ_are_taken(
    choices: list[list[Choice]], found: tuple[Choice, ...] | None
) -> None:
    assert distinct(choices) == found

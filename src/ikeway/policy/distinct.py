# SPDX-License-Identifier: Apache-2.0
"""Methods of several key exchanges, none of them twice (RFC 9370 §2.2.1)."""

from collections.abc import Sequence
from typing import TypeAlias

Choice: TypeAlias = tuple[int, int]
"""A transform ID and its key length in bits (0 where the transform has one length only)."""
NONE: Choice = (0, 0)


def distinct(choices: Sequence[Sequence[Choice]]) -> tuple[Choice, ...] | None:
    """Return one choice of each, earlier ones and those that come first preferred, or None.

    No choice "MUST ... contain duplicated algorithms ... except for the Transform ID of NONE". A
    choice that leaves nothing for a later exchange is given up for the next one.
    """
    if not choices:
        return ()
    first, *rest = choices
    for choice in first:
        left = [[each for each in one if each != choice or each == NONE] for one in rest]
        others = distinct(left)
        if others is not None:
            return (choice, *others)
    return None

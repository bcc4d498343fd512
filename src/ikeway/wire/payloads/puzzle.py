# SPDX-License-Identifier: Apache-2.0
"""Puzzle Solution payload (RFC 8019 §8.2)."""

from typing import Annotated

from ikeway.wire.codec import Body, Rest, payload
from ikeway.wire.registry import PayloadType


@payload(PayloadType.PUZZLE)
class PuzzleSolution(Body):
    """Puzzle Solution payload, RFC 8019 §8.2: four keys of the same size."""

    keys: Annotated[bytes, Rest(least=4)]

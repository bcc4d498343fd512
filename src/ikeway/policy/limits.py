# SPDX-License-Identifier: Apache-2.0
"""How much strangers may make an endpoint do (RFC 7296 §2.6, §2.21.4)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`half_open` is how many IKE SAs may wait for their initiator's proof at a time.

    `answers_per_second` and `answers_burst` bound the messages that belong to no IKE SA and still
    get an answer.
    """

    half_open: int = 10_000
    answers_per_second: float = 10.0
    answers_burst: int = 20

# SPDX-License-Identifier: Apache-2.0
"""What a peer's identity rests on where that may be taken back: its certificate (RFC 5280 §3.3)."""

import math
from dataclasses import dataclass, replace

from ikeway.ike.questions import Trusted, VerifyCertificate
from ikeway.model.time import Instant


@dataclass(frozen=True, slots=True)
class Standing:
    """The question that its certificate passed, and when to ask it again; none without one."""

    question: VerifyCertificate | None = None
    look_at: Instant = math.inf

    @property
    def is_watched(self) -> bool:
        """Whether it may be taken back while an IKE SA rests on it."""
        return self.question is not None

    @classmethod
    def of(cls, question: VerifyCertificate, answer: Trusted, now: Instant) -> "Standing":
        """Return the standing of a certificate that has just been believed."""
        if answer.again_after == math.inf:
            return cls()
        if answer.fetched:  # what was fetched once need not be there for ever
            question = replace(question, chain=answer.fetched, references=())
        return cls(question, now + answer.again_after)

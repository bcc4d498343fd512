# SPDX-License-Identifier: Apache-2.0
"""What is said of certificates whose status nobody knows: not a line for each (I5)."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ikeway.ike.questions import Answer, Trusted, VerifyCertificate
from ikeway.policy.revocation import Revocation
from ikeway.runtime.verifier import DOUBTS_AT_ONCE, Verifier

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ANSWER: Any = Trusted(None)  # type: ignore[arg-type]


@dataclass
class Found:
    """A chain that holds, and what is known of its status: nothing."""

    answer: Any = ANSWER
    end: datetime = LATER
    until: datetime = LATER
    chain: tuple[Any, ...] = ()
    doubts: tuple[str, ...] = ("CN=somebody: nobody says",)


class Ignorant:
    """A PKI where every chain holds, and a desk that knows no status."""

    def today(self) -> datetime:
        return NOW

    def chain(self, _question: VerifyCertificate) -> Found:
        return Found()

    def has_source(self, _chain: Any) -> bool:
        return True

    async def check(self, *_of: Any) -> Found:
        return Found()


def test_doubts_are_bounded_and_the_next_line_says_how_many_are_missing() -> None:
    async def many() -> tuple[list[Answer], list[str]]:
        told: asyncio.Queue[Answer] = asyncio.Queue()
        lines: list[str] = []
        ignorant: Any = Ignorant()
        verifier = Verifier(ignorant, ignorant, lines.append)
        question = VerifyCertificate((b"",), "client", Revocation.LENIENT)
        for _ in range(100):
            verifier.verify(question, told.put_nowait)
        answers = [await told.get() for _ in range(100)]
        assert len(lines) == DOUBTS_AT_ONCE
        await asyncio.sleep(1.1)
        verifier.verify(question, told.put_nowait)
        answers.append(await told.get())
        await verifier.close()
        return answers, lines

    answers, lines = asyncio.run(many())
    assert all(isinstance(answer, Trusted) for answer in answers), "a doubt refuses nobody"
    assert lines[-1].endswith("nobody says; nor of 90 others")

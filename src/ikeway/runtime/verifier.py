# SPDX-License-Identifier: Apache-2.0
"""Answers what takes its time: whether nobody revoked a certificate, and signatures of tokens."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from ikeway.crypto.certificate import Certificate
from ikeway.ike.limits import RateLimit
from ikeway.ike.questions import Answer, Refused, Sign, Signed, Trusted, VerifyCertificate
from ikeway.model.errors import AuthenticationError
from ikeway.policy.revocation import Revocation, StatusSources
from ikeway.runtime.pki import Holds, Pki
from ikeway.runtime.references import References
from ikeway.runtime.revocation import StatusDesk
from ikeway.runtime.stapling import Stapler

AT_ONCE: Final = 1024
"""How many peers may wait for the status of their certificates; strangers are among them."""
LEAST_SECONDS: Final = 1.0
DOUBTS_A_SECOND: Final = 1.0
DOUBTS_AT_ONCE: Final = 10

Tell = Callable[[Answer], None]


class Verifier:
    """Asks the PKI, and the status desk where the question says so. The event loop never waits."""

    def __init__(
        self,
        pki: Pki,
        desk: StatusDesk,
        warn: Callable[[str], None],
        references: References | None = None,
        stapler: Stapler | None = None,
    ) -> None:
        self._pki = pki
        self._references = references or References((), 1.0)
        self._desk = desk
        self._stapler = stapler or Stapler(StatusSources(fetch=False), (), warn)
        self._warn = warn
        self._tasks: set[asyncio.Task[None]] = set()
        self._rate = RateLimit(DOUBTS_A_SECOND, DOUBTS_AT_ONCE)
        self._untold = 0

    def verify(self, question: VerifyCertificate, tell: Tell) -> None:
        """Tell whether the peer's certificate is to be believed, and for how long."""
        loop = asyncio.get_running_loop()
        if question.references:
            self._begin(self._fetch(question, tell), tell)
            return
        found = self._pki.chain(question)
        if isinstance(found, Refused):
            loop.call_soon(tell, found)
        elif self._is_settled(found, question):
            loop.call_soon(tell, found.answer)
        else:
            self._begin(self._tell(found, question, tell), tell)

    def _is_settled(self, found: Holds, question: VerifyCertificate) -> bool:
        """Whether there is nothing to look up: a small authority without CRLs is no news."""
        if question.revocation is Revocation.LENIENT and not question.ocsp:
            return not self._desk.has_source(found.chain)
        return question.revocation is Revocation.OFF

    def _begin(self, work: Coroutine[None, None, None], tell: Tell) -> None:
        loop = asyncio.get_running_loop()
        if len(self._tasks) >= AT_ONCE:
            work.close()
            loop.call_soon(tell, Refused("too many certificates are being looked up"))
            return
        task = loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(self, question: VerifyCertificate, tell: Tell) -> None:
        """Look the certificate up once all of its chain is here."""
        try:
            chain = await self._references.resolved(question)
        except AuthenticationError as error:
            tell(Refused(error.reason))
            return
        whole = replace(question, chain=chain, references=())
        found = self._pki.chain(whole)
        if isinstance(found, Refused):
            tell(found)
            return
        answer: Answer = found.answer
        if question.revocation is not Revocation.OFF:
            answer = await self._status(found, whole)
        tell(replace(answer, fetched=chain) if isinstance(answer, Trusted) else answer)

    async def _tell(self, found: Holds, question: VerifyCertificate, tell: Tell) -> None:
        tell(await self._status(found, question))

    async def _status(self, found: Holds, question: VerifyCertificate) -> Answer:
        now = self._pki.today()
        try:
            checked = await self._desk.check(found.chain, question.revocation, question.ocsp, now)
        except AuthenticationError as error:
            return Refused(error.reason)
        except Exception as error:  # noqa: BLE001 - I1: a peer waits for an answer, whatever happens
            return Refused(f"its status could not be found out: {type(error).__name__}: {error}")
        for doubt in checked.doubts:
            self._doubt(doubt)
        return Trusted(found.answer.certificate, _seconds(now, min(checked.until, found.end)))

    def sign(self, question: Sign, tell: Tell) -> None:
        """Tell a signature of ours; one of a token comes later, from another thread."""
        if self._pki.is_slow(question) or self._stapler.is_awaited(question.chain):
            self._begin(self._sign(question, tell), tell)
            return
        answer = self._stapled(question, self._pki.sign(question))
        asyncio.get_running_loop().call_soon(tell, answer)

    async def _sign(self, question: Sign, tell: Tell) -> None:
        is_slow = self._pki.is_slow(question)
        answer = await asyncio.to_thread(self._pki.sign, question) if is_slow else None
        if self._stapler.is_awaited(question.chain):
            await self._stapler.first()
        tell(self._stapled(question, answer or self._pki.sign(question)))

    def _stapled(self, question: Sign, answer: Answer) -> Answer:
        """Return our signature with the status of our certificates, where the peer asks for it."""
        if not isinstance(answer, Signed) or not question.chain:
            return answer
        return replace(answer, ocsp=self._stapler.of(question.chain, self._pki.today()))

    def prepare(self, chains: Iterable[Sequence[Certificate]]) -> None:
        """Have the status of our certificates at hand before the first peer asks for it."""
        for chain in chains:
            self._stapler.of(chain, self._pki.today())

    def _doubt(self, doubt: str) -> None:
        """Warn of a status that is not known: not a line for each of the peers that come (I5)."""
        if not self._rate.allows(asyncio.get_running_loop().time()):
            self._untold += 1
            return
        more = f"; nor of {self._untold} others" if self._untold else ""
        self._untold = 0
        self._warn(f"whether it is revoked is not known: {doubt}{more}")

    async def close(self) -> None:
        """Stop: nobody waits for an answer any more."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stapler.close()


def _seconds(now: datetime, until: datetime) -> float:
    return max(LEAST_SECONDS, (until - now).total_seconds())

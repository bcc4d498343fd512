# SPDX-License-Identifier: Apache-2.0
"""Leads EAP in threads: handshakes of TLS, slow hashes and databases would hold everybody up.

One step of a handshake is up to 2 ms of work with RSA and 1 ms with ECDSA, a slow hash some 30 ms;
to go into a thread and back is 50 µs.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from ikeway.ike.admission import Admit
from ikeway.ike.questions import Answer, Converse, Refused, Ticket
from ikeway.model.errors import HostError
from ikeway.runtime.eap import Conversations
from ikeway.runtime.users import Users

THREADS: Final = 4
"""How many turns are made at a time. More of them wait, as many as there may be half-open SAs."""

Answered = Callable[[Answer], None]


class EapDesk:
    """Answers what IKE SAs ask of users. An IKE SA asks one thing at a time."""

    def __init__(
        self, talks: Conversations, users: Users, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        """`tell` hears why logins are refused."""
        self._tell = tell
        self._talks = talks
        self._users = users
        self._pool = ThreadPoolExecutor(THREADS, "eap")
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._talks)

    def turn(self, ticket: Ticket, question: Converse, answered: Answered) -> None:
        """Answer with what comes next in a conversation."""
        talk = self._talks.find(ticket)

        def settled(answer: Answer) -> None:
            for refusal in talk.told():
                self._tell(refusal)
            answered(self._talks.settle(ticket, talk, answer))

        self._begin(partial(talk.turn, question), settled)

    def admit(self, question: Admit, answered: Answered) -> None:
        """Answer whether a user may still come in."""
        self._begin(partial(self._users.admits, question), answered)

    def forget(self, sa: bytes) -> None:
        """Drop what an IKE SA has begun."""
        self._talks.forget(sa)

    async def close(self) -> None:
        """Stop: nobody waits for an answer any more."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._users.close()

    def _begin(self, work: Callable[[], Answer], answered: Answered) -> None:
        task = asyncio.get_running_loop().create_task(self._perform(work, answered))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, work: Callable[[], Answer], answered: Answered) -> None:
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except HostError as error:
            answer = Refused(str(error))
        except Exception as error:  # noqa: BLE001 - I1: a peer waits for an answer, whatever happens
            answer = Refused(f"a fault in EAP: {type(error).__name__}: {error}")
        answered(answer)

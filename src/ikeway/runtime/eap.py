# SPDX-License-Identifier: Apache-2.0
"""Leads the EAP conversations of IKE SAs, as the server and as the peer (RFC 7296 §2.16)."""

import time
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from ikeway.auth.eap.means import Means
from ikeway.auth.eap.methods import method
from ikeway.auth.eap.peer import EapPeer
from ikeway.auth.eap.progress import Failure, Progress, Success
from ikeway.auth.eap.server import EapServer
from ikeway.crypto.profile import Purpose
from ikeway.ike.questions import Answer, Converse, Refused, Ticket, Trusted, VerifyCertificate
from ikeway.model.errors import HostError
from ikeway.runtime.users import Users, Visitor

Key: TypeAlias = tuple[bytes, bytes]
"""Our SPI and the branch: whose conversation it is."""

_FAILURE: Final = 4
"""The code of EAP Failure."""


def sequence() -> int:
    """Return the number of a challenge for a USIM: what time it is, above an index of five bits."""
    return int(time.time() * 1000) << 5


def to_verify(question: Converse, answer: Answer) -> VerifyCertificate | None:
    """Return what is still to be known before a success counts: whether somebody was revoked."""
    outcome = answer.outcome if isinstance(answer, Progress) else None
    if not isinstance(outcome, Success) or not outcome.chain:
        return None
    purpose: Purpose = "client" if question.is_server else "server"
    return VerifyCertificate(outcome.chain, purpose, question.revocation)


def verified(answer: Answer, verdict: Answer) -> Answer:
    """Return a success that counts, or the failure that it becomes."""
    if isinstance(verdict, Trusted) or not isinstance(answer, Progress):
        return answer
    reason = verdict.reason if isinstance(verdict, Refused) else "it could not be checked"
    reply = answer.reply
    told = None if reply is None else bytes([_FAILURE]) + reply[1:]
    return Progress(told, Failure(f"the certificate in EAP is refused: {reason}"))


@dataclass
class Talk:
    """One conversation. All of it may take long; whoever leads it asks for one turn at a time."""

    means: Means
    rounds_most: int
    users: Users | None
    _running: EapServer | EapPeer | None = None
    _visitor: Visitor | None = None

    def turn(self, question: Converse) -> Answer:
        """Return what comes next."""
        try:
            progress = self._say(question)
        except HostError as error:
            return Refused(str(error))
        if self._visitor is not None and isinstance(progress.outcome, Success):
            self._visitor.succeeded(progress.outcome.identity)
        return progress

    def told(self) -> tuple[str, ...]:
        """Return why logins were refused since the last call."""
        return () if self._visitor is None else self._visitor.told()

    def _say(self, question: Converse) -> Progress:
        if self._running is None:
            self._running = self._begin(question)
        if isinstance(self._running, EapServer) and not question.packet:
            return self._running.start()
        return self._running.handle(question.packet)

    def _begin(self, question: Converse) -> EapServer | EapPeer:
        methods, means = tuple(map(method, question.methods)), self.means
        if not question.is_server:
            means = replace(means, expected=question.server, inner=question.inner)
            return EapPeer(methods, means, question.identity, self.rounds_most)
        if self.users is not None and question.visit is not None:
            self._visitor = self.users.visitor(question.visit.peer.address)
            means = replace(means, passwords=self._visitor)
        return EapServer(methods, means, question.identity, self.rounds_most)


class Conversations:
    """What has been said so far, until it has come to an end or the IKE SA is gone."""

    def __init__(self, means: Means, rounds_most: int, users: Users | None = None) -> None:
        self._means = means
        self._rounds_most = rounds_most
        self._users = users
        self._running: dict[Key, Talk] = {}

    def __len__(self) -> int:
        return len(self._running)

    def turn(self, ticket: Ticket, question: Converse) -> Answer:
        """Return what comes next."""
        talk = self.find(ticket)
        return self.settle(ticket, talk, talk.turn(question))

    def find(self, ticket: Ticket) -> Talk:
        """Return the conversation of this ticket, a new one where there is none."""
        key = ticket.sa, ticket.branch
        if key not in self._running:
            self._running[key] = Talk(self._means, self._rounds_most, self._users)
        return self._running[key]

    def settle(self, ticket: Ticket, talk: Talk, answer: Answer) -> Answer:
        """Return the answer, and drop a conversation that it ends."""
        key = ticket.sa, ticket.branch
        goes_on = isinstance(answer, Progress) and answer.outcome is None
        if not goes_on and self._running.get(key) is talk:
            del self._running[key]
        return answer

    def forget(self, sa: bytes) -> None:
        """Drop what an IKE SA has begun."""
        for key in [key for key in self._running if key[0] == sa]:
            del self._running[key]

# SPDX-License-Identifier: Apache-2.0
"""Leads the EAP conversations of IKE SAs, as the server and as the peer (RFC 7296 §2.16)."""

import time
from dataclasses import replace
from typing import Final, TypeAlias

from ikeway.auth.eap.means import Means
from ikeway.auth.eap.methods import method
from ikeway.auth.eap.peer import EapPeer
from ikeway.auth.eap.progress import Failure, Progress, Success
from ikeway.auth.eap.server import EapServer
from ikeway.crypto.profile import Purpose
from ikeway.ike.questions import Answer, Converse, Refused, Ticket, Trusted, VerifyCertificate

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


class Conversations:
    """What has been said so far, until it has come to an end or the IKE SA is gone."""

    def __init__(self, means: Means, rounds_most: int) -> None:
        self._means = means
        self._rounds_most = rounds_most
        self._running: dict[Key, EapServer | EapPeer] = {}

    def __len__(self) -> int:
        return len(self._running)

    def turn(self, ticket: Ticket, question: Converse) -> Answer:
        """Return what comes next."""
        key = ticket.sa, ticket.branch
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = self._begin(question)
        progress = self._say(running, question)
        if progress is None:
            return Refused("this conversation is not there any more")
        if progress.outcome is not None:
            del self._running[key]
        return progress

    def forget(self, sa: bytes) -> None:
        """Drop what an IKE SA has begun."""
        for key in [key for key in self._running if key[0] == sa]:
            del self._running[key]

    def _begin(self, question: Converse) -> EapServer | EapPeer:
        methods = tuple(map(method, question.methods))
        if question.is_server:
            return EapServer(methods, self._means, question.identity, self._rounds_most)
        means = replace(self._means, expected=question.server, inner=question.inner)
        return EapPeer(methods, means, question.identity, self._rounds_most)

    @staticmethod
    def _say(running: EapServer | EapPeer, question: Converse) -> Progress | None:
        if isinstance(running, EapServer) and not question.packet:
            return running.start()
        return running.handle(question.packet)

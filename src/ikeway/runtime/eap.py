# SPDX-License-Identifier: Apache-2.0
"""Leads the EAP conversations of IKE SAs, as the server and as the peer (RFC 7296 §2.16)."""

from typing import TypeAlias

from ikeway.auth.eap.means import Means
from ikeway.auth.eap.methods import method
from ikeway.auth.eap.peer import EapPeer
from ikeway.auth.eap.progress import Progress
from ikeway.auth.eap.server import EapServer
from ikeway.ike.io import Answer, Converse, Refused, Ticket

Key: TypeAlias = tuple[bytes, bytes]
"""Our SPI and the branch: whose conversation it is."""


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
        return EapPeer(methods, self._means, question.identity, self._rounds_most)

    @staticmethod
    def _say(running: EapServer | EapPeer, question: Converse) -> Progress | None:
        if isinstance(running, EapServer) and not question.packet:
            return running.start()
        return running.handle(question.packet)
